"""What parsers know beside the message: who is configured, when it came, and who serves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from retraining.errors import BadMessage
from retraining.incidents import WindowVerdict
from retraining.messages.fields import brief
from retraining.modelspec import ModelSpec
from retraining.names import short_hash
from retraining.triggers import Kind, Trigger


@dataclass(frozen=True)
class Ignored:
    """The message was understood and asks for nothing. ``audit`` names what happened when people should see it."""

    reason: str
    audit: str = ""  # for example "feed failed"; empty: the log line is enough
    model: str = ""


Parsed = list[Trigger] | Ignored


def nothing_judged(model: ModelSpec, deployed_id: str) -> Sequence[WindowVerdict]:
    """A lookup in an installation whose monitor has judged nothing."""
    del model, deployed_id
    return ()


def nobody(deployed_id: str) -> str | None:
    """A lookup in an installation without endpoints: no deployed model belongs to anyone."""
    del deployed_id
    return None


@dataclass(frozen=True)
class Context:
    """One message's surroundings."""

    models: Mapping[str, ModelSpec]
    project: str
    message_id: str
    published: datetime  # as Pub/Sub says; for a direct event, when the event happened
    principals: frozenset[str] = frozenset()  # accounts whose writes never trigger a run
    serves: Callable[[str], str | None] = nobody  # id of a deployed model → name of the model; may read records
    judged: Callable[[ModelSpec, str], Sequence[WindowVerdict]] = nothing_judged  # our verdicts on a deployed model

    def model(self, name: str) -> ModelSpec:
        """The model of this name. Raises BadMessage naming those that exist."""
        if name not in self.models:
            raise BadMessage(f"model: expected one of {sorted(self.models)}, got {name!r:.60}")
        return self.models[name]

    def fed_by(self, table: str) -> list[ModelSpec]:
        """The models whose source is ``table`` (dataset.table in this project)."""
        return [spec for spec in self.models.values() if spec.source.table == table]


def tidy(trigger: Trigger) -> Trigger:
    """``trigger`` with every text that a sender chose on one printable line: people will read it on a terminal.

    A key that had to be changed carries a digest of what it was, so that different facts stay different.
    """
    key = trigger.key
    if not key.isprintable():
        key = f"{brief(key, 300)} {short_hash(repr(key), 16)}"
    details = {brief(name, 100): brief(value, 300) for name, value in trigger.details.items()}
    return trigger.but(key=key, reason=brief(trigger.reason, 500), details=details)


def data_triggers(
    context: Context, table: str, key: str, at: datetime, reason: str, details: dict[str, str]
) -> Parsed:
    """One data trigger for each model that ``table`` feeds and that asks for runs on new data."""
    fed = context.fed_by(table)
    if not fed:
        return Ignored(f"no model reads table {table:.130}")
    asking = [spec.name for spec in fed if spec.triggers.data is not None]
    if not asking:
        return Ignored(f"no model that reads {table} asks for runs on new data")
    return [
        Trigger(
            model=name,
            kind=Kind.DATA,
            key=key,
            at=at,
            reason=reason,
            message_id=context.message_id,
            details=details,
        )
        for name in asking
    ]
