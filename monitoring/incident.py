"""Incidents: drift that persisted. One per model; it opens once, grows, and closes once.

One flagged window can be chance or a holiday, so a feature must be flagged in two of the last three windows,
unless it moved so far that nobody has to wait. A fault of the feed (values missing, unseen, or in another
unit) is a data incident: it asks people to look, and never for a training run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from monitoring.advice import advise, calmed, moves
from monitoring.judge import DATA_COMPONENTS, SEVERE
from retraining.incidents import Finding, Incident, Seen, WindowVerdict

PERSISTENT = 2  # of the last LOOK_BACK windows
LOOK_BACK = 3
QUIET = 3  # windows in a row that end an incident
CALM = 0.05  # p-value above which a small remainder is chance
MAX_WINDOWS = 200  # kept in the record


@dataclass(frozen=True)
class Event:
    """Something that people should know."""

    what: Literal["incident opened", "incident grew", "incident became drift", "incident closed"]
    reason: str
    incident: Incident | None = None  # as it then was


def step(
    incident: Incident | None,
    recent: Sequence[WindowVerdict],
    min_effect: float,
    importance: Mapping[str, float] | None = None,
) -> tuple[Incident | None, tuple[Event, ...]]:
    """The incident after the newest window. ``recent`` are the last windows of this baseline, oldest first."""
    newest = recent[-1]
    weights = importance or {}
    if incident is None or incident.closed is not None:
        lasting = _lasting(recent)
        if not lasting:
            return incident, ()
        opened = _open(newest, lasting, weights, min_effect)
        return opened, (Event("incident opened", moves(opened), opened),)
    if newest.flagged:
        return _grow(incident, recent, weights, min_effect)
    quiet = incident.quiet + 1 if is_quiet(newest, incident, min_effect) else 0
    after = _seen(incident.but(quiet=quiet), newest)
    if quiet < QUIET:
        return advise(after, min_effect, QUIET), ()
    return _close(after, newest.end, f"{QUIET} ordinary windows in a row")


def rebase(incident: Incident | None, at: datetime, run_id: str) -> tuple[Incident | None, tuple[Event, ...]]:
    """The incident once another run's model serves: what it was about is over."""
    if incident is None or incident.closed is not None:
        return incident, ()
    return _close(incident, at, f"run {run_id} serves now")


def is_quiet(verdict: WindowVerdict, incident: Incident, min_effect: float) -> bool:
    """Whether the incident's features look ordinary: under half the effect that matters, or well within chance."""
    found = {finding.feature: finding for finding in verdict.findings}
    return all(
        found[name].effect < min_effect / 2 or found[name].p_value > CALM
        for name in incident.features
        if name in found
    )


def is_data(finding: Finding) -> bool:
    """Whether a broken feed explains the finding better than a changed world."""
    return finding.component in DATA_COMPONENTS


def kind_of(findings: Sequence[Finding], importance: Mapping[str, float]) -> Literal["drift", "data"]:
    """What the findings are about: what the strongest of them, by effect and importance, is about."""
    strongest = max(findings, key=lambda one: one.effect * importance.get(one.feature, 1.0))
    return "data" if is_data(strongest) else "drift"


def _lasting(recent: Sequence[WindowVerdict]) -> list[Finding]:
    """Flagged findings of the newest window that persist, or are too large to wait for."""
    before = [{one.feature for one in verdict.flagged} for verdict in recent[-LOOK_BACK:-1]]
    return [
        one
        for one in recent[-1].flagged
        if one.effect > SEVERE or sum(one.feature in names for names in before) >= PERSISTENT - 1
    ]


def _open(
    newest: WindowVerdict, lasting: Sequence[Finding], weights: Mapping[str, float], min_effect: float
) -> Incident:
    opened = Incident(
        incident_id=f"{newest.model}-{newest.end:%Y%m%dT%H%M}",
        model=newest.model,
        kind=kind_of(lasting, weights),
        opened=newest.end,
        features={},
        windows=(newest.end,),
        baseline_id=newest.baseline_id,
    )
    return advise(_seen(_with(opened, lasting, weights), newest), min_effect, QUIET)


def _grow(
    incident: Incident, recent: Sequence[WindowVerdict], weights: Mapping[str, float], min_effect: float
) -> tuple[Incident, tuple[Event, ...]]:
    newest, lasting = recent[-1], _lasting(recent)
    counting = [one for one in newest.flagged if one.feature in incident.features or one in lasting]
    turned = bool(lasting) and incident.kind == "data" and kind_of(lasting, weights) == "drift"
    after = _with(incident, counting, weights).but(
        windows=(*incident.windows, newest.end)[-MAX_WINDOWS:],
        quiet=0,
        kind="drift" if turned else incident.kind,
    )
    after = advise(_seen(after, newest), min_effect, QUIET)
    added = sorted(set(after.features) - set(incident.features))
    events = [Event("incident grew", f"also {', '.join(added)}", after)] if added else []
    if turned:
        events.append(Event("incident became drift", moves(after), after))
    return after, tuple(events)


def _close(incident: Incident, at: datetime, reason: str) -> tuple[Incident, tuple[Event, ...]]:
    closed = calmed(incident.but(closed=at), f"it is over: {reason}")
    return closed, (Event("incident closed", reason, closed),)


def _with(incident: Incident, findings: Sequence[Finding], weights: Mapping[str, float]) -> Incident:
    """The incident with these findings among its features, each with the part that moved furthest; ranked."""
    features, parts = dict(incident.features), dict(incident.parts)
    for one in findings:
        if one.effect >= features.get(one.feature, 0.0):
            features[one.feature], parts[one.feature] = one.effect, one.component
    importance = incident.importance | {name: weights[name] for name in features if name in weights}
    after = incident.but(features=features, parts=parts, importance=importance)
    return after.but(features=dict(after.ranked))


def _seen(incident: Incident, verdict: WindowVerdict) -> Incident:
    """The incident with one more window in its course."""
    found = {finding.feature: finding for finding in verdict.findings}
    seen = Seen(
        end=verdict.end,
        rows=verdict.rows,
        effects={name: found[name].effect for name in incident.features if name in found},
        flagged=tuple(one.feature for one in verdict.flagged),
    )
    return incident.but(course=(*incident.course, seen)[-MAX_WINDOWS:])
