"""Requests as Vertex AI logs them, written into the local BigQuery."""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from google.cloud.bigquery import Client, LoadJobConfig, SchemaField

from gcp.tables import OwnTable, ensure_tables, request_log
from retraining.modelspec import ModelSpec
from retraining.reports import Baseline, FeatureBaseline

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
_IDS = itertools.count(1)


def spec(name: str = "punctual", task: str = "binary", window: str = "day", min_rows: int = 500) -> ModelSpec:
    """A model with one feature of each type, served by an endpoint of its own."""
    machine = {"type": "n1-standard-4", "price": 0.2}
    metric = {"binary": "log_loss", "multiclass": "log_loss", "regression": "rmse"}[task]
    return ModelSpec.model_validate(
        {
            "name": name,
            "owner": "team",
            "source": {"table": "a.b", "timestamp": "at", "key": "id", "label": "y", "label_delay": "1d"},
            "features": {
                "delay": {"type": "numeric", "importance": 2},
                "hour": {"type": "numeric"},
                "weekend": {"type": "boolean"},
                "carrier": {"type": "categorical"},
            },
            "split": {"by": "day"},
            "training": {
                "trainer": "wide_and_deep",
                "task": task,
                "window": "60d",
                "evaluation_window": "20d",
            },
            "triggers": {"drift": {"window": window, "min_rows": min_rows}},
            "policy": {"budget": {"per_run": 5, "per_month": 50}},
            "gate": {"metric": metric, "margin": 0.01},
            "rollout": {"tolerance": 0.02},
            "endpoint": f"{name}-web",
            "machines": {"training": machine, "tuning": machine, "evaluation": machine, "serving": machine},
        }
    )


def baseline(run: str = "run-1", task: str = "binary") -> Baseline:
    """Training rows: delays with edges 0, 10 and 20; hours 6, 12 and 18; two carriers."""
    delay = FeatureBaseline(
        kind="numeric",
        n=1000,
        n_null=20,
        counts=(245, 245, 245, 245),
        edges=(0.0, 10.0, 20.0),
        low=-30.0,
        high=60.0,
    )
    hour = FeatureBaseline(
        kind="numeric", n=1000, n_null=0, counts=(300, 300, 400), edges=(12.0, 18.0), values=("6", "12", "18")
    )
    weekend = FeatureBaseline(
        kind="categorical", n=1000, n_null=0, counts=(700, 300, 0), categories=("false", "true")
    )
    carrier = FeatureBaseline(kind="categorical", n=1000, n_null=0, counts=(600, 400, 0), categories=("AA", "UA"))
    if task == "multiclass":
        prediction = FeatureBaseline(
            kind="categorical", n=500, n_null=0, counts=(300, 200, 0), categories=("late", "ontime")
        )
    else:
        prediction = FeatureBaseline(
            kind="numeric", n=500, n_null=0, counts=(250, 250), edges=(0.5,), low=0, high=1
        )
    return Baseline(
        baseline_id=run,
        model="punctual",
        features={"delay": delay, "hour": hour, "weekend": weekend, "carrier": carrier},
        prediction=prediction,
    )


def request(
    at: datetime,
    instances: Sequence[Mapping[str, Any] | str],
    answers: Sequence[Mapping[str, Any] | str] | None = None,
    deployed: str = "1",
    request_id: int | None = None,
) -> dict[str, Any]:
    """One row of the log; text among the instances and answers is logged as it is."""
    given = answers if answers is not None else [{"score": 0.7}] * len(instances)
    return {
        "endpoint": "web",
        "deployed_model_id": deployed,
        "logging_time": at.isoformat(),
        "request_id": next(_IDS) if request_id is None else request_id,
        "request_payload": [_json(one) for one in instances],
        "response_payload": [_json(one) for one in given],
    }


def _json(one: Mapping[str, Any] | str) -> str:
    return one if isinstance(one, str) else json.dumps(one)


def _older_log(name: str) -> OwnTable:
    """The log of online predictions before Vertex AI, in its own columns."""
    required = [(column, "STRING", "REQUIRED") for column in ("model", "model_version", "raw_data")]
    optional = [(column, "STRING", "NULLABLE") for column in ("raw_prediction", "groundtruth")]
    return OwnTable(name, (*required, ("time", "TIMESTAMP", "REQUIRED"), *optional), partition="time")


def raw(
    at: datetime,
    instances: Sequence[Mapping[str, Any]],
    answers: Sequence[Mapping[str, Any]] | None,
    version: str = "1",
) -> dict[str, Any]:
    """One row of the older log; no ``answers``: the request failed."""
    return {
        "model": "web",
        "model_version": version,
        "time": at.isoformat(),
        "raw_data": json.dumps({"instances": instances}),
        "raw_prediction": None if answers is None else json.dumps({"predictions": answers}),
        "groundtruth": None,
    }


class Traffic:
    """Fills the log of an endpoint."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def log(self, model: ModelSpec, rows: Iterable[dict[str, Any]]) -> None:
        """Append ``rows`` to the log of the model's endpoint, which is created when it is missing."""
        self.append(f"{model.endpoint.replace('-', '_')}_requests", rows)

    def append(self, name: str, rows: Iterable[dict[str, Any]], form: str = "vertex") -> None:
        """Append ``rows`` to the log ``name`` of either format, which is created when it is missing."""
        table = request_log(name) if form == "vertex" else _older_log(name)
        ensure_tables(self._client, "retraining", [table])
        schema = [SchemaField(*field) for field in table.fields]
        config = LoadJobConfig(schema=schema)
        self._client.load_table_from_json(
            list(rows), f"{self._client.project}.retraining.{name}", job_config=config
        ).result()
