"""The drift rule behind two plain functions over numpy arrays, for comparisons with other detectors.

Arrays are reduced to the counts that the SQL statement makes of the log; everything after that is the code
that runs in production.
"""

import pickle
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, get_args

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


def is_drift(reference: Array, current: Array, kind: Kind, context: Mapping[str, Any] | None) -> bool:
    """Whether ``current`` moved against ``reference``; ``context["F"]`` features share one false-alarm rate.

    1-D arrays; NaN and None are missing; categories are whole numbers or text. No history: chance alone explains.
    Without "F" it is one feature. Raises ValueError for an unknown kind.
    """
    _check_kinds({"x": kind})
    definitions = define_columns({"x": np.asarray(reference)}, {"x": kind})
    definition = definitions.features["x"]
    level = _RULE.alpha / (max(1, int((context or {}).get("F") or 1)) * len(components(definition)))
    window = count(definition, np.asarray(current))
    return judge_feature(definition, window, from_training(definitions), _RULE, level).flagged


def drifting_features(
    days: Sequence[Columns], kinds: Mapping[str, Kind], d: int, base_days: Sequence[int]
) -> set[str]:
    """Names of the features that moved on day ``d``, given all earlier days; a pair of which only the association
    moved gives both its names.

    ``base_days`` are known to be ordinary. Later days before ``d`` are ordinary for the features that this rule did
    not flag on them. The weekday of a day is its index modulo 7. Without any earlier day nothing is known to move.
    Raises ValueError for an unknown kind, and for columns of one day that differ in length.
    """
    _check_kinds(kinds)
    base = tuple(sorted({int(day) for day in base_days if day < d}))
    if not base or not kinds:
        return set()
    plain = {name: f"f{place}" for place, name in enumerate(kinds)}  # a name may look like that of a pair
    asked = {day: _renamed(days[day], day, plain) for day in (*base, *range(base[-1] + 1, d + 1))}
    stream = _stream(asked, {plain[name]: kind for name, kind in kinds.items()}, base)
    for day in range(base[-1] + 1, d + 1):
        stream.look(day, asked[day])
    flagged = stream.flagged(d)
    return {name for name in kinds if plain[name] in flagged}


def _check_kinds(kinds: Mapping[str, str]) -> None:
    for name, kind in kinds.items():
        if kind not in get_args(Kind):
            raise ValueError(f"{name}: expected kind {' or '.join(map(repr, get_args(Kind)))}, got {kind!r}")


def _renamed(columns: Columns, day: int, plain: Mapping[str, str]) -> dict[str, Array]:
    """The columns under other names; one that is not there is missing in every row."""
    sizes = {name: len(column) for name, column in columns.items()}
    size = max(sizes.values(), default=0)
    for name, found in sizes.items():
        if found != size:
            raise ValueError(f"day {day}: {name}: expected {size} rows, as another column has, got {found}")
    return {plain[name]: column for name, column in complete(columns, plain, size).items()}


class _Stream:
    """One stream's counts and judgements, kept so that the next day's question does not start from the first."""

    def __init__(self, days: Mapping[int, Columns], kinds: Mapping[str, Kind], base: Sequence[int]) -> None:
        self._kinds = dict(kinds)
        held = [days[day] for day in base]
        self._base = self._prints(held)
        self._definitions = define_columns(_joined(held, kinds), kinds, paired=True)
        self._ordinary = {day: Unit(day % 7, self._count(days[day])) for day in base}
        usual = [unit.counts for unit in self._ordinary.values()]
        self._common = learn_together(self._definitions.features, usual) if len(usual) >= SOME else None
        self._looked: dict[int, tuple[list[object], set[str]]] = {}

    def of(self, base: Sequence[Columns], kinds: Mapping[str, Kind]) -> bool:
        """Whether this stream was made of the same values."""
        return list(kinds.items()) == list(self._kinds.items()) and self._base == self._prints(base)

    def look(self, day: int, columns: Columns) -> None:
        """Judge one day, unless it was; other values in its place make all later judgements void."""
        prints = self._prints([columns])
        if day in self._looked:
            if self._looked[day][0] == prints:
                return
            for later in [one for one in self._looked if one >= day]:
                del self._looked[later], self._ordinary[later]
        window = self._count(columns)
        history = [self._ordinary[earlier] for earlier in sorted(self._ordinary) if earlier < day]
        against = reference_for(self._definitions, history, day % 7, 7, self._common)
        found = {finding.feature for finding in judge(self._definitions, window, against, _RULE) if finding.flagged}
        moved = {member for name in found for member in members(name)}
        usual = {name: one for name, one in window.items() if is_ordinary(name, moved)}
        self._looked[day] = (prints, moved)
        self._ordinary[day] = Unit(day % 7, usual)

    def flagged(self, day: int) -> set[str]:
        """What was flagged on a day that was looked at."""
        return set(self._looked[day][1])

    def _count(self, columns: Columns) -> dict[str, Counts]:
        return count_columns(self._definitions, columns)

    def _prints(self, days: Sequence[Columns]) -> list[object]:
        return [_print(day.get(name)) for day in days for name in self._kinds]


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


def _stream(days: Mapping[int, Columns], kinds: Mapping[str, Kind], base: Sequence[int]) -> _Stream:
    if not _LAST or not _LAST[0].of([days[day] for day in base], kinds):
        _LAST[:] = [_Stream(days, kinds, base)]
    return _LAST[0]


def _print(column: Array | None) -> object:
    """What tells a column from one of other values, also when it is changed in place; unique where unknown."""
    if column is None:
        return None
    values = np.ascontiguousarray(column)
    try:
        held = pickle.dumps(values.tolist()) if values.dtype.hasobject else values.view(np.uint8).data
    except (pickle.PicklingError, TypeError, AttributeError):
        return object()
    return values.dtype.str, len(values), blake2b(held, digest_size=16).digest()
