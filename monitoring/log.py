"""The log of requests, reduced to counts: one pass per log counts its new windows, one statement reads the kept."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import batched
from typing import Any, Protocol

from monitoring import tables
from monitoring.arrivals import ARRIVALS
from monitoring.baseline import definitions_json
from monitoring.counts import Counts
from monitoring.drawing import known_names
from monitoring.passes import GIGABYTE, Pass, Subject, Together, length, log_table, together, window_unit
from retraining.errors import Refused, RetrainingError
from retraining.modelspec import ModelSpec

__all__ = ["DriftLog", "Kept", "Log", "Pass", "Subject", "Windows", "length", "window_unit"]

Windows = dict[datetime, dict[str, Counts]]  # start of a window → feature → counts

TABLES = 200  # logs that one statement asks for new rows at most

_COLUMNS = {"vertex": ("logging_time", "deployed_model_id"), "ai_platform": ("time", "model_version")}
_LogTable = tuple[str, str]  # name in back-ticks, format


@dataclass(frozen=True)
class Kept:
    """What is kept of some windows."""

    windows: Windows
    arrivals: dict[datetime, Counts] = field(default_factory=dict)  # how rows came, where that was counted


class Log(Protocol):
    """What the monitor needs of the log. Its methods may be repeated."""

    def count_all(self, passes: Iterable[Pass]) -> dict[str, RetrainingError]:
        """Count the windows of all ``passes`` anew and keep the counts. Why some models could not be counted."""

    def read(self, subject: Subject, since: datetime, until: datetime) -> Kept:
        """The kept counts of the windows that start in [since, until)."""

    def unknown_names(self, subject: Subject, start: datetime, end: datetime) -> dict[str, int]:
        """Names in payloads that nobody knows → rows of [start, end), the most frequent first. Reads the log."""

    def define(self, subject: Subject) -> None:
        """Make ready for this subject, and keep what its cells mean."""


class DriftLog:
    """The log on BigQuery."""

    def __init__(
        self, run: tables.Statements, project: str, dataset: str, note: Callable[[str], None] = lambda line: None
    ) -> None:
        """``note`` takes a line for people about each pass and the bytes that it reads."""
        self._run = run
        self._project = project
        self._dataset = dataset
        self._note = note

    def count(self, subject: Subject, start: datetime, end: datetime) -> None:
        """Count one subject's windows. Raises Refused, before anything is read, when the model file allows fewer
        bytes."""
        self._count(Together((Pass(subject, start, end),)))

    def count_all(self, passes: Iterable[Pass]) -> dict[str, RetrainingError]:
        """See Log. One pass over each log's new rows for all that share it, none where there are none.

        A window without rows is not kept: a window of which nothing is kept had none. Returns why some models could
        not be counted; the others are.
        """
        failed: dict[str, RetrainingError] = {}
        for group in together(self.waiting(passes)):
            try:
                self._count(group)
            except RetrainingError as error:
                failed |= dict.fromkeys((one.subject.spec.name for one in group.passes), error)
        return failed

    def waiting(self, passes: Iterable[Pass]) -> list[Pass]:
        """Those of ``passes`` in whose windows something was logged; one statement asks many logs. A log that
        cannot be asked counts as one with rows, so that counting it says why."""
        logs: dict[_LogTable, list[Pass]] = defaultdict(list)
        for one in passes:
            logs[self._log(one.subject.spec)].append(one)
        found: list[Pass] = []
        for some in batched(logs, TABLES, strict=False):
            found += self._asked({log: logs[log] for log in some})
        return found

    def _asked(self, logs: Mapping[_LogTable, Sequence[Pass]]) -> list[Pass]:
        passes = [one for some in logs.values() for one in some]
        text = "UNION ALL\n".join(
            tables.text("waiting").format(place=place, log=name, at=_COLUMNS[form][0], deployed=_COLUMNS[form][1])
            for place, (name, form) in enumerate(logs)
        )
        span = {"start": min(one.start for one in passes), "end": max(one.end for one in passes)}
        try:
            rows = self._run.rows(text, span, "drift-waiting")
        except Refused:  # one of the logs is not there, perhaps
            if len(logs) == 1:
                return passes
            names = list(logs)
            halves = names[: len(names) // 2], names[len(names) // 2 :]
            return [one for half in halves for one in self._asked({name: logs[name] for name in half})]
        found = {(row["place"], row["deployed_model_id"]) for row in rows}
        return [
            one
            for place, some in enumerate(logs.values())
            for one in some
            if (place, one.subject.deployed_id) in found
        ]

    def _count(self, group: Together) -> None:
        logged = self._logged(group.spec)
        self._check(group, logged)
        text = tables.text("count").format_map(
            {
                "counts": self._table(tables.COUNTS),
                "parser": self._table(tables.PARSER),
                "logged": logged,
                **group.parts,
            }
        )
        self._run.rows(text, group.parameters, "drift-count", _bytes(group))

    def _check(self, group: Together, logged: str) -> None:
        """Say how much the pass will read, and refuse when that is too much."""
        estimate = self._run.estimate(logged, group.span, "drift-count")
        name, _ = self._log(group.spec)
        models = f"{len(group.passes)} models" if len(group.passes) > 1 else group.spec.name
        line = f"{models}: a pass over {name} from {group.start:%Y-%m-%dT%H:%M} to {group.end:%Y-%m-%dT%H:%M}"
        if estimate > _bytes(group):
            raise Refused(
                f"{line} would read {estimate / GIGABYTE:.3f} GB, expected at most {group.max_gigabytes:g} "
                "(log.max_gigabytes in the model file)"
            )
        size = (
            f"reads {estimate / GIGABYTE:.3f} GB" if estimate else "reads an amount that the server does not tell"
        )
        self._note(f"{line} {size}")

    def read(self, subject: Subject, since: datetime, until: datetime) -> Kept:
        """See Log."""
        text = tables.text("read").format(counts=self._table(tables.COUNTS))
        found: Windows = defaultdict(dict)
        arrivals: dict[datetime, Counts] = {}
        for row in self._run.rows(text, {**_whose(subject), "since": since, "until": until}, "drift-read"):
            if row["feature"] == ARRIVALS:
                arrivals[row["window_start"]] = _counts(row)
            else:
                found[row["window_start"]][row["feature"]] = _counts(row)
        return Kept(dict(found), arrivals)

    def unknown_names(self, subject: Subject, start: datetime, end: datetime) -> dict[str, int]:
        """See Log."""
        spec = subject.spec
        text = tables.text("unknown_names").format_map(
            {"logged": self._logged(spec), "parser": self._table(tables.PARSER)}
        )
        parameters: dict[str, tables.Value] = {
            "start": start,
            "end": end,
            "deployed": json.dumps([subject.deployed_id]),
            "names": json.dumps(known_names(spec)),
        }
        limit = int(spec.log.max_gigabytes * GIGABYTE)
        return {row["name"]: row["row_count"] for row in self._run.rows(text, parameters, "drift-names", limit)}

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

    def _log(self, spec: ModelSpec) -> _LogTable:
        """The table that a model's requests are logged in, and its format."""
        return log_table(spec, self._project, self._dataset), spec.log.format

    def _logged(self, spec: ModelSpec) -> str:
        """The part of a statement that reads the log."""
        name, form = self._log(spec)
        return tables.text(f"logged_{form}").format(log=name).rstrip()


def _bytes(group: Together) -> int:
    return int(group.max_gigabytes * GIGABYTE)


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
        unlogged=row["unlogged"],
    )
