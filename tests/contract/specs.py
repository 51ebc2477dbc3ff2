"""Small models over small tables, and the moments the contract tests speak of."""

from datetime import UTC, datetime
from typing import Any

from retraining.modelspec import ModelSpec

NOW = datetime(2013, 6, 10, tzinfo=UTC)


def spec(table: str, task: str = "binary", **changes: Any) -> ModelSpec:
    """A model over ``dataset.table`` with one feature of each type."""
    machine = {"type": "n1-standard-4", "price": 0.2}
    metric = {"binary": "log_loss", "multiclass": "log_loss", "regression": "rmse"}[task]
    content: dict[str, Any] = {
        "name": "punctual",
        "owner": "team",
        "source": {
            "table": table,
            "timestamp": "departure",
            "key": "flight_id",
            "label": "ontime",
            "label_delay": "1d",
        },
        "features": {
            "delay": {"type": "numeric"},
            "weekend": {"type": "boolean"},
            "carrier": {"type": "categorical"},
        },
        "split": {"by": "day", "train": 60, "validate": 20},
        "training": {
            "trainer": "wide_and_deep",
            "task": task,
            "window": "60d",
            "evaluation_window": "20d",
        },
        "policy": {"budget": {"per_run": 5, "per_month": 50}},
        "gate": {"metric": metric, "margin": 0.01},
        "rollout": {"tolerance": 0.02},
        "endpoint": "punctual-web",
        "machines": {"training": machine, "tuning": machine, "evaluation": machine, "serving": machine},
    }
    return ModelSpec.model_validate(content | changes)
