"""Incidents: drift that persisted. One per model; it opens once, grows, and closes once.

One flagged window can be chance or a holiday, so a feature must be flagged in two of the last three windows,
unless it moved so far that nobody has to wait. A fault of the feed (values missing, unseen, or in another
unit) is a data incident: it asks people to look, and never for a training run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from monitoring.judge import DATA_COMPONENTS, SEVERE
from retraining.incidents import Finding, Incident, WindowVerdict

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
        opened = _open(newest, lasting, weights)
        return opened, (Event("incident opened", _names(opened.features)),)
    if newest.flagged:
        return _grow(incident, recent, weights)
    if not is_quiet(newest, incident, min_effect):
        return incident.but(quiet=0), ()
    quiet = incident.quiet + 1
    if quiet < QUIET:
        return incident.but(quiet=quiet), ()
    closed = incident.but(quiet=quiet, closed=newest.end)
    return closed, (Event("incident closed", f"{QUIET} ordinary windows in a row"),)


def rebase(incident: Incident | None, at: datetime, run_id: str) -> tuple[Incident | None, tuple[Event, ...]]:
    """The incident once another run's model serves: what it was about is over."""
    if incident is None or incident.closed is not None:
        return incident, ()
    return incident.but(closed=at), (Event("incident closed", f"run {run_id} serves now"),)


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


def _open(newest: WindowVerdict, lasting: Sequence[Finding], weights: Mapping[str, float]) -> Incident:
    return Incident(
        incident_id=f"{newest.model}-{newest.end:%Y%m%dT%H%M}",
        model=newest.model,
        kind=kind_of(lasting, weights),
        opened=newest.end,
        features={one.feature: one.effect for one in lasting},
        windows=(newest.end,),
        baseline_id=newest.baseline_id,
    )


def _grow(
    incident: Incident, recent: Sequence[WindowVerdict], weights: Mapping[str, float]
) -> tuple[Incident, tuple[Event, ...]]:
    newest, lasting = recent[-1], _lasting(recent)
    features = dict(incident.features)
    for finding in newest.flagged:
        if finding.feature in features or finding in lasting:
            features[finding.feature] = max(finding.effect, features.get(finding.feature, 0.0))
    added = sorted(set(features) - set(incident.features))
    turned = bool(lasting) and incident.kind == "data" and kind_of(lasting, weights) == "drift"
    windows = (*incident.windows, newest.end)[-MAX_WINDOWS:]
    after = incident.but(features=features, windows=windows, quiet=0, kind="drift" if turned else incident.kind)
    events = [Event("incident grew", f"also {', '.join(added)}")] if added else []
    if turned:
        events.append(Event("incident became drift", _names(features)))
    return after, tuple(events)


def _names(features: Mapping[str, float]) -> str:
    ranked = sorted(features.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} moved by {effect:.2f} standard deviations" for name, effect in ranked[:5])
