"""The log of requests, reduced to counts: one statement counts the new windows, one reads all that are kept."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from monitoring import tables
from monitoring.baseline import PREDICTION, Definitions, cells_json, definitions_json
from monitoring.counts import Counts
from retraining.modelspec import ModelSpec

Windows = dict[datetime, dict[str, Counts]]  # start of a window → feature → counts

_UNITS: dict[Literal["hour", "day"], str] = {"hour": "HOUR", "day": "DAY"}
_SCORES = {"binary": "$.score", "regression": "$.value"}
_CLASS = (
    "(SELECT class FROM UNNEST(JSON_VALUE_ARRAY(response, '$.classes')) AS class WITH OFFSET AS a "
    "JOIN UNNEST(JSON_VALUE_ARRAY(response, '$.scores')) AS score WITH OFFSET AS b ON a = b "
    "ORDER BY SAFE_CAST(score AS FLOAT64) DESC, a LIMIT 1)"
)


@dataclass(frozen=True)
class Subject:
    """What is counted: a model, who answers for it, and the cells."""

    spec: ModelSpec
    deployed_id: str
    definitions: Definitions


class Log(Protocol):
    """What the monitor needs of the log. Both methods may be repeated."""

    def count(self, subject: Subject, start: datetime, end: datetime) -> None:
        """Count the whole windows in [start, end) anew and keep the counts."""

    def read(self, subject: Subject, since: datetime, until: datetime) -> Windows:
        """The kept counts of the windows that start in [since, until)."""

    def define(self, subject: Subject) -> None:
        """Make ready for this subject, and keep what its cells mean."""


class DriftLog:
    """The log on BigQuery."""

    def __init__(self, run: tables.Statements, project: str, dataset: str) -> None:
        self._run = run
        self._project = project
        self._dataset = dataset

    def count(self, subject: Subject, start: datetime, end: datetime) -> None:
        """See Log. ``start`` and ``end`` are starts of windows."""
        features, categories = cells_json(subject.definitions)
        unit = window_unit(subject.spec)
        text = tables.text("count").format_map(
            {
                "counts": self._table(tables.COUNTS),
                "log": self._table(f"{subject.spec.endpoint.replace('-', '_')}_requests"),
                "parser": self._table(tables.PARSER),
                "unit": _UNITS[unit],
                "values": _values(subject),
            }
        )
        parameters: dict[str, tables.Value] = {
            **_whose(subject),
            "features": features,
            "categories": categories,
            "start": start,
            "end": end,
            "last": end - length(subject.spec),
        }
        self._run.rows(text, parameters, "drift-count")

    def read(self, subject: Subject, since: datetime, until: datetime) -> Windows:
        """See Log."""
        text = tables.text("read").format(counts=self._table(tables.COUNTS))
        found: Windows = defaultdict(dict)
        for row in self._run.rows(text, {**_whose(subject), "since": since, "until": until}, "drift-read"):
            found[row["window_start"]][row["feature"]] = _counts(row)
        return dict(found)

    def define(self, subject: Subject) -> None:
        """See Log."""
        text = tables.text("define").format(baselines=self._table(tables.BASELINES))
        whose = _whose(subject)
        parameters: dict[str, tables.Value] = {
            "model": whose["model"],
            "baseline_id": whose["baseline_id"],
            "definitions": definitions_json(subject.definitions),
        }
        self._run.rows(text, parameters, "drift-baseline")

    def _table(self, name: str) -> str:
        return tables.quoted(self._project, self._dataset, name)


def window_unit(spec: ModelSpec) -> Literal["hour", "day"]:
    """How long a window of this model is; a day where the model file does not say."""
    return spec.triggers.drift.window if spec.triggers.drift else "day"


def length(spec: ModelSpec) -> timedelta:
    """How long a window of this model is."""
    return timedelta(hours=1) if window_unit(spec) == "hour" else timedelta(days=1)


def _whose(subject: Subject) -> dict[str, str]:
    return {
        "model": subject.spec.name,
        "deployed_model_id": subject.deployed_id,
        "baseline_id": subject.definitions.baseline_id,
    }


def _counts(row: Mapping[str, Any]) -> Counts:
    return Counts(
        n=row["n"],
        n_null=row["n_null"],
        n_unparseable=row["n_unparseable"],
        n_unseen=row["n_unseen"],
        n_low=row["n_low"],
        n_high=row["n_high"],
        cells=tuple(row["counts"]),
        sum=row["total"],
        sum_sq=row["total_sq"],
    )


def _values(subject: Subject) -> str:
    """One line per feature: where its value lies in the parsed payload. Depends on the model file alone."""
    lines: list[str] = []
    for place, name in enumerate(subject.definitions.features):
        names = ("AS place", "AS is_broken", "AS text") if not lines else ("", "", "")
        if name == PREDICTION:
            broken, value = "response IS NULL AND NOT is_unanswered", _prediction(subject.spec)
        else:
            broken, value = "is_broken", _scalar(subject.spec, name)
        parts = (f"{part} {alias}".rstrip() for part, alias in zip((str(place), broken, value), names, strict=True))
        lines.append(f"STRUCT({', '.join(parts)})")
    return ",\n        ".join(lines)


def _scalar(spec: ModelSpec, name: str) -> str:
    """A feature's value as text; a list or an object stays visible as its JSON."""
    path = f"request, '$.{name}'"
    value = f"COALESCE(JSON_VALUE({path}), NULLIF(TO_JSON_STRING(JSON_QUERY({path})), 'null'))"
    if spec.features[name].type != "boolean":
        return value
    return f"CASE LOWER({value}) WHEN '1' THEN 'true' WHEN '0' THEN 'false' ELSE LOWER({value}) END"


def _prediction(spec: ModelSpec) -> str:
    if spec.training.task == "multiclass":
        return _CLASS
    return f"JSON_VALUE(response, '{_SCORES[spec.training.task]}')"
