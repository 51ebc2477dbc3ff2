"""One statement that joins the log of requests with the labels that have come, and how its answer is read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gcp.bigquery import Query, Value
from gcp.snapshots import LABEL_TYPES
from gcp.sql import Sql, column, statement, text
from retraining.modelspec import ModelSpec, Task
from retraining.views import ArmCounts

SMALLEST = 1e-7  # probabilities are kept this far from 0 and 1: one sure mistake must not outweigh all else
_SLACK = timedelta(days=1)  # between a request and the timestamp of its fact


@dataclass(frozen=True)
class Answer:
    """How an answer of one task is read: its score, whether it is sound, and its loss where ``label`` is known."""

    score: Sql
    valid: Sql
    loss: Sql


_ANSWERS: dict[Task, Answer] = {
    "binary": Answer(
        score=Sql("SAFE_CAST(JSON_VALUE(response, '$.score') AS FLOAT64)"),
        valid=Sql("score BETWEEN 0 AND 1"),
        loss=Sql("-LN(LEAST(GREATEST(IF(label = 1, score, 1 - score), @smallest), 1 - @smallest))"),
    ),
    "regression": Answer(
        score=Sql("SAFE_CAST(JSON_VALUE(response, '$.value') AS FLOAT64)"),
        valid=Sql("NOT (IS_NAN(score) OR IS_INF(score))"),
        loss=Sql("POW(score - label, 2)"),
    ),
    "multiclass": Answer(
        score=statement("multiclass_score"),
        valid=statement("multiclass_valid"),
        loss=statement("multiclass_loss"),
    ),
}


def query(spec: ModelSpec, log: Sql, table: Sql, since: datetime, until: datetime) -> Query:
    """The statement over requests logged in [since, until).

    A label counts only where it was due: labels that come early are no fair sample of all.
    """
    source = spec.source
    answer = _ANSWERS[spec.training.task]
    sql = statement(
        "arms",
        log=log,
        table=table,
        key=column(source.key),
        key_path=text(f"$.{source.key}"),
        label=column(source.label),
        label_type=Sql(LABEL_TYPES[spec.training.task]),
        timestamp=column(source.timestamp),
        score=answer.score,
        valid=answer.valid,
        loss=answer.loss,
    )
    around = source.label_delay + _SLACK
    values: dict[str, Value] = {
        "since": since,
        "until": until,
        "due_before": until - source.label_delay,
        "labels_from": since - around,
        "labels_to": until + around,
    }
    if spec.training.task != "regression":
        values["smallest"] = SMALLEST
    return Query(sql, source.table.partition(".")[0], "arms", values)


def read(rows: Iterable[Mapping[str, Any]]) -> dict[str, ArmCounts]:
    """The statement's rows by deployed model id."""
    return {
        row["deployed_model_id"]: ArmCounts(
            rows=row["row_count"],
            requests=row["requests"],
            due=row["due"],
            invalid=row["invalid"],
            mean_score=row["mean_score"],
            labelled=row["labelled"],
            loss_sum=row["loss_sum"],
            loss_sq_sum=row["loss_sq_sum"],
            last_at=row["last_at"],
        )
        for row in rows
        if row["deployed_model_id"]
    }
