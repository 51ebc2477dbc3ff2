"""What the monitor remembers between ticks: one small record per model, and the verdicts of its last windows."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

from monitoring.feed import Arrival
from monitoring.judge import Spreads
from monitoring.variation import Spread
from monitoring.verdict import Judged
from retraining import migrations
from retraining.errors import Conflict, Exists
from retraining.incidents import Finding, Incident
from retraining.ports import Store
from retraining.record import Record

LIMIT = 400  # verdicts that can be read back
CHUNKS = {"day": 14, "hour": 17}  # objects of a month or a day each that hold at least LIMIT verdicts
ATTEMPTS = 5


class Span(Record):
    """One judged window. ``moved`` features were flagged or in an open incident, and are no ordinary ones."""

    start: datetime
    end: datetime
    phase: int | None  # weekday or hour; None when it spans several
    moved: tuple[str, ...] = ()


class Learnt(Record):
    """Ordinary variation of one component."""

    excess: float
    squared: float
    free: int


class Notice(Record):
    """Something to tell once the record is safely written; telling it twice is harmless."""

    kind: Literal["audit", "publish"]
    what: str = ""
    body: str = ""
    details: dict[str, str] = {}


class Compared(Record):
    """A mean loss beside the reference's; positive is worse."""

    standing: Literal["fine", "worse", "cannot tell"]
    difference: float
    low: float
    high: float
    p_value: float
    rows: int
    reason: str


class Performed(Record):
    """What a day's look at the labels said. Metrics are name → value, low and high."""

    at: datetime
    mature_until: datetime | None = None  # end of the last judged day; later ones lack labels
    metrics: dict[str, tuple[float, float, float]] = {}  # of that day
    estimates: dict[str, tuple[float, float, float]] = {}  # of the last week's answers, labelled or not
    reference: float | None = None  # the mean loss of this champion's first days
    realised: Compared | None = None
    expected: Compared | None = None  # before labels come
    concept: Compared | None = None  # realised beside what was to be expected of the same rows
    slices: dict[str, Compared] = {}  # "column=value" → realised beside the group's own reference

    @property
    def worse(self) -> bool:
        """Whether the loss is worse than the reference by more than the tolerance."""
        return any(one is not None and one.standing == "worse" for one in (self.realised, self.expected))


class Watch(Record):
    """What the monitor knows of one model."""

    format = migrations.WATCH

    model: str
    run_id: str  # whose training rows the cells come from
    deployed_id: str  # whose requests are counted
    since: datetime  # start of the first window counted for it
    judged_until: datetime  # end of the last judged window
    spans: tuple[Span, ...] = ()  # judged windows, oldest first
    recent: tuple[Judged, ...] = ()  # the newest verdicts that incidents look at
    incident: Incident | None = None
    inherited: dict[str, dict[str, Learnt]] = {}  # what the windows of the model before taught
    notices: tuple[Notice, ...] = ()  # not told yet
    arrivals: tuple[Arrival, ...] = ()  # of the newest windows, oldest first, with what was broken in them
    performed: tuple[Performed, ...] = ()  # the newest verdicts about losses, oldest first
    labelled_until: datetime | None = None  # days before this one are counted for good


def watch_path(model: str) -> str:
    """The record of one model."""
    return f"monitor/{model}.json"


def to_learnt(spreads: Spreads) -> dict[str, dict[str, Learnt]]:
    """Variation as a record. Cells of other features mean other things, so of many cells the widest is kept."""
    return {name: {part: _widest(one) for part, one in parts.items()} for name, parts in spreads.items()}


def _widest(spread: Spread) -> Learnt:
    widest = max((spread, *spread.cells), key=lambda one: one.excess)
    return Learnt(excess=widest.excess, squared=widest.squared, free=spread.free)


def to_spreads(learnt: Mapping[str, Mapping[str, Learnt]]) -> Spreads:
    """The other way round."""
    return {
        name: {part: Spread(one.excess, one.squared, one.free) for part, one in parts.items()}
        for name, parts in learnt.items()
    }


class Line(Record):
    """A verdict with its findings as short rows: feature, effect, p-value, component, flagged."""

    verdict: Judged
    findings: tuple[tuple[str, float, float, str, bool], ...]


class Chunk(Record):
    """Verdicts of one month of days, or of one day of hours, oldest first."""

    format = migrations.CHUNK

    lines: tuple[Line, ...] = ()


def keep(store: Store, model: str, window: Literal["hour", "day"], verdicts: Iterable[Judged]) -> None:
    """Add verdicts to the model's history; one of the same start is replaced."""
    by_chunk: dict[str, list[Judged]] = {}
    for verdict in verdicts:
        name = f"{verdict.start:%Y%m}" if window == "day" else f"{verdict.start:%Y%m%d}"
        by_chunk.setdefault(f"{_folder(model)}{name}.json", []).append(verdict)
    for path, added in by_chunk.items():
        _add(store, path, added)
    if by_chunk:
        for path in store.list(_folder(model))[: -CHUNKS[window]]:
            store.delete(path)


def history(store: Store, model: str, limit: int = LIMIT) -> list[Judged]:
    """The newest verdicts of a model, oldest first; at most ``limit``, and at least LIMIT are kept."""
    found: list[Judged] = []
    for path in reversed(store.list(_folder(model))):
        stored = store.read(path)
        if stored is not None:
            found = [_unpacked(line) for line in Chunk.from_json(stored.body).lines] + found
        if len(found) >= limit:
            break
    return found[-limit:]


def _add(store: Store, path: str, added: Iterable[Judged]) -> None:
    for attempt in range(ATTEMPTS):
        stored = store.read(path)
        chunk = Chunk.from_json(stored.body) if stored else Chunk()
        lines = {line.verdict.start: line for line in chunk.lines} | {one.start: _packed(one) for one in added}
        body = chunk.but(lines=tuple(lines[start] for start in sorted(lines))).to_json()
        try:
            if stored is None:
                store.create(path, body)
            elif stored.body != body:
                store.replace(path, body, stored.version)
        except (Conflict, Exists):
            if attempt == ATTEMPTS - 1:
                raise
        else:
            return


def _packed(verdict: Judged) -> Line:
    rows = tuple((f.feature, f.effect, float(f"{f.p_value:.3g}"), f.component, f.flagged) for f in verdict.findings)
    return Line(verdict=verdict.but(findings=()), findings=rows)


def _unpacked(line: Line) -> Judged:
    return line.verdict.but(
        findings=tuple(
            Finding(feature=feature, effect=effect, p_value=p_value, component=component, flagged=flagged)
            for feature, effect, p_value, component, flagged in line.findings
        )
    )


def _folder(model: str) -> str:
    return f"monitor/{model}/"
