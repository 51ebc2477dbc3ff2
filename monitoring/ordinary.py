"""What a window is compared with: the ordinary windows before it, of the same weekday or hour where there are
enough.

A feature's window is ordinary when it was judged without a flag and the feature was in no open incident.
Before there are two full weeks of them (two days of hourly windows) the training rows are the reference.

Each feature looks back on ordinary windows of its own: what was ordinary when an incident opened stays its
reference, however long the incident lasts.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from monitoring.baseline import Definition, Definitions
from monitoring.counts import Counts, add
from monitoring.judge import Reference, Spreads
from monitoring.variation import Spread, learn

PER_GROUP = 4  # windows of the same weekday (hour) that are enough to compare with them alone
KEEP = {7: 60, 24: 24 * 8}  # ordinary windows that a feature looks back on, by length of the cycle

Past = tuple[int | None, Counts]  # the phase of an ordinary window, and one feature in it


@dataclass(frozen=True)
class Unit:
    """The ordinary features of one window. ``phase`` is its weekday or hour; None when it spans several."""

    phase: int | None
    counts: Mapping[str, Counts]


def reference_for(
    definitions: Definitions,
    history: Sequence[Unit],
    phase: int | None,
    cycle: int,
    inherited: Spreads | None = None,
) -> Reference:
    """The reference of a window of this phase.

    ``history`` is oldest first; ``cycle`` is 7 for days and 24 for hours; ``inherited`` is what the windows of the
    model before taught about ordinary variation.
    """
    past = {
        name: [(unit.phase, unit.counts[name]) for unit in history if name in unit.counts]
        for name in definitions.features
    }
    return reference_from(definitions, past, phase, cycle, inherited)


def reference_from(
    definitions: Definitions,
    past: Mapping[str, Sequence[Past]],
    phase: int | None,
    cycle: int,
    inherited: Spreads | None = None,
) -> Reference:
    """The same, with the ordinary windows of each feature, oldest first."""
    counts: dict[str, Counts] = {}
    spreads: dict[str, Mapping[str, Spread]] = {}
    training = set()
    for name, definition in definitions.features.items():
        units = past[name][-KEEP[cycle] :]
        if len(units) >= 2 * cycle:
            counts[name], spreads[name] = _from_windows(definition, units, phase)
        else:
            counts[name] = definition.training
            training.add(name)
            if inherited and name in inherited:
                spreads[name] = inherited[name]
    return Reference(counts, spreads, frozenset(training))


def looked_back_on(ordinary: Sequence[Collection[str]], cycle: int) -> list[int]:
    """The places of the windows that some feature still looks back on.

    ``ordinary`` are the features that were ordinary in each window, oldest window first.
    """
    seen: Counter[str] = Counter()
    found = []
    for place in reversed(range(len(ordinary))):
        if any(seen[name] < KEEP[cycle] for name in ordinary[place]):
            found.append(place)
        seen.update(iter(ordinary[place]))
    return found[::-1]


def _from_windows(
    definition: Definition, units: Sequence[Past], phase: int | None
) -> tuple[Counts, Mapping[str, Spread]]:
    if same := alike(units, phase):
        return add(same), learn(definition, [(key, one) for key, one in units if key is not None])
    return add(one for _, one in units), learn(definition, [(0, one) for _, one in units])


def alike(units: Sequence[Past], phase: int | None) -> list[Counts]:
    """The windows of this phase; none where they are too few to compare with them alone."""
    found = [one for key, one in units if phase is not None and key == phase]
    return found if len(found) >= PER_GROUP else []
