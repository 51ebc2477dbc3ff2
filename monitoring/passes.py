"""Which windows of which deployed models are counted together: one pass over a log serves all models in it."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal

from monitoring import drawing, tables
from monitoring.baseline import Definitions
from retraining.modelspec import ModelSpec

TEXT = 500_000  # characters of one statement that may say where values lie: half of what BigQuery takes
GIVEN = 4_000_000  # characters of its parameters
PIECES = 24  # of a window, in which rows arrive
GIGABYTE = 10**9  # bytes, as BigQuery bills them

_UNITS: dict[Literal["hour", "day"], str] = {"hour": "HOUR", "day": "DAY"}


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


@dataclass(frozen=True)
class Together:
    """Passes over the same log and windows that one statement counts; each deployed model occurs once."""

    passes: tuple[Pass, ...]

    @property
    def spec(self) -> ModelSpec:
        """Of any of the models: what concerns the log and the windows is the same for all."""
        return self.passes[0].subject.spec

    @property
    def start(self) -> datetime:
        """The first window's start."""
        return self.passes[0].start

    @property
    def end(self) -> datetime:
        """Where the last window ends."""
        return self.passes[0].end

    @property
    def max_gigabytes(self) -> float:
        """What the most generous of the model files allows."""
        return max(one.subject.spec.log.max_gigabytes for one in self.passes)

    @cached_property
    def _drawn(self) -> list[tuple[str, str]]:
        """Where each subject's values lie: equal for models of equal files, so that they share the text."""
        found, vocabulary = [], 0
        for one in self.passes:
            spec, cells = one.subject.spec, one.subject.definitions
            found.append((drawing.inputs(spec, cells), drawing.values(spec, cells, vocabulary)))
            vocabulary += len(drawing.texts(spec, cells))
        return found

    @property
    def parts(self) -> dict[str, str]:
        """The parts of the counting statement that depend on the model files."""
        shapes = list(dict.fromkeys(self._drawn))
        return {
            "unit": _UNITS[window_unit(self.spec)],
            "inputs": "\n        ".join(f"WHEN {place} THEN {inputs}" for place, (inputs, _) in enumerate(shapes)),
            "values": "\n        ".join(f"WHEN {place} THEN {values}" for place, (_, values) in enumerate(shapes)),
        }

    @property
    def span(self) -> dict[str, tables.Value]:
        """The parameters by which the log's rows are chosen."""
        deployed = [one.subject.deployed_id for one in self.passes]
        return {"start": self.start, "end": self.end, "deployed": json.dumps(deployed)}

    @property
    def parameters(self) -> dict[str, tables.Value]:
        """All parameters of the counting statement."""
        shapes = list(dict.fromkeys(self._drawn))
        listed = [
            drawing.subject_json(one.subject.spec, one.subject.deployed_id, one.subject.definitions)
            | {"shape": shapes.index(drawn)}
            for one, drawn in zip(self.passes, self._drawn, strict=True)
        ]
        given: dict[str, tables.Value] = {
            **self.span,
            "last": self.end - length(self.spec),
            "piece": length(self.spec) // timedelta(microseconds=PIECES),
            "subjects": json.dumps(listed, ensure_ascii=False),
        }
        known = [words for one in self.passes for words in drawing.texts(one.subject.spec, one.subject.definitions)]
        return given | ({"vocabularies": json.dumps(known, ensure_ascii=False)} if known else {})


def together(passes: Iterable[Pass]) -> Iterator[Together]:
    """Passes over the same log and windows, as many at once as one statement takes."""
    groups: dict[tuple[object, ...], list[Pass]] = {}
    for one in passes:
        spec = one.subject.spec
        log = (spec.watched_log(""), spec.log.format)
        groups.setdefault((log, window_unit(spec), one.start, one.end), []).append(one)
    for group in groups.values():
        for piece in _pieces(group):
            yield Together(tuple(piece))


def _pieces(group: Sequence[Pass]) -> Iterator[list[Pass]]:
    held: list[Pass] = []
    shapes: set[str] = set()
    text = given = 0
    for one in group:
        shape, more = _size(one.subject)
        new = 0 if shape in shapes else len(shape)
        ids = {other.subject.deployed_id for other in held}
        if held and (text + new > TEXT or given + more > GIVEN or one.subject.deployed_id in ids):
            yield held
            held, shapes, text, given, new = [], set(), 0, 0, len(shape)
        held.append(one)
        shapes.add(shape)
        text, given = text + new, given + more
    if held:
        yield held


def _size(one: Subject) -> tuple[str, int]:
    """The text of one subject and about how many characters its parameters have."""
    known = drawing.texts(one.spec, one.definitions)
    shape = drawing.inputs(one.spec, one.definitions) + drawing.values(one.spec, one.definitions, 0)
    listed = drawing.subject_json(one.spec, one.deployed_id, one.definitions)
    # Every text has a vocabulary of its own, by whose place its part of the statement differs.
    return shape + (one.deployed_id if known else ""), len(json.dumps([listed, known], ensure_ascii=False))


def window_unit(spec: ModelSpec) -> Literal["hour", "day"]:
    """How long a window of this model is; a day where the model file does not say."""
    return spec.triggers.drift.window if spec.triggers.drift else "day"


def length(spec: ModelSpec) -> timedelta:
    """How long a window of this model is."""
    return timedelta(hours=1) if window_unit(spec) == "hour" else timedelta(days=1)


def log_table(spec: ModelSpec, project: str, dataset: str) -> str:
    """The table that a model's requests are logged in, in back-ticks; ``dataset`` is this system's own."""
    of_dataset, _, name = spec.watched_log(dataset).partition(".")
    return tables.quoted(project, of_dataset, name)
