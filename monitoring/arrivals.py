"""How logged rows arrived, from the log itself: what counts of distinct rows cannot show."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from monitoring import tables
from monitoring.feed import Arrival
from monitoring.passes import Subject, length, window_unit
from retraining.modelspec import ModelSpec

GIGABYTE = 10**9


class Arrivals(Protocol):
    """What the monitor needs to know of how rows arrive."""

    def arrivals(self, subject: Subject, start: datetime, end: datetime) -> list[Arrival]:
        """Of the whole windows in [start, end) in which anything was logged, oldest first."""


class ArrivalLog:
    """The log on BigQuery."""

    def __init__(self, run: tables.Statements, project: str, dataset: str) -> None:
        self._run = run
        self._project = project
        self._dataset = dataset

    def arrivals(self, subject: Subject, start: datetime, end: datetime) -> list[Arrival]:
        """See Arrivals. Nothing is known of logs in the older format, whose rows have no number."""
        spec = subject.spec
        if spec.log.format != "vertex":
            return []
        text = tables.text("arrivals").format_map(
            {
                "log": log_table(spec, self._project, self._dataset),
                "parser": tables.quoted(self._project, self._dataset, tables.PARSER),
                "unit": "HOUR" if window_unit(spec) == "hour" else "DAY",
                "key": spec.source.key,
            }
        )
        parameters: dict[str, tables.Value] = {
            "start": start,
            "end": end,
            "deployed_model_id": subject.deployed_id,
            "names": json.dumps([spec.source.key, spec.source.timestamp, *_names(spec)]),
        }
        rows = self._run.rows(text, parameters, "drift-arrivals", int(spec.log.max_gigabytes * GIGABYTE))
        return [_arrival(spec, row) for row in rows]


def log_table(spec: ModelSpec, project: str, dataset: str) -> str:
    """The table that a model's requests are logged in, in back-ticks."""
    of_dataset, _, name = spec.watched_log(dataset).partition(".")
    return tables.quoted(project, of_dataset, name)


def _names(spec: ModelSpec) -> list[str]:
    """What an instance may hold at its top."""
    return [(feature.path or name).split(".")[0].split("[")[0] for name, feature in spec.features.items()]


def _arrival(spec: ModelSpec, row: Mapping[str, Any]) -> Arrival:
    return Arrival(
        start=row["window_start"],
        volume=round(row["row_count"] / spec.log.sampling_rate),
        rows=row["row_count"],
        repeats=row["repeats"],
        silence_s=int((row["window_start"] + length(spec) - row["newest"]).total_seconds()),
        unknown=dict(zip(row["names"] or (), row["name_rows"] or (), strict=True)),
    )
