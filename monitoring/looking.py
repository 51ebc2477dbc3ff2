"""From counted windows to verdicts, spans, an incident and what is to be told: pure, so that a tick can be
repeated.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitoring.baseline import Definitions
from monitoring.counts import Counts, add
from monitoring.incident import LOOK_BACK, step
from monitoring.incident import rebase as rebase_incident
from monitoring.log import Windows, length, window_unit
from monitoring.ordinary import Unit, looked_back_on, reference_for
from monitoring.pairs import members
from monitoring.records import Notice, Span, Watch, to_spreads
from monitoring.telling import audits, publications
from monitoring.verdict import Judged, verdict
from retraining.incidents import Incident
from retraining.modelspec import DriftTrigger, ModelSpec

LONGEST = 14  # windows that are added up at most; then they are judged with the rows they have


@dataclass(frozen=True)
class Joined:
    """Windows in a row, added up until they hold enough rows."""

    start: datetime
    end: datetime
    counts: dict[str, Counts]

    @property
    def rows(self) -> int:
        """Logged rows; every feature sees each of them."""
        return max((one.n for one in self.counts.values()), default=0)


def cycle(spec: ModelSpec) -> int:
    """After how many windows traffic repeats itself: days of a week, or hours of a day."""
    return 24 if window_unit(spec) == "hour" else 7


def advance(
    spec: ModelSpec, definitions: Definitions, watch: Watch, windows: Windows, end: datetime, *, muted: bool
) -> tuple[Watch, list[Judged]]:
    """Judge everything in [watch.judged_until, end) that holds enough rows. While ``muted`` no incident moves."""
    verdicts = []
    for joined in join(windows, watch.judged_until, end, spec):
        if not joined.rows:
            watch = watch.but(judged_until=joined.end)
            continue
        watch, judged = _judge(spec, definitions, watch, windows, joined, muted=muted)
        verdicts.append(judged)
    return watch, verdicts


def join(windows: Windows, start: datetime, end: datetime, spec: ModelSpec) -> list[Joined]:
    """The windows of [start, end), added up to at least the rows that the model file asks for. Windows at the end
    that do not hold enough yet are left for later."""
    least = _trigger(spec).min_rows
    found, held, first = [], [], start
    at = start
    while at < end:
        held.append(windows.get(at, {}))
        at += length(spec)
        joined = Joined(first, at, _sum(held))
        if joined.rows >= least or len(held) >= LONGEST:
            found.append(joined)
            held, first = [], at
    return found


def rebase(watch: Watch, at: datetime, run_id: str) -> tuple[Incident | None, tuple[Notice, ...]]:
    """The incident and what to tell of it once another run's model serves."""
    incident, events = rebase_incident(watch.incident, at, run_id)
    return incident, tuple(audits(incident, events))


def _judge(
    spec: ModelSpec, definitions: Definitions, watch: Watch, windows: Windows, joined: Joined, *, muted: bool
) -> tuple[Watch, Judged]:
    trigger = _trigger(spec)
    phase = _phase(spec, joined)
    history = units(watch.spans, windows, length(spec))
    against = reference_for(definitions, history, phase, cycle(spec), to_spreads(watch.inherited))
    judged = verdict(definitions, spec.name, (joined.start, joined.end), joined.counts, against, trigger)
    if judged.holiday:
        return watch.but(judged_until=joined.end), judged
    incident, notices, recent = watch.incident, watch.notices, watch.recent
    if not muted:
        recent = (*recent, judged)[-LOOK_BACK:]
        importance = {name: one.importance for name, one in definitions.features.items()}
        incident, events = step(incident, recent, trigger.min_effect, importance)
        notices = (*notices, *audits(incident, events), *publications(incident, judged.end))
    moved = {finding.feature for finding in judged.flagged}
    if incident is not None and incident.closed is None:
        moved |= set(incident.features)
    span = Span(start=joined.start, end=joined.end, phase=phase, moved=tuple(sorted(moved)))
    after = watch.but(
        judged_until=joined.end,
        spans=(*_needed(watch.spans, definitions, cycle(spec)), span),
        recent=recent,
        incident=incident,
        notices=notices,
    )
    return after, judged


def units(spans: Sequence[Span], windows: Windows, step_: timedelta) -> list[Unit]:
    """The ordinary features of the judged windows, from the counts that are kept."""
    found = []
    for span in spans:
        starts = [span.start + n * step_ for n in range(round((span.end - span.start) / step_))]
        counts = _sum([windows.get(start, {}) for start in starts])
        ordinary = {name: one for name, one in counts.items() if is_ordinary(name, span.moved)}
        if ordinary:
            found.append(Unit(span.phase, ordinary))
    return found


def _needed(spans: Sequence[Span], definitions: Definitions, cycle_: int) -> list[Span]:
    """The spans that some feature still looks back on."""
    names = definitions.features.keys()
    ordinary = [{name for name in names if is_ordinary(name, one.moved)} if one.moved else names for one in spans]
    return [spans[place] for place in looked_back_on(ordinary, cycle_)]


def is_ordinary(name: str, moved: Collection[str]) -> bool:
    """Whether a series neither moved nor is a pair of which a feature moved."""
    return name not in moved and not any(member in moved for member in members(name))


def _sum(held: Iterable[dict[str, Counts]]) -> dict[str, Counts]:
    by_feature: dict[str, list[Counts]] = {}
    for features in held:
        for name, one in features.items():
            by_feature.setdefault(name, []).append(one)
    return {name: add(parts) for name, parts in by_feature.items()}


def _phase(spec: ModelSpec, joined: Joined) -> int | None:
    if joined.end - joined.start != length(spec):
        return None
    return joined.start.hour if cycle(spec) == 24 else joined.start.weekday()


def _trigger(spec: ModelSpec) -> DriftTrigger:
    return spec.triggers.drift or DriftTrigger()
