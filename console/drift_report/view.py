"""What the page shows of a model, put together from stored counts, verdicts and incidents: pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import quantiles

from console.drift_report.beside import FEW, Bar, Beside, Span, beside
from monitoring.baseline import PREDICTION, Definition
from monitoring.distances import Distances
from monitoring.estimate import Reference, estimate, learn
from monitoring.looking import cycle
from monitoring.pages import Reign
from monitoring.passes import length
from monitoring.performance import Calibration, DayCounts, Measure, calibration, measure
from monitoring.performance import add as add_days
from monitoring.verdict import Judged
from retraining.incidents import Incident
from retraining.modelspec import DriftTrigger, ModelSpec

NOW = timedelta(days=7)  # a whole week, so that weekdays are even
ORDINARY_SHARE = 0.95  # of the ordinary windows, that the band holds
FIRST_DAYS = 28  # of a model with all their labels: what its loss is expected from
LAST_DAYS = 28
MATURE = 0.9  # share of labels that must have come


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
    distances: Distances | None = None  # of now from before

    @property
    def worst(self) -> float:
        """The strongest effect among flagged windows."""
        return max((point.effect for point in self.points if point.flagged), default=0.0)

    def late(self, back: timedelta) -> tuple[float | None, bool]:
        """The strongest effect of the newest windows, and whether any of them was flagged."""
        last = [one for one in self.points if one.end > self.points[-1].end - back]
        return max((one.effect for one in last), default=None), any(one.flagged for one in last)


@dataclass(frozen=True)
class Quiet:
    """Holidays in a row, from which nothing follows."""

    name: str
    start: datetime
    end: datetime


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
    holidays: tuple[Quiet, ...] = ()


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
    now = (max(last.windows) - NOW + length(spec), span[1])
    series = [
        series_view(one, shown, apart(one.name, shown, incidents), part)
        for one in last.definitions.features.values()
        for part in [compared(spec, last, one, shown, incidents, now)]
    ]
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
        holidays=holidays(shown),
    )


def compared(
    spec: ModelSpec,
    reign: Reign,
    definition: Definition,
    verdicts: Sequence[Judged],
    incidents: Sequence[Incident],
    span: Span,
) -> Beside:
    """The windows of ``span`` beside the ordinary ones before: of the same weekday or hour, if it is one window."""
    phase = None
    if span[1] - span[0] == length(spec):
        phase = span[0].hour if cycle(spec) == 24 else span[0].weekday()
    return beside(definition, reign.windows, span, apart(definition.name, verdicts, incidents), phase, cycle(spec))


def series_view(
    definition: Definition, verdicts: Sequence[Judged], moved: Sequence[Span], shown: Beside
) -> SeriesView:
    """A series over the windows of ``verdicts``, of which those in ``moved`` were not ordinary."""
    found = points(definition.name, verdicts)
    calm = [one.effect for one in found if not any(begin <= one.start < until for begin, until in moved)]
    return SeriesView(
        name=definition.name,
        kind=definition.kind,
        importance=definition.importance,
        bars=shown.bars,
        points=found,
        band=quantiles(calm, n=20)[-1] if len(calm) >= FEW else None,
        rows_now=shown.now.n if shown.now else 0,
        rows_before=shown.before.n,
        against=shown.against,
        distances=shown.distances,
    )


def points(name: str, verdicts: Sequence[Judged]) -> tuple[Point, ...]:
    """One feature in every window in which it was judged."""
    return tuple(
        Point(one.start, one.end, finding.effect, finding.flagged, one.minimum_detectable)
        for one in verdicts
        for finding in one.findings
        if finding.feature == name
    )


def apart(name: str, verdicts: Sequence[Judged], incidents: Sequence[Incident]) -> list[Span]:
    """When the feature was flagged or in an open incident, and holidays: not ordinary."""
    far = datetime.max.replace(tzinfo=UTC)
    flagged = [(one.start, one.end) for one in points(name, verdicts) if one.flagged]
    free = [(one.start, one.end) for one in verdicts if one.holiday]
    return [*flagged, *free, *((one.opened, one.closed or far) for one in incidents if name in one.features)]


def holidays(verdicts: Sequence[Judged]) -> tuple[Quiet, ...]:
    """Holidays as they were judged; windows of the same one that touch make one."""
    found: list[Quiet] = []
    for one in sorted(verdicts, key=lambda one: one.start):
        if one.holiday and found and (found[-1].name, found[-1].end) == (one.holiday, one.start):
            found[-1] = Quiet(one.holiday, found[-1].start, one.end)
        elif one.holiday:
            found.append(Quiet(one.holiday, one.start, one.end))
    return tuple(found)


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
