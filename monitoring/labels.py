"""The log of requests joined with the labels that came late, reduced to counts by prediction day.

One statement reads the days whose labels may still change, and no others; how the model did is then read from
kilobytes. A regression's sums are in units of a power of ten near the spread of its answers, a row counts at most
30 of them, so that one absurd answer neither overflows an integer nor decides about a day.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from math import floor, log10, sqrt
from typing import Any, Protocol

from monitoring import tables
from monitoring.baseline import PREDICTION, Definition, truth
from monitoring.passes import GIGABYTE, Subject, log_table
from monitoring.performance import Bin, DayCounts
from retraining.modelspec import ModelSpec, Task

PERFORMANCE = "drift_performance"
SLICES = 20  # values of a column counted one by one; the rest together
OTHER = "(other)"
SMALLEST = 1e-7  # probabilities are kept this far from 0 and 1, as in rollouts
AROUND = timedelta(days=1)  # between a request and the timestamp of its fact

_SUMS = tuple(field.name for field in fields(Bin))
_LABEL_TYPES: dict[Task, str] = {"binary": "INT64", "multiclass": "STRING", "regression": "FLOAT64"}
_BEST = (
    "(SELECT {what} FROM UNNEST(JSON_VALUE_ARRAY(response, '$.classes')) AS class WITH OFFSET AS a "
    "JOIN UNNEST(JSON_VALUE_ARRAY(response, '$.scores')) AS one WITH OFFSET AS b ON a = b "
    "ORDER BY SAFE_CAST(one AS FLOAT64) DESC, a LIMIT 1)"
)
_OF_LABEL = (
    "COALESCE((SELECT SAFE_CAST(one AS FLOAT64) FROM UNNEST(JSON_VALUE_ARRAY(response, '$.classes')) AS name "
    "WITH OFFSET AS a JOIN UNNEST(JSON_VALUE_ARRAY(response, '$.scores')) AS one WITH OFFSET AS b ON a = b "
    "WHERE name = label LIMIT 1), 0)"
)


@dataclass(frozen=True)
class _Terms:
    """How answers of one task are read; each is an expression over what the statement has computed before it."""

    score: str
    valid: str
    cell: str
    said: str
    truth: str
    loss: str
    error: str
    positive: str
    correct: str
    class_: str = "CAST(NULL AS STRING)"


def _log_loss(probability: str) -> str:
    return f"-LN(LEAST(GREATEST({probability}, {SMALLEST}), 1 - {SMALLEST}))"


_TERMS: dict[Task, _Terms] = {
    "binary": _Terms(
        score="SAFE_CAST(JSON_VALUE(response, '$.score') AS FLOAT64)",
        valid="score BETWEEN 0 AND 1",
        cell="COALESCE(RANGE_BUCKET(score, edge.edges), 0)",
        said="score",
        truth="CAST(label AS FLOAT64)",
        loss=f"IF(truth IS NULL, NULL, {_log_loss('IF(truth = 1, score, 1 - score)')})",
        error="POW(score - truth, 2)",
        positive="truth = 1",
        correct="(score >= 0.5) = (truth = 1)",
    ),
    "multiclass": _Terms(
        score=_BEST.format(what="SAFE_CAST(one AS FLOAT64)"),
        class_=_BEST.format(what="class"),
        valid="score BETWEEN 0 AND 1",
        cell="COALESCE(category.cell, @cells - 1)",
        said="score",
        truth="IF(label = class, 1.0, 0.0)",
        loss=f"IF(truth IS NULL, NULL, {_log_loss(_OF_LABEL)})",
        error="POW(score - truth, 2)",
        positive="truth = 1",
        correct="truth = 1",
    ),
    "regression": _Terms(
        score="SAFE_CAST(JSON_VALUE(response, '$.value') AS FLOAT64)",
        valid="NOT (IS_NAN(score) OR IS_INF(score))",
        cell="COALESCE(RANGE_BUCKET(score, edge.edges), 0)",
        said="LEAST(GREATEST(score / @unit, -1e5), 1e5)",
        truth="LEAST(GREATEST(label / @unit, -1e5), 1e5)",
        loss="POW(LEAST(ABS(said - truth), 30), 2)",
        error="LEAST(ABS(said - truth), 30)",
        positive="FALSE",
        correct="FALSE",
    ),
}


class Labels(Protocol):
    """What the monitor needs of answers and labels. Both methods may be repeated."""

    def join(self, subject: Subject, start: datetime, end: datetime, now: datetime) -> None:
        """Count the whole prediction days in [start, end) anew, with the labels that have come by ``now``."""

    def days(self, subject: Subject, since: datetime, until: datetime) -> list[DayCounts]:
        """The kept days that start in [since, until), all slices, oldest first."""


class LabelLog:
    """Answers and labels on BigQuery. ``project`` holds the log and the models' source tables."""

    def __init__(self, run: tables.Statements, project: str, dataset: str) -> None:
        self._run = run
        self._project = project
        self._dataset = dataset

    def join(self, subject: Subject, start: datetime, end: datetime, now: datetime) -> None:
        """See Labels. Logs in the older format are left out: their labels are in the log itself."""
        spec = subject.spec
        if spec.log.format != "vertex":
            return
        predictions = subject.definitions.features[PREDICTION]
        listed = _listed(subject)
        source, (of_dataset, of_table) = spec.source, spec.source.table.split(".")
        terms = _TERMS[spec.training.task]
        text = tables.text("label").format_map(
            {
                "performance": self._table(PERFORMANCE),
                "parser": self._table(tables.PARSER),
                "log": log_table(spec, self._project, self._dataset),
                "table": tables.quoted(self._project, of_dataset, of_table),
                "key": source.key,
                "label": source.label,
                "timestamp": source.timestamp,
                "label_type": _LABEL_TYPES[spec.training.task],
                "class": terms.class_,
                **{name: getattr(terms, name) for name in ("score", "valid", "cell", "said", "truth", "loss")},
                **{name: getattr(terms, name) for name in ("error", "positive", "correct")},
                "slices": _slices(spec, sorted({column for column, _ in listed})),
                "arrays": _each(
                    "ARRAY_AGG(IF(grid.cell >= 0, COALESCE(counted.{0}, 0), NULL) "
                    "IGNORE NULLS ORDER BY grid.cell) AS {0}"
                ),
                "updates": _each("{0} = fresh.{0}"),
                "columns": _each("{0}"),
                "inserts": _each("fresh.{0}"),
            }
        )
        around = source.label_delay + AROUND
        parameters: dict[str, tables.Value] = {
            **_whose(subject),
            "start": start,
            "end": end,
            "due_before": now - source.label_delay,
            "labels_from": start - around,
            "labels_to": end + around,
            "edges": json.dumps(predictions.edges),
            "categories": json.dumps(predictions.categories),
            "cells": predictions.cells,
            "slices": json.dumps([{"column": column, "value": value} for column, value in listed]),
            "power": power(spec, predictions),
            "unit": 10.0 ** power(spec, predictions),
        }
        self._run.rows(text, parameters, "drift-labels", int(spec.log.max_gigabytes * GIGABYTE))

    def days(self, subject: Subject, since: datetime, until: datetime) -> list[DayCounts]:
        """See Labels."""
        text = tables.text("read_performance").format(performance=self._table(PERFORMANCE))
        found = self._run.rows(text, {**_whose(subject), "since": since, "until": until}, "drift-performance")
        return [_day(row) for row in found]

    def _table(self, name: str) -> str:
        return tables.quoted(self._project, self._dataset, name)


def ensure(run: tables.Statements, project: str, dataset: str) -> None:
    """Create the table where it is missing; for one machine and for tests, as Terraform does it in the cloud."""
    run.rows(
        tables.text("create_performance").format(performance=tables.quoted(project, dataset, PERFORMANCE)),
        {},
        "drift-tables",
    )


def power(spec: ModelSpec, predictions: Definition) -> int:
    """The power of ten that a regression's sums are counted in: near the spread of the answers in training."""
    counts = predictions.training
    if spec.training.task != "regression" or not counts.valid:
        return 0
    mean = counts.sum / counts.valid
    spread = sqrt(max(0.0, counts.sum_sq / counts.valid - mean**2))
    return floor(log10(spread)) if spread > 0 else 0


def _each(pattern: str) -> str:
    return ",\n    ".join(pattern.format(name) for name in _SUMS)


def _listed(subject: Subject) -> list[tuple[str, str]]:
    """The groups that are counted: of each column that the gate looks at, its most frequent values."""
    found = []
    for column in subject.spec.gate.slices.by:
        definition = subject.definitions.features.get(column)
        values: Sequence[str] = ()
        if subject.spec.features[column].type == "boolean":
            values = ("false", "true")
        elif definition is not None:
            values = definition.categories[:SLICES]  # of numbers there are none: groups are of words
        found += [(column, value) for value in values]
    return found


def _slices(spec: ModelSpec, columns: Sequence[str]) -> str:
    """One line per column, and one for all rows."""
    lines = ["STRUCT('' AS slice_column, '' AS slice_value)"]
    lines += [f"STRUCT('{column}', COALESCE({_value(spec, column)}, ''))" for column in columns]
    return ",\n        ".join(lines)


def _value(spec: ModelSpec, column: str) -> str:
    at = spec.features[column].path or column
    value = f"JSON_VALUE(request, '${at}')" if at.startswith("[") else f"JSON_VALUE(request, '$.{at}')"
    if spec.features[column].type != "boolean":
        return value
    return f"CASE LOWER({value}) WHEN '1' THEN '{truth('1')}' WHEN '0' THEN '{truth('0')}' ELSE LOWER({value}) END"


def _whose(subject: Subject) -> dict[str, str]:
    return {
        "model": subject.spec.name,
        "deployed_model_id": subject.deployed_id,
        "baseline_id": subject.definitions.baseline_id,
    }


def _day(row: Mapping[str, Any]) -> DayCounts:
    cells = zip(*(row[name] for name in _SUMS), strict=True)
    return DayCounts(
        start=row["day"],
        bins=tuple(Bin(*cell) for cell in cells),
        column=row["slice_column"],
        value=row["slice_value"],
        invalid=row["invalid"],
        power=row["power"],
    )
