"""Stored counts judged again with other settings: pure, the log is not touched.

The monitor's own judge gives the verdicts, with the same references and incidents. What makes a year take seconds
is a bound: no component's effect exceeds the distance of the cells it looks at. A feature whose cells lie closer to
its reference than any effect that counts cannot be flagged, nor can one that chance alone explains; so how much
their ordinary days vary need not be learnt. Findings are given for the other features only.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from monitoring.baseline import Definition, Definitions
from monitoring.components import components, vector
from monitoring.counts import Counts, add
from monitoring.incident import LOOK_BACK, step
from monitoring.judge import FEW_ROWS, SEVERE, Rule, Spreads, from_training, judge_feature
from monitoring.log import Windows, length
from monitoring.looking import Joined, cycle, is_ordinary, join
from monitoring.ordinary import KEEP, Past, alike, reference_from
from monitoring.statistics import ONE_SIDED, compare
from monitoring.variation import CHANCE
from monitoring.verdict import Judged, verdict
from retraining.incidents import Incident
from retraining.modelspec import DriftTrigger, ModelSpec

# A pair's reference is given the window's margins first, which brings it closer in relative entropy, not in the
# distance here; where they differ by more than this, both are far beyond any effect that counts.
PAIR_ROOM = 2.0


@dataclass(frozen=True)
class Replayed:
    """What would have been concluded."""

    verdicts: tuple[Judged, ...]
    incidents: tuple[Incident, ...]  # oldest first; the last one may be open
    learnt: Spreads  # ordinary variation at the end, which the next model's windows begin with


@dataclass
class _Pass:
    """One pass over the windows: what is known so far."""

    spec: ModelSpec
    definitions: Definitions
    trigger: DriftTrigger
    tests: int
    inherited: Spreads
    broken: Collection[datetime]
    past: dict[str, list[Past]] = field(default_factory=lambda: defaultdict(list))  # ordinary windows by feature
    recent: tuple[Judged, ...] = ()
    incident: Incident | None = None


def replay(
    spec: ModelSpec,
    definitions: Definitions,
    windows: Windows,
    start: datetime,
    end: datetime,
    inherited: Spreads | None = None,
    broken: Collection[datetime] = (),
) -> Replayed:
    """Judge the windows of [start, end) in their order, with the settings of ``spec``; earlier ones in ``windows``
    are looked at, too, so that ordinary variation is known by then, and left out of the answer.

    Args:
        inherited: what the windows of the model before taught.
        broken: starts of windows whose feed was broken. As on holidays, nothing follows from them.
    """
    first = min((at for at in windows if at < start), default=start)
    trigger = spec.triggers.drift or DriftTrigger()
    tests = sum(len(components(one)) for one in definitions.features.values())
    going = _Pass(spec, definitions, trigger, tests, inherited or {}, broken)
    verdicts: list[Judged] = []
    incidents: dict[str, Incident] = {}
    for joined in join(windows, first, end, spec):
        if joined.rows:
            judged = _look(going, joined)
            if joined.end > start:
                verdicts.append(judged)
        if going.incident is not None and (going.incident.closed or going.incident.opened) >= start:
            incidents[going.incident.incident_id] = going.incident
    return Replayed(tuple(verdicts), tuple(incidents.values()), _learnt(going))


def _learnt(going: _Pass) -> Spreads:
    learnt = reference_from(going.definitions, going.past, None, cycle(going.spec)).spreads
    return {**going.inherited, **learnt}


def _look(going: _Pass, joined: Joined) -> Judged:
    """Judge one window and remember what it teaches."""
    phase = _phase(going.spec, joined)
    judged = _judge(going, joined, phase)
    if judged.holiday or any(joined.start <= at < joined.end for at in going.broken):
        return judged
    going.recent = (*going.recent, judged)[-LOOK_BACK:]
    importance = {name: one.importance for name, one in going.definitions.features.items()}
    going.incident, _ = step(going.incident, going.recent, going.trigger.min_effect, importance)
    moved = {finding.feature for finding in judged.flagged} | set(_watched(going))
    keep = KEEP[cycle(going.spec)]
    for name, one in joined.counts.items():
        if is_ordinary(name, moved):
            going.past[name] = [*going.past[name], (phase, one)][-keep:]
    return judged


def _judge(going: _Pass, joined: Joined, phase: int | None) -> Judged:
    """The monitor's own verdict on the features that could be flagged, at the level of all of them."""
    nearby = dict(_references(going, phase))
    far = [
        name
        for name, one in going.definitions.features.items()
        if name in joined.counts
        and (name in _watched(going) or _is_far(going, one, joined.counts[name], nearby[name]))
    ]
    some = Definitions(going.definitions.baseline_id, {name: going.definitions.features[name] for name in far})
    share = sum(len(components(one)) for one in some.features.values()) / max(1, going.tests)
    against = reference_from(some, going.past, phase, cycle(going.spec), going.inherited)
    judged = verdict(
        some,
        going.spec.name,
        (joined.start, joined.end),
        _only(joined.counts, far),
        against,
        going.trigger.model_copy(update={"alpha": going.trigger.alpha * share}),
    )
    quiet: Literal["too_few", "ordinary"] = "too_few" if joined.rows < FEW_ROWS else "ordinary"
    return judged.but(rows=joined.rows, kind=judged.kind if judged.flagged else quiet)


def _watched(going: _Pass) -> Mapping[str, float]:
    """The features of the open incident, which are judged in any case."""
    return going.incident.features if going.incident is not None and going.incident.closed is None else {}


def _references(going: _Pass, phase: int | None) -> Iterator[tuple[str, Counts]]:
    """The rows that each feature will be compared with; as in ``reference_for``, without what has to be learnt."""
    for name, definition in going.definitions.features.items():
        units = going.past[name]
        if len(units) < 2 * cycle(going.spec):
            yield name, definition.training
        else:
            yield name, add(alike(units, phase) or [one for _, one in units])


def _is_far(going: _Pass, definition: Definition, window: Counts, nearby: Counts) -> bool:
    """Whether any component could count, against ordinary windows or against the training rows."""
    rule = Rule(going.trigger.alpha, going.trigger.min_effect)
    left = False
    for component in components(definition):
        least = rule.least(component, complete=definition.complete, known=True)
        if _could_count(going, definition, component, window, nearby, least):
            return True
        since_training = least if component == "unseen" else max(least, SEVERE)
        left = left or _reaches(definition, component, window, definition.training, since_training)
    return left and _left_training(going, definition, window)


def _left_training(going: _Pass, definition: Definition, window: Counts) -> bool:
    """Whether the feature is flagged beside the training rows, as ``verdict`` asks once ordinary days are known."""
    one = from_training(Definitions(going.definitions.baseline_id, {definition.name: definition}))
    rule = Rule(going.trigger.alpha, going.trigger.min_effect, cautious=True, plain=frozenset({"unseen"}))
    return judge_feature(definition, window, one, rule, going.trigger.alpha / going.tests).flagged


def _could_count(
    going: _Pass, definition: Definition, component: str, window: Counts, nearby: Counts, least: float
) -> bool:
    """Whether the component would count if ordinary windows did not vary at all; then it is looked at closely."""
    if not _reaches(definition, component, window, nearby, least):
        return False
    if nearby is definition.training:
        return True
    moved = compare(definition, component, window, nearby, CHANCE)
    return moved.effect > least and moved.p_value < going.trigger.alpha / going.tests


def _reaches(definition: Definition, component: str, window: Counts, reference: Counts, least: float) -> bool:
    ours, theirs = vector(definition, window, component), vector(definition, reference, component)
    if component in ONE_SIDED and ours[0] * sum(theirs) <= theirs[0] * sum(ours):
        return False
    room = PAIR_ROOM if definition.kind == "pair" else 1.0
    return room * distance(ours, theirs) > least**2


def distance(ours: Sequence[int], theirs: Sequence[int]) -> float:
    """A bound on the squared effect of every component that looks at these cells.

    By Cauchy and Schwarz no score separates the rows by more than their chi-squared distance, whether the cells are
    weighed by rows or evenly; and adding cells up only makes it smaller.
    """
    n, m = sum(ours), sum(theirs)
    if not n or not m:
        return 0.0
    by_rows = evenly = 0.0
    for a, b in zip(ours, theirs, strict=True):
        if a or b:
            squared = (a / n - b / m) ** 2
            by_rows += squared / (a + b)
            evenly += squared / (a / n + b / m)
    return max(by_rows * (n + m), 2 * evenly)


def with_settings(spec: ModelSpec, **changes: object) -> ModelSpec:
    """The model file with other settings of its drift trigger; those that are None stay. Raises ValueError for a
    value that the model file would refuse."""
    drift = spec.triggers.drift or DriftTrigger()
    body = drift.model_dump() | {name: value for name, value in changes.items() if value is not None}
    trigger = DriftTrigger.model_validate(body)
    return spec.model_copy(update={"triggers": spec.triggers.model_copy(update={"drift": trigger})})


def _phase(spec: ModelSpec, joined: Joined) -> int | None:
    if joined.end - joined.start != length(spec):
        return None
    return joined.start.hour if cycle(spec) == 24 else joined.start.weekday()


def _only(counts: Mapping[str, Counts], names: Sequence[str]) -> dict[str, Counts]:
    return {name: counts[name] for name in names if name in counts}


def by_days(windows: Windows) -> Windows:
    """Hourly windows added up to days, to see what a longer window would have shown."""
    days: dict[datetime, dict[str, list[Counts]]] = {}
    for at, features in windows.items():
        day = days.setdefault(at.replace(hour=0, minute=0, second=0, microsecond=0), {})
        for name, one in features.items():
            day.setdefault(name, []).append(one)
    return {at: {name: add(parts) for name, parts in found.items()} for at, found in days.items()}
