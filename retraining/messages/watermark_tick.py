"""The tick that asks whether labelled rows arrived without any log entry, as streamed rows do."""

from collections.abc import Mapping

from retraining.messages.context import Context
from retraining.messages.fields import closed, text
from retraining.modelspec import ModelSpec

EXAMPLE = '{"kind": "watermark", "model": "flights"}'


def is_tick(payload: object, attributes: Mapping[str, str]) -> bool:
    """Whether the message is a watermark tick."""
    body = payload if isinstance(payload, dict) else {}
    return (body.get("kind") or attributes.get("kind")) == "watermark"


def parse(payload: object, attributes: Mapping[str, str], context: Context) -> list[ModelSpec]:
    """The models to look at: the named one, or all that ask for runs on new data. Raises BadMessage."""
    name = text(closed(payload, attributes, ("kind", "model"), EXAMPLE), "model", "")
    asked = [context.model(name)] if name else list(context.models.values())
    return [spec for spec in asked if spec.triggers.data is not None]
