"""The log of requests, reduced to counts: one pass per log counts its new windows, one statement reads the kept."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import batched
from typing import Any, Literal, Protocol

from monitoring import drawing, tables
from monitoring.baseline import Definitions, definitions_json
from monitoring.counts import Counts
from retraining.errors import Refused
from retraining.modelspec import ModelSpec

Windows = dict[datetime, dict[str, Counts]]  # start of a window → feature → counts

TOGETHER = 50  # deployed models in one pass at most: each adds some kilobytes to the statement
TABLES = 500  # logs asked at once for new rows at most

_UNITS: dict[Literal["hour", "day"], str] = {"hour": "HOUR", "day": "DAY"}
_GIGABYTE = 10**9
_TIMES = {"vertex": "logging_time", "ai_platform": "time"}
_DEPLOYED = {"vertex": "deployed_model_id", "ai_platform": "model_version"}


@dataclass(frozen=True)
class Subject:
    """What is counted: a model, who answers for it, and the cells."""

    spec: ModelSpec
    deployed_id: str
    definitions: Definitions


@dataclass(frozen=True)
class Pass:
    """The windows of one subject to count: those that start in [start, end), both starts of windows."""

    subject: Subject
    start: datetime
    end: datetime


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

    def __init__(
        self, run: tables.Statements, project: str, dataset: str, note: Callable[[str], None] = lambda line: None
    ) -> None:
        """``note`` takes a line for people about each pass and the bytes that it reads."""
        self._run = run
        self._project = project
        self._dataset = dataset
        self._note = note

    def count(self, subject: Subject, start: datetime, end: datetime) -> None:
        """See Log."""
        self.count_all([Pass(subject, start, end)])

    def count_all(self, passes: Iterable[Pass]) -> None:
        """Count many subjects: those that share a log and its windows in one pass over its new rows.

        Raises Refused before anything is read when a pass would read more than its models' files allow.
        """
        for together in _together(passes):
            self._pass(together)

    def waiting(self, passes: Iterable[Pass]) -> list[Pass]:
        """Those of ``passes`` in whose windows something was logged; one statement asks hundreds of logs."""
        spans: dict[tuple[str, str], list[Pass]] = defaultdict(list)
        for one in passes:
            spans[self._log(one.subject.spec)].append(one)
        found: set[tuple[str, str]] = set()
        for logs in batched(spans, TABLES, strict=False):
            asked = [one for log in logs for one in spans[log]]
            text = "UNION ALL\n".join(self._whose_rows(place, *log) for place, log in enumerate(logs))
            span = {"start": min(one.start for one in asked), "end": max(one.end for one in asked)}
            rows = self._run.rows(text, span, "drift-waiting")
            found |= {(logs[row["place"]][0], row["deployed_model_id"]) for row in rows}
        return [one for log, asked in spans.items() for one in asked if (log[0], one.subject.deployed_id) in found]

    def _whose_rows(self, place: int, name: str, form: str) -> str:
        return tables.text("waiting").format(place=place, log=name, at=_TIMES[form], deployed=_DEPLOYED[form])

    def _pass(self, passes: Sequence[Pass]) -> None:
        spec, start, end = passes[0].subject.spec, passes[0].start, passes[0].end
        name, form = self._log(spec)
        text = tables.text("count").format_map(
            {
                "counts": self._table(tables.COUNTS),
                "logged": tables.text(f"logged_{form}").format(log=name).rstrip(),
                "parser": self._table(tables.PARSER),
                "unit": _UNITS[window_unit(spec)],
                **_parts([one.subject for one in passes]),
            }
        )
        parameters: dict[str, tables.Value] = {
            **_given([one.subject for one in passes]),
            "start": start,
            "end": end,
            "last": end - length(spec),
        }
        limit = int(max(one.subject.spec.log.max_gigabytes for one in passes) * _GIGABYTE)
        estimate = self._run.estimate(text, parameters, "drift-count")
        models = f"{len(passes)} models" if len(passes) > 1 else spec.name
        line = f"{models}: a pass over {name} from {start:%Y-%m-%dT%H:%M} to {end:%Y-%m-%dT%H:%M}"
        if estimate > limit:
            raise Refused(
                f"{line} would read {estimate / _GIGABYTE:.1f} GB, expected at most {limit / _GIGABYTE:g} "
                "(log.max_gigabytes in the model file)"
            )
        self._note(f"{line} reads {estimate / _GIGABYTE:.3f} GB" if estimate else f"{line}: bytes unknown")
        self._run.rows(text, parameters, "drift-count", limit)

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

    def _log(self, spec: ModelSpec) -> tuple[str, str]:
        """The table that a model's requests are logged in, and its format."""
        dataset, _, name = (spec.log.table or f"{self._dataset}.{own_log(spec)}").partition(".")
        return tables.quoted(self._project, dataset, name), spec.log.format


def window_unit(spec: ModelSpec) -> Literal["hour", "day"]:
    """How long a window of this model is; a day where the model file does not say."""
    return spec.triggers.drift.window if spec.triggers.drift else "day"


def length(spec: ModelSpec) -> timedelta:
    """How long a window of this model is."""
    return timedelta(hours=1) if window_unit(spec) == "hour" else timedelta(days=1)


def own_log(spec: ModelSpec) -> str:
    """The table in this system's dataset that the endpoint logs to unless the model file names another."""
    return f"{spec.endpoint.replace('-', '_')}_requests"


def _together(passes: Iterable[Pass]) -> Iterator[list[Pass]]:
    """Passes over the same log and windows, each deployed model once, as many as one statement takes."""
    groups: dict[tuple[object, ...], dict[str, Pass]] = {}
    for one in passes:
        spec = one.subject.spec
        log = (spec.log.table or own_log(spec), spec.log.format)
        for piece in range(len(groups) + 1):
            group = groups.setdefault((log, window_unit(spec), one.start, one.end, piece), {})
            if len(group) < TOGETHER and one.subject.deployed_id not in group:
                group[one.subject.deployed_id] = one
                break
    for group in groups.values():
        yield list(group.values())


def _parts(subjects: Sequence[Subject]) -> dict[str, str]:
    """Where each subject's values lie. Depends on the model files alone."""
    inputs, values, vocabulary = [], [], 0
    for place, one in enumerate(subjects):
        inputs.append(f"WHEN {place} THEN {drawing.inputs(one.spec, one.definitions)}")
        values.append(f"WHEN {place} THEN {drawing.values(one.spec, one.definitions, vocabulary)}")
        vocabulary += len(drawing.texts(one.spec, one.definitions))
    return {"inputs": "\n        ".join(inputs), "values": "\n        ".join(values)}


def _given(subjects: Sequence[Subject]) -> dict[str, tables.Value]:
    listed = [drawing.subject_json(one.spec, one.deployed_id, one.definitions) for one in subjects]
    given: dict[str, tables.Value] = {
        "subjects": drawing.parameter(listed),
        "deployed": drawing.parameter([one.deployed_id for one in subjects]),
    }
    if found := [known for one in subjects for known in drawing.texts(one.spec, one.definitions)]:
        given["vocabularies"] = drawing.parameter(found)
    return given


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
