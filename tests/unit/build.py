"""Short ways to make the values that the decisions take."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from retraining.modelfile import load_models
from retraining.modelspec import ModelSpec
from retraining.records import ModelState, Money, Run, RunState
from retraining.reports import Evaluation, Paired
from retraining.triggers import Kind, Trigger
from retraining.views import ColumnCounts, DataCounts, SnapshotView

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SPECS = load_models(Path(__file__).parents[2] / "models")
FLIGHTS: ModelSpec = SPECS["flights"]


def trigger(kind: Kind = Kind.DATA, **changes: Any) -> Trigger:
    """A trigger for flights that became true now."""
    values = {"model": "flights", "kind": kind, "key": f"{kind}-1", "at": NOW, "reason": f"{kind} happened"}
    return Trigger.model_validate(values | changes)


def run(state: RunState = RunState.WAITING, **changes: Any) -> Run:
    """A run of flights, opened an hour ago."""
    values: dict[str, Any] = {
        "run_id": "flights-1",
        "model": "flights",
        "state": state,
        "opened": NOW - HOUR,
        "entered": NOW - HOUR,
        "spec_digest": FLIGHTS.digest,
        "causes": (trigger(),),
    }
    return Run(**(values | changes))


def state(**changes: Any) -> ModelState:
    """What is known about flights."""
    return ModelState(model="flights", **changes)


def money(**changes: Any) -> Money:
    """This month's budget record."""
    return Money(model="flights", month="202605", **changes)


def counts(**changes: Any) -> DataCounts:
    """Counts of a sound feed of flights."""
    columns = tuple(
        ColumnCounts(
            name=name,
            type="FLOAT64" if f.type == "numeric" else "STRING",
            nulls=0,
            distinct=2 if f.type == "boolean" else 40,
            mean_abs=10.0 if f.type == "numeric" else None,
            usual_nulls_share=0.0,
            usual_mean_abs=10.0 if f.type == "numeric" else None,
        )
        for name, f in FLIGHTS.features.items()
    )
    values: dict[str, Any] = {
        "rows": 6000,
        "usual_rows": 6000.0,
        "newest": NOW - HOUR,
        "duplicates": 0,
        "mature_rows": 5000,
        "labelled_rows": 5000,
        "label_mean": 0.76,
        "usual_label_mean": 0.75,
        "columns": columns,
    }
    return DataCounts(**(values | changes))


def column(name: str, **changes: Any) -> DataCounts:
    """Counts of a sound feed but for one column."""
    sound = counts()
    return counts(columns=tuple(c.but(**changes) if c.name == name else c for c in sound.columns))


def snapshot(**changes: Any) -> SnapshotView:
    """Frozen rows."""
    values: dict[str, Any] = {
        "uri": "gs://b/snapshots/flights-1",
        "rows": {"train": 60_000, "eval": 20_000, "test": 5_000},
        "first": NOW - 60 * DAY,
        "last": NOW - DAY,
        "digest": "d1",
    }
    return SnapshotView(**(values | changes))


def evaluation(difference: float = -0.001, error: float = 0.0003, **changes: Any) -> Evaluation:
    """An evaluation in which the candidate's loss differs by so much."""
    values: dict[str, Any] = {
        "run_id": "flights-1",
        "nonce": "n",
        "rows": 5000,
        "candidate": {"log_loss": 0.16 + difference, "auc": 0.97},
        "champion": {"log_loss": 0.16, "auc": 0.97},
        "difference": Paired(rows=5000, clusters=6, mean=difference, standard_error=error),
        "latency_p99_ms": 2.0,
    }
    return Evaluation(**(values | changes))
