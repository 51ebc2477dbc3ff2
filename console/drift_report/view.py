"""What the page shows of a model, put together from stored counts, verdicts and incidents: pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import quantiles

from monitoring.baseline import PREDICTION, Definition
from monitoring.counts import Counts, add
from monitoring.estimate import Reference, estimate, learn
from monitoring.pages import Reign
from monitoring.performance import Calibration, DayCounts, Measure, calibration, measure
from monitoring.performance import add as add_days
from monitoring.verdict import Judged
from retraining.incidents import Incident
from retraining.modelspec import DriftTrigger, ModelSpec

NOW = timedelta(days=7)  # a whole week, so that weekdays are even
ORDINARY_SHARE = 0.95  # of the ordinary windows, that the band holds
FEW = 8  # ordinary windows, without which there is no band
FIRST_DAYS = 28  # of a model with all their labels: what its loss is expected from
LAST_DAYS = 28
MATURE = 0.9  # share of labels that must have come


@dataclass(frozen=True)
class Bar:
    """One cell: its share now and on ordinary days; None where the cell means nothing there."""

    label: str
    now: float
    before: float
    is_fault: bool = False  # missing or unseen values: of all rows, not of those with a value


@dataclass(frozen=True)
class Point:
    """One feature in one window."""

    start: datetime
    end: datetime
    effect: float
    flagged: bool
    least: float  # the smallest effect that the window could have shown


@dataclass(frozen=True)
class SeriesView:
    """One input, the prediction, or a pair of inputs."""

    name: str
    kind: str
    importance: float
    bars: tuple[Bar, ...]
    points: tuple[Point, ...]
    band: float | None  # effects of ordinary windows stay below it
    rows_now: int
    rows_before: int
    against: str  # "ordinary days" or "training rows"

    @property
    def worst(self) -> float:
        """The strongest effect among flagged windows."""
        return max((point.effect for point in self.points if point.flagged), default=0.0)


@dataclass(frozen=True)
class Volume:
    """Requests in one window."""

    start: datetime
    end: datetime
    rows: float


@dataclass(frozen=True)
class LossPoint:
    """One prediction day: the loss that came true and the one that was expected, where they are known."""

    start: datetime
    came: Measure | None
    expected: Measure | None


@dataclass(frozen=True)
class SliceLine:
    """How the model does in one group of rows."""

    column: str
    value: str
    rows: int
    loss: Measure


@dataclass(frozen=True)
class Performance:
    """How well the model did, as far as labels have come."""

    metric: str
    losses: tuple[LossPoint, ...]
    calibration: tuple[Calibration, ...]
    slices: tuple[SliceLine, ...]
    measures: dict[str, Measure]
    days: int  # how many of the last mature ones calibration, slices and measures are of


@dataclass(frozen=True)
class View:
    """The whole page."""

    model: str
    run_id: str
    start: datetime
    end: datetime
    unit: str
    min_effect: float
    alpha: float
    verdicts: tuple[Judged, ...]
    incidents: tuple[Incident, ...]  # newest first
    series: tuple[SeriesView, ...]  # what moved most first, the prediction at the head
    volumes: tuple[Volume, ...]
    performance: Performance | None
    importance: dict[str, float]


def view(
    spec: ModelSpec,
    reigns: Sequence[Reign],
    verdicts: Sequence[Judged],
    incidents: Sequence[Incident],
    days: Sequence[DayCounts],
    span: tuple[datetime, datetime],
) -> View:
    """The page of [start, end). Distributions are those of the model that serves now; effects go back further."""
    trigger = spec.triggers.drift or DriftTrigger()
    shown = tuple(one for one in verdicts if span[0] <= one.start < span[1])
    last = reigns[-1]
    series = [_series(last, one, shown, incidents) for one in last.definitions.features.values()]
    kept = [one for one in series if one.kind != "pair" or one.worst]
    return View(
        model=spec.name,
        run_id=last.run_id,
        start=span[0],
        end=span[1],
        unit=trigger.window,
        min_effect=trigger.min_effect,
        alpha=trigger.alpha,
        verdicts=shown,
        incidents=tuple(one for one in incidents if one.opened < span[1] and (one.closed or span[1]) >= span[0]),
        series=tuple(sorted(kept, key=lambda one: (one.name != PREDICTION, -one.worst * one.importance, one.name))),
        volumes=_volumes(reigns, trigger.window),
        performance=_performance(spec, days),
        importance={name: one.importance for name, one in last.definitions.features.items()},
    )


def _series(
    reign: Reign, definition: Definition, verdicts: Sequence[Judged], incidents: Sequence[Incident]
) -> SeriesView:
    name = definition.name
    points = tuple(
        Point(one.start, one.end, finding.effect, finding.flagged, one.minimum_detectable)
        for one in verdicts
        for finding in one.findings
        if finding.feature == name
    )
    end = max(reign.windows)
    late = [one[name] for at, one in reign.windows.items() if at > end - NOW and name in one]
    moved = _moved(name, points, incidents)
    early = [
        one[name]
        for at, one in reign.windows.items()
        if at <= end - NOW and name in one and not any(begin <= at < until for begin, until in moved)
    ]
    now = add(late) if late else None
    before = add(early) if len(early) >= FEW else definition.training
    calm = [one.effect for one in points if not any(begin <= one.start < until for begin, until in moved)]
    return SeriesView(
        name=name,
        kind=definition.kind,
        importance=definition.importance,
        bars=_bars(definition, now, before) if now else (),
        points=points,
        band=quantiles(calm, n=20)[-1] if len(calm) >= FEW else None,
        rows_now=now.n if now else 0,
        rows_before=before.n,
        against="ordinary days" if len(early) >= FEW else "training rows",
    )


def _moved(name: str, points: Sequence[Point], incidents: Sequence[Incident]) -> list[tuple[datetime, datetime]]:
    """When the feature was flagged or in an open incident."""
    far = datetime.max.replace(tzinfo=UTC)
    flagged = [(one.start, one.end) for one in points if one.flagged]
    return flagged + [(one.opened, one.closed or far) for one in incidents if name in one.features]


def _bars(definition: Definition, now: Counts, before: Counts) -> tuple[Bar, ...]:
    labels = cell_labels(definition)
    held, held_before = max(1, sum(now.cells)), max(1, sum(before.cells))
    cells = [
        Bar(label, here / held, there / held_before)
        for label, here, there in zip(labels, now.cells, before.cells, strict=True)
    ]
    faults = [("missing", now.n_null + now.n_unparseable, before.n_null + before.n_unparseable)]
    if definition.complete:
        faults.append(("unseen", now.n_unseen, before.n_unseen))
    return (
        *cells,
        *(Bar(label, here / max(1, now.n), there / max(1, before.n), True) for label, here, there in faults),
    )


def cell_labels(definition: Definition) -> list[str]:
    """What each cell holds, for people."""
    if definition.kind == "pair":
        return [f"{a + 1}·{b + 1}" for a in range(4) for b in range(4)]
    if definition.kind == "categorical":
        return [*definition.categories, "others"]
    edges = [f"{edge:.3g}" for edge in definition.edges]
    if not edges:
        return ["all"]
    inner = [f"{low} to {high}" for low, high in pairwise(edges)]
    return [f"below {edges[0]}", *inner, f"from {edges[-1]}"]


def _volumes(reigns: Sequence[Reign], unit: str) -> tuple[Volume, ...]:
    step = timedelta(hours=1) if unit == "hour" else timedelta(days=1)
    rows: dict[datetime, float] = {}
    for reign in reigns:
        for at, features in reign.windows.items():
            rows[at] = rows.get(at, 0.0) + max((one.requests for one in features.values()), default=0.0)
    return tuple(Volume(at, at + step, rows[at]) for at in sorted(rows))


def _performance(spec: ModelSpec, days: Sequence[DayCounts]) -> Performance | None:
    task, metric = spec.training.task, spec.gate.metric
    whole = [one for one in days if not one.column]
    mature = [one for one in whole if one.is_mature(MATURE)]
    if not mature:
        return None
    reference = learn(task, mature[:FIRST_DAYS])
    late = mature[-LAST_DAYS:]
    slices = [one for one in days if one.column and one.is_mature(MATURE) and one.start >= late[0].start]
    total = measure(task, add_days(late))
    name = metric if metric in total else next(iter(total))
    return Performance(
        metric=name,
        losses=tuple(
            LossPoint(
                one.start,
                measure(task, one).get(name) if one.is_mature(MATURE) else None,
                _expected(reference, one, name),
            )
            for one in whole
        ),
        calibration=calibration(add_days(late), task),
        slices=tuple(_slices(spec, slices, name)),
        measures=total,
        days=len(late),
    )


def _expected(reference: Reference | None, day: DayCounts, metric: str) -> Measure | None:
    return estimate(reference, day).get(metric) if reference is not None else None


def _slices(spec: ModelSpec, days: Sequence[DayCounts], metric: str) -> list[SliceLine]:
    groups: dict[tuple[str, str], list[DayCounts]] = {}
    for one in days:
        groups.setdefault((one.column, one.value), []).append(one)
    found = []
    for (column, value), parts in groups.items():
        measured = measure(spec.training.task, add_days(parts)).get(metric)
        if measured is not None:
            found.append(SliceLine(column, value, measured.rows, measured))
    return sorted(found, key=lambda one: (one.column, -one.rows))
