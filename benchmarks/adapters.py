"""The drift rule behind two plain functions over numpy arrays, for comparisons with other detectors.

The trainer's own code makes the baseline. Arrays are reduced to the counts that the SQL statement makes of
the log; everything after that is the code that runs in production.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from monitoring.baseline import Definition, Definitions, define
from monitoring.components import components
from monitoring.counts import Counts
from monitoring.judge import Rule, from_training, judge, judge_feature
from monitoring.ordinary import Unit, reference_for
from retraining.modelspec import ModelSpec
from trainer.baseline import baseline
from trainer.data import Rows

Kind = Literal["num", "cat"]
Array = np.ndarray[Any, Any]

_MACHINE = {"type": "n1-standard-4", "price": 0}
_RULE = Rule()


def is_drift(reference: Array, current: Array, kind: Kind, context: Mapping[str, Any]) -> bool:
    """Whether ``current`` moved against ``reference``; ``context["F"]`` features share one false-alarm rate.

    1-D arrays; NaN and None are missing; categories are whole numbers or text. No history: chance alone explains.
    """
    definitions = define_columns({"x": reference}, {"x": kind})
    definition = definitions.features["x"]
    level = _RULE.alpha / (max(1, int(context.get("F", 1))) * len(components(definition)))
    window = count(definition, current)
    return judge_feature(definition, window, from_training(definitions), _RULE, level).flagged


def drifting_features(
    days: Sequence[Mapping[str, Array]], kinds: Mapping[str, Kind], d: int, base_days: Sequence[int]
) -> set[str]:
    """Names of the features that moved on day ``d``, given all earlier days.

    ``base_days`` are known to be ordinary. Later days before ``d`` are ordinary for the features that this rule did
    not flag on them. The weekday of a day is its index modulo 7.
    """
    base = tuple(sorted(day for day in base_days if day < d))
    stream = _stream(days, kinds, base)
    for day in range(max(base, default=-1) + 1, d + 1):
        stream.look(day, days[day])
    return stream.flagged(d)


class _Stream:
    """One stream's counts and judgements, kept so that the next day's question does not start from the first."""

    def __init__(self, days: Sequence[Mapping[str, Array]], kinds: Mapping[str, Kind], base: Sequence[int]) -> None:
        self._base = [days[day] for day in base]
        self._definitions = define_columns(
            {n: np.concatenate([one[n] for one in self._base]) for n in kinds}, kinds
        )
        self._ordinary = {day: Unit(day % 7, self._count(days[day])) for day in base}
        self._looked: dict[int, tuple[list[Array], set[str]]] = {}

    def of(self, base: Sequence[Mapping[str, Array]], kinds: Mapping[str, Kind]) -> bool:
        """Whether these are the very arrays this stream was made of."""
        return set(kinds) == set(self._definitions.features) and _same(self._arrays(self._base), self._arrays(base))

    def look(self, day: int, columns: Mapping[str, Array]) -> None:
        """Judge one day, unless it was; another day's arrays in its place make all later judgements void."""
        arrays = self._arrays([columns])
        if day in self._looked:
            if _same(self._looked[day][0], arrays):
                return
            for later in [one for one in self._looked if one >= day]:
                del self._looked[later], self._ordinary[later]
        window = self._count(columns)
        history = [self._ordinary[earlier] for earlier in sorted(self._ordinary) if earlier < day]
        against = reference_for(self._definitions, history, day % 7, cycle=7)
        found = {finding.feature for finding in judge(self._definitions, window, against, _RULE) if finding.flagged}
        self._looked[day] = (arrays, found)
        self._ordinary[day] = Unit(day % 7, {name: one for name, one in window.items() if name not in found})

    def flagged(self, day: int) -> set[str]:
        """What was flagged on a day that was looked at."""
        return set(self._looked[day][1])

    def _count(self, columns: Mapping[str, Array]) -> dict[str, Counts]:
        return {name: count(one, columns[name]) for name, one in self._definitions.features.items()}

    def _arrays(self, days: Sequence[Mapping[str, Array]]) -> list[Array]:
        return [day[name] for day in days for name in self._definitions.features]


_LAST: list[_Stream] = []


def _stream(days: Sequence[Mapping[str, Array]], kinds: Mapping[str, Kind], base: Sequence[int]) -> _Stream:
    if not _LAST or not _LAST[0].of([days[day] for day in base], kinds):
        _LAST[:] = [_Stream(days, kinds, base)]
    return _LAST[0]


def _same(first: Sequence[Array], second: Sequence[Array]) -> bool:
    return len(first) == len(second) and all(a is b for a, b in zip(first, second, strict=True))


def count(definition: Definition, values: Array) -> Counts:
    """The counts that the SQL statement makes of the same values."""
    column = np.asarray(values)
    missing = _missing(column)
    present = column[~missing]
    if definition.kind == "categorical":
        place = {value: cell for cell, value in enumerate(definition.categories)}
        other = len(definition.categories)
        unique, times = np.unique(_text(present), return_counts=True)
        cells = np.zeros(other + 1, dtype=np.int64)
        for value, n in zip(unique.tolist(), times.tolist(), strict=True):
            cells[place.get(value, other)] += n
        unseen = int(cells[-1]) if definition.complete else 0
        return Counts(len(column), int(missing.sum()), 0, unseen, 0, 0, tuple(cells.tolist()))
    x = present.astype(np.float64)
    finite = x[np.isfinite(x)]
    cells = np.bincount(np.searchsorted(definition.edges, finite, side="right"), minlength=definition.cells)
    known = np.asarray(definition.values)
    unseen = int((~np.isclose(finite[:, None], known, rtol=1.2e-7, atol=0).any(axis=1)).sum()) if len(known) else 0
    ranged = not len(known)
    return Counts(
        n=len(column),
        n_null=int(missing.sum()),
        n_unparseable=len(x) - len(finite),
        n_unseen=unseen,
        n_low=int((finite < definition.low).sum()) if ranged and definition.low is not None else 0,
        n_high=int((finite > definition.high).sum()) if ranged and definition.high is not None else 0,
        cells=tuple(cells.tolist()),
        sum=float(finite.sum()),
        sum_sq=float((finite**2).sum()),
    )


def define_columns(columns: Mapping[str, Array], kinds: Mapping[str, Kind]) -> Definitions:
    """What the trainer would write about these rows, as cells. Columns get plain names, whatever theirs are."""
    plain = {name: f"f{place}" for place, name in enumerate(columns)}
    spec = _spec({plain[name]: "numeric" if kinds[name] == "num" else "categorical" for name in columns})
    features = {plain[name]: _prepared(column, kinds[name]) for name, column in columns.items()}
    size = max(len(column) for column in columns.values())
    blank = np.zeros(size)
    rows = Rows(features=features, label=blank, timestamp=np.zeros(size, dtype="datetime64[us]"))
    made = baseline(spec, "benchmark", rows, np.zeros(1), [])
    return Definitions("benchmark", {name: define(name, made.features[plain[name]]) for name in columns})


def _prepared(column: Array, kind: Kind) -> Array:
    values = np.asarray(column)
    missing = _missing(values)
    if kind == "num":
        filled = np.where(missing, np.nan, np.where(missing, 0, values))
        return filled.astype(np.float64)
    text = np.full(len(values), "", dtype=object)
    text[~missing] = _text(values[~missing])
    return text


def _missing(values: Array) -> Array:
    if values.dtype.kind == "f":
        return np.isnan(values)
    if values.dtype.kind == "O":
        return np.array([value is None or value != value or value == "" for value in values.tolist()], dtype=bool)
    return values == "" if values.dtype.kind in "UT" else np.zeros(len(values), dtype=bool)


def _text(values: Array) -> Array:
    """Categories as text; 3 and 3.0 are the same category."""
    if values.dtype.kind == "f":
        values = values.astype(np.int64) if np.array_equal(values, values.astype(np.int64)) else values
    if values.dtype.kind == "O":
        return np.array(
            [str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in values.tolist()],
            dtype=object,
        )
    return values.astype(str).astype(object)


def _spec(features: Mapping[str, str]) -> ModelSpec:
    """A model file of these features; the rest of it plays no part here."""
    return ModelSpec.model_validate(
        {
            "name": "benchmark",
            "owner": "benchmark",
            "source": {"table": "a.b", "timestamp": "t", "key": "k", "label": "y", "label_delay": "1d"},
            "features": {name: {"type": kind} for name, kind in features.items()},
            "split": {"by": "day"},
            "training": {
                "trainer": "wide_and_deep",
                "task": "binary",
                "window": "60d",
                "evaluation_window": "20d",
            },
            "policy": {"budget": {"per_run": 1, "per_month": 1}},
            "gate": {"metric": "log_loss", "margin": 0.01},
            "rollout": {"tolerance": 0.02},
            "endpoint": "benchmark",
            "machines": dict.fromkeys(("training", "tuning", "evaluation", "serving"), _MACHINE),
        }
    )
