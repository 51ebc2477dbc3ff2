"""One script that freezes a run's rows, exports them by split and fingerprints them, and how its answer is read."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from gcp.bigquery import Query, Value
from gcp.sql import Sql, cast, column, statement, text
from retraining.modelspec import ModelSpec, Task
from retraining.names import short_hash
from retraining.views import SnapshotView

PARTS = ("train", "eval", "test")

LABEL_TYPES: dict[Task, str] = {"binary": "INT64", "multiclass": "STRING", "regression": "FLOAT64"}
_FEATURE_TYPES = {
    "numeric": "FLOAT64",
    "categorical": "STRING",
    "boolean": "BOOL",
    "timestamp": "TIMESTAMP",
    "text": "STRING",
}


def query(spec: ModelSpec, run_id: str, table: Sql, until: datetime, uri: str) -> Query:
    """The script that exports ``{uri}/{train,eval,test}-*.parquet``."""
    source = spec.source
    sql = statement(
        "snapshot",
        table=table,
        timestamp=column(source.timestamp),
        label=column(source.label),
        columns=Sql(",\n    ".join(_columns(spec))),
        part=_part(spec),
        train_uri=text(f"{uri}/train-*.parquet"),
        eval_uri=text(f"{uri}/eval-*.parquet"),
        test_uri=text(f"{uri}/test-*.parquet"),
    )
    values: dict[str, Value] = {
        "first": until - spec.training.window,
        "until": until,
        "fresh": until - spec.training.evaluation_window,
    }
    if spec.split.by == "day":
        values["train"] = spec.split.train
        values["train_and_validate"] = spec.split.train + spec.split.validate_
    return Query(sql, source.table.partition(".")[0], "snapshot", values, run_id)


def read(uri: str, rows: Sequence[Mapping[str, Any]]) -> SnapshotView:
    """The script's rows, one for each part that has any, in our words."""
    prints = [f"{row['part']} {row['row_count']} {row['fingerprint']}" for row in rows]
    return SnapshotView(
        uri=uri,
        rows=dict.fromkeys(PARTS, 0) | {row["part"]: row["row_count"] for row in rows},
        first=min((row["oldest"] for row in rows), default=None),
        last=max((row["newest"] for row in rows), default=None),
        digest=short_hash("\n".join(sorted(prints)), 16),
    )


def _columns(spec: ModelSpec) -> list[Sql]:
    """Every column in the type that training reads, whatever the table's own type is."""
    source = spec.source
    return [
        cast(source.key, "STRING"),
        column(source.timestamp),
        cast(source.label, LABEL_TYPES[spec.training.task]),
        *(cast(name, _FEATURE_TYPES[feature.type]) for name, feature in spec.features.items()),
    ]


def _part(spec: ModelSpec) -> Sql:
    if spec.split.column is not None:
        return statement("part_by_column", column=column(spec.split.column))
    return statement("part_by_day", timestamp=column(spec.source.timestamp))
