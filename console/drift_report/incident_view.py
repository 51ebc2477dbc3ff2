"""What the page of one incident shows: its features before, while and after it was open, and what followed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from console.drift_report.beside import Beside, Span
from console.drift_report.view import Point, SeriesView, View, apart, compared, holidays, series_view
from monitoring.baseline import Definition
from monitoring.counts import Counts
from monitoring.judge import NOTHING_VISIBLE
from monitoring.looking import cycle
from monitoring.pages import Reign
from monitoring.passes import length
from monitoring.verdict import Judged
from retraining import names
from retraining.incidents import Incident, Seen
from retraining.modelspec import DriftTrigger, ModelSpec
from retraining.ports import Store
from retraining.records import Run
from retraining.state import read_run

BEFORE, AFTER = 3, 1  # cycles of traffic (weeks, days of hours) that are shown before it opened and after it closed
LATE = timedelta(days=7)  # after it closed, in which a run may still be opened because of it


@dataclass(frozen=True)
class IncidentView:
    """The whole page."""

    incident: Incident
    page: View  # of the incident's features and time
    worst: Seen | None  # the window in which it weighed most
    runs: tuple[Run, ...]  # that it asked for or held back, oldest first


def incident_view(
    spec: ModelSpec,
    incident: Incident,
    reigns: Sequence[Reign],
    verdicts: Sequence[Judged],
    incidents: Sequence[Incident],
    runs: Sequence[Run],
    now: datetime,
) -> IncidentView:
    """The page of ``incident``; ``verdicts`` and ``reigns`` may begin long before it, so that its ordinary days are
    known, and may lack it: what the incident itself remembers is shown then."""
    span = shown(spec, incident, now)
    trigger = spec.triggers.drift or DriftTrigger()
    worst = max(incident.course, key=lambda seen: _weight(incident, seen), default=None)
    known = [one for one in verdicts if one.start < span[1]]
    reign = _reign(reigns, incident, worst)
    series = (
        _series(spec, incident, name, reign, known, incidents, _window(spec, worst, known))
        for name, _ in incident.ranked
    )
    return IncidentView(
        incident=incident,
        page=View(
            model=spec.name,
            run_id=incident.baseline_id,
            start=span[0],
            end=span[1],
            unit=trigger.window,
            min_effect=trigger.min_effect,
            alpha=trigger.alpha,
            verdicts=tuple(one for one in known if one.start >= span[0]),
            incidents=tuple(one for one in incidents if one.opened < span[1] and (one.closed or now) >= span[0]),
            series=tuple(replace(one, points=tuple(p for p in one.points if p.start >= span[0])) for one in series),
            volumes=(),
            performance=None,
            importance=incident.importance,
            holidays=holidays([one for one in known if one.start >= span[0]]),
        ),
        worst=worst,
        runs=tuple(runs),
    )


def shown(spec: ModelSpec, incident: Incident, now: datetime) -> Span:
    """From some cycles before it opened to one after it closed, as far as there was time."""
    turn = cycle(spec) * length(spec)
    end = incident.closed + AFTER * turn if incident.closed else now
    return incident.opened - BEFORE * turn, max(incident.opened + length(spec), min(end, now))


def runs_of(store: Store, incident: Incident, now: datetime) -> list[Run]:
    """The runs whose triggers or decision name the incident, oldest first; of the months in which it was open."""
    end = min(incident.closed + LATE if incident.closed else now, now)
    prefixes = [
        names.run_path(f"{incident.model}-{month}").removesuffix(".json") for month in _months(incident, end)
    ]
    paths = [path for prefix in prefixes for path in store.list(prefix)]
    ids = sorted(path.removeprefix("runs/").removesuffix(".json") for path in paths)
    read = (read_run(store, run_id) for run_id in ids)
    return [found[0] for found in read if found and _names(found[0], incident)]


def _months(incident: Incident, end: datetime) -> Iterator[str]:
    at = incident.opened.replace(day=1)
    while at <= end:
        yield f"{at:%Y%m}"
        at = (at + timedelta(days=32)).replace(day=1)


def _names(run: Run, incident: Incident) -> bool:
    asked = any(cause.details.get("incident") == incident.incident_id for cause in run.causes)
    return asked or (run.decision is not None and incident.incident_id in run.decision.text.split())


def _weight(incident: Incident, seen: Seen) -> float:
    weights = (effect * incident.importance.get(name, 1.0) for name, effect in seen.effects.items())
    return max(weights, default=0.0)


def _window(spec: ModelSpec, worst: Seen | None, verdicts: Sequence[Judged]) -> Span | None:
    """When the worst window began, which small windows that were added up did earlier."""
    if worst is None:
        return None
    start = next((one.start for one in verdicts if one.end == worst.end), worst.end - length(spec))
    return start, worst.end


def _reign(reigns: Sequence[Reign], incident: Incident, worst: Seen | None) -> Reign | None:
    """The counts of the model that served when it was worst."""
    found = [one for one in reigns if one.run_id == incident.baseline_id]
    at = worst.end if worst else incident.opened
    return next((one for one in reversed(found) if one.start < at), found[0] if found else None)


def _series(
    spec: ModelSpec,
    incident: Incident,
    name: str,
    reign: Reign | None,
    verdicts: Sequence[Judged],
    incidents: Sequence[Incident],
    window: Span | None,
) -> SeriesView:
    """One feature. What is no feature, or is counted no more, has its course alone."""
    definition = reign.definitions.features.get(name) if reign else None
    if definition is None or reign is None or window is None:
        nothing = Counts(0, 0, 0, 0, 0, 0, ())
        definition = Definition(name, "numeric", nothing, importance=incident.importance.get(name, 1.0))
        beside = Beside(None, nothing, "", definition)
    else:
        beside = compared(spec, reign, definition, verdicts, incidents, window)
    found = series_view(definition, verdicts, apart(name, verdicts, incidents), beside)
    judged = {one.end for one in found.points}
    remembered = [
        Point(seen.end - length(spec), seen.end, seen.effects[name], name in seen.flagged, NOTHING_VISIBLE)
        for seen in incident.course
        if name in seen.effects and seen.end not in judged
    ]
    return replace(found, points=tuple(sorted((*found.points, *remembered), key=lambda one: one.start)))
