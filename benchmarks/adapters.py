"""The drift rule behind two plain functions over numpy arrays, for comparisons with other detectors.

Arrays are reduced to the counts that the SQL statement makes of the log; everything after that is the code
that runs in production.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.columns import Array, Columns, Kind, complete, count, count_columns, define_columns
from monitoring.components import components
from monitoring.counts import Counts
from monitoring.judge import Rule, from_training, judge, judge_feature
from monitoring.looking import is_ordinary
from monitoring.ordinary import Unit, reference_for
from monitoring.pairs import members
from monitoring.variation import learn_together

__all__ = ["Array", "Kind", "count", "define_columns", "drifting_features", "is_drift"]

SOME = 3  # ordinary days from which the variation of all features together is learnt
_RULE = Rule()


def is_drift(reference: Array, current: Array, kind: Kind, context: Mapping[str, Any]) -> bool:
    """Whether ``current`` moved against ``reference``; ``context["F"]`` features share one false-alarm rate.

    1-D arrays; NaN and None are missing; categories are whole numbers or text. No history: chance alone explains.
    """
    definitions = define_columns({"x": np.asarray(reference)}, {"x": kind})
    definition = definitions.features["x"]
    level = _RULE.alpha / (max(1, int(context.get("F", 1))) * len(components(definition)))
    window = count(definition, np.asarray(current))
    return judge_feature(definition, window, from_training(definitions), _RULE, level).flagged


def drifting_features(
    days: Sequence[Columns], kinds: Mapping[str, Kind], d: int, base_days: Sequence[int]
) -> set[str]:
    """Names of the features that moved on day ``d``, given all earlier days; a pair of which only the association
    moved gives both its names.

    ``base_days`` are known to be ordinary. Later days before ``d`` are ordinary for the features that this rule did
    not flag on them. The weekday of a day is its index modulo 7. Without any earlier day nothing is known to move.
    """
    base = tuple(sorted({int(day) for day in base_days if day < d}))
    if not base or not kinds:
        return set()
    stream = _stream(days, kinds, base)
    for day in range(base[-1] + 1, d + 1):
        stream.look(day, days[day])
    return stream.flagged(d)


class _Stream:
    """One stream's counts and judgements, kept so that the next day's question does not start from the first."""

    def __init__(self, days: Sequence[Columns], kinds: Mapping[str, Kind], base: Sequence[int]) -> None:
        self._kinds = dict(kinds)
        self._base = [days[day] for day in base]
        self._definitions = define_columns(_joined(self._base, kinds), kinds, paired=True)
        self._ordinary = {day: Unit(day % 7, self._count(days[day])) for day in base}
        usual = [unit.counts for unit in self._ordinary.values()]
        self._common = learn_together(self._definitions.features, usual) if len(usual) >= SOME else None
        self._looked: dict[int, tuple[list[Array | None], set[str]]] = {}

    def of(self, base: Sequence[Columns], kinds: Mapping[str, Kind]) -> bool:
        """Whether these are the very arrays this stream was made of."""
        return dict(kinds) == self._kinds and _same(self._arrays(self._base), self._arrays(base))

    def look(self, day: int, columns: Columns) -> None:
        """Judge one day, unless it was; another day's arrays in its place make all later judgements void."""
        arrays = self._arrays([columns])
        if day in self._looked:
            if _same(self._looked[day][0], arrays):
                return
            for later in [one for one in self._looked if one >= day]:
                del self._looked[later], self._ordinary[later]
        window = self._count(columns)
        history = [self._ordinary[earlier] for earlier in sorted(self._ordinary) if earlier < day]
        against = reference_for(self._definitions, history, day % 7, 7, self._common)
        found = {finding.feature for finding in judge(self._definitions, window, against, _RULE) if finding.flagged}
        moved = {member for name in found for member in members(name)}
        usual = {name: one for name, one in window.items() if is_ordinary(name, moved)}
        self._looked[day] = (arrays, moved)
        self._ordinary[day] = Unit(day % 7, usual)

    def flagged(self, day: int) -> set[str]:
        """What was flagged on a day that was looked at."""
        return set(self._looked[day][1])

    def _count(self, columns: Columns) -> dict[str, Counts]:
        return count_columns(self._definitions, columns)

    def _arrays(self, days: Sequence[Columns]) -> list[Array | None]:
        return [day.get(name) for day in days for name in self._kinds]


def _joined(days: Sequence[Columns], kinds: Mapping[str, Kind]) -> dict[str, Array]:
    """The rows of all days; where their types differ, as objects, so that numbers do not turn into text."""
    sizes = [max((len(column) for column in day.values()), default=0) for day in days]
    full = [complete(day, kinds, size) for day, size in zip(days, sizes, strict=True)]
    found = {}
    for name in kinds:
        parts = [np.asarray(one[name]) for one in full]
        alike = len({part.dtype.kind for part in parts}) == 1
        found[name] = np.concatenate(parts if alike else [part.astype(object) for part in parts])
    return found


_LAST: list[_Stream] = []


def _stream(days: Sequence[Columns], kinds: Mapping[str, Kind], base: Sequence[int]) -> _Stream:
    if not _LAST or not _LAST[0].of([days[day] for day in base], kinds):
        _LAST[:] = [_Stream(days, kinds, base)]
    return _LAST[0]


def _same(first: Sequence[Array | None], second: Sequence[Array | None]) -> bool:
    return len(first) == len(second) and all(a is b for a, b in zip(first, second, strict=True))
