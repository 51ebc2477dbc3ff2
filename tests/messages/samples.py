"""Captured and documented payloads, and a context in which they arrive."""

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from retraining.messages.context import Context
from retraining.modelfile import load_models
from retraining.modelspec import ModelSpec, Triggers

FOLDER = Path(__file__).parent / "payloads"
MODELS = load_models(Path(__file__).parents[2] / "models")
PUBLISHED = datetime(2026, 1, 31, 3, 0, 42, tzinfo=UTC)
PROJECT = "shop-prod"
TABLE = "flights.history"
JOB_KEY = "data|flights.history|projects/shop-prod/jobs/bq-load-1"


def sample(name: str) -> Any:
    """The payload of this name, as a fresh value."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def changed(name: str, path: str, value: object) -> Any:
    """The payload with the value at a dotted ``path`` replaced, or taken out when it is ``...``."""
    payload = copy.deepcopy(sample(name))
    *above, last = path.split(".")
    here = payload
    for key in above:
        here = here[key]
    if value is ...:
        del here[last]
    else:
        here[last] = value
    return payload


def context(**fields: Any) -> Context:
    """A context with the shipped models, in the payloads' project."""
    defaults: dict[str, Any] = {
        "models": MODELS,
        "project": PROJECT,
        "message_id": "m-1",
        "published": PUBLISHED,
        "principals": frozenset({"trainer@shop-prod.iam.gserviceaccount.com"}),
    }
    return Context(**{**defaults, **fields})


def untriggered() -> dict[str, ModelSpec]:
    """The shipped models, none of which asks for runs by itself."""
    return {name: spec.model_copy(update={"triggers": Triggers()}) for name, spec in MODELS.items()}
