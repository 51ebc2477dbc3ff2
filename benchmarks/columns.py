"""Arrays of any kind as the counts that the SQL statement makes of the log; the trainer's own code makes the
baseline.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from monitoring.baseline import Definition, Definitions, define, define_pair
from monitoring.counts import Counts
from retraining.modelspec import ModelSpec
from retraining.quarters import PAIR_CELLS, QUARTERS, pairs
from trainer.baseline import baseline
from trainer.data import Rows

Kind = Literal["num", "cat"]
Array = np.ndarray[Any, Any]
Columns = Mapping[str, Array]

_MACHINE = {"type": "n1-standard-4", "price": 0}
_MISSING = frozenset({"", "nan", "NaN", "None", "NaT", "<NA>"})  # how a missing value reads as text


def define_columns(columns: Columns, kinds: Mapping[str, Kind], *, paired: bool = False) -> Definitions:
    """What the trainer would write about these rows, as cells; with pairs of the first ten where ``paired``.

    Columns get plain names, whatever theirs are. All are of one length.
    """
    plain = {name: f"f{place}" for place, name in enumerate(columns)}
    spec = _spec({plain[name]: "numeric" if kinds[name] == "num" else "categorical" for name in columns})
    features = {plain[name]: _prepared(column, kinds[name]) for name, column in columns.items()}
    size = max((len(column) for column in columns.values()), default=0)
    rows = Rows(features=features, label=np.zeros(size), timestamp=np.zeros(size, dtype="datetime64[us]"))
    made = baseline(spec, "benchmark", rows, np.zeros(1), [])
    found = {name: define(name, made.features[plain[name]]) for name in columns}
    if paired:
        places = {name: _places(one, columns[name]) for name, one in found.items()}
        for first, second in pairs([(name, 1.0) for name in columns]):
            blank = define_pair(found[first], found[second], (0,) * PAIR_CELLS)
            pair = define_pair(found[first], found[second], _table(blank, places))
            found[pair.name] = pair
    return Definitions("benchmark", found)


def count_columns(definitions: Definitions, columns: Columns) -> dict[str, Counts]:
    """Every feature and pair. A column that is not there is missing in every row."""
    size = max((len(column) for column in columns.values()), default=0)
    full = complete(columns, definitions.features, size)
    alone = {name: one for name, one in definitions.features.items() if one.of is None}
    paired = {name: one for name, one in definitions.features.items() if one.of is not None}
    found = {name: count(one, full[name]) for name, one in alone.items()}
    if paired:
        members = {name for one in paired.values() for name in one.of or ()}
        places = {name: _places(alone[name], full[name]) for name in members}
        for name, one in paired.items():
            cells = _table(one, places)
            found[name] = Counts(size, size - sum(cells), 0, 0, 0, 0, cells)
    return found


def complete(columns: Columns, names: Iterable[str], size: int) -> dict[str, Array]:
    """The named columns, those that are not there with ``size`` missing values."""
    return {name: columns[name] if name in columns else np.full(size, np.nan) for name in names}


def count(definition: Definition, values: Array) -> Counts:
    """The counts that the SQL statement makes of the same values."""
    column = _plain(values)
    if definition.kind == "categorical":
        place = {value: cell for cell, value in enumerate(definition.categories)}
        cells = [0] * definition.cells
        known = {*definition.categories, *definition.others}
        null = unseen = 0
        for value, times in _levels(column):
            if value in _MISSING:
                null += times
            else:
                cells[place.get(value, -1)] += times
                unseen += 0 if value in known else times
        return Counts(len(column), null, 0, unseen if definition.complete else 0, 0, 0, tuple(cells))
    x, null, bad = _numbers(column)
    held = np.bincount(np.searchsorted(definition.edges, x, side="right"), minlength=definition.cells)
    ranged = not definition.values
    return Counts(
        n=len(column),
        n_null=null,
        n_unparseable=bad,
        n_unseen=_unseen(x, definition.values),
        n_low=int((x < definition.low).sum()) if ranged and definition.low is not None else 0,
        n_high=int((x > definition.high).sum()) if ranged and definition.high is not None else 0,
        cells=tuple(held.tolist()),
        sum=float(x.sum()),
        sum_sq=float((x**2).sum()),
    )


def _unseen(x: Array, values: Sequence[float]) -> int:
    """How many numbers are none of ``values``, give or take 32-bit rounding."""
    if not values:
        return 0
    known = np.asarray(values)
    at = np.searchsorted(known, x)
    near = np.stack([known[np.clip(at + by, 0, len(known) - 1)] for by in (-1, 0)])
    return int((~np.isclose(near, x, rtol=1.2e-7, atol=0).any(axis=0)).sum())


def _places(definition: Definition, values: Array) -> Array:
    """The cell of every row; -1 without a value."""
    column = _plain(values)
    if definition.kind == "categorical":
        place = {value: cell for cell, value in enumerate(definition.categories)}
        other = len(definition.categories)
        distinct, inverse = _coded(column)
        cells = [-1 if value in _MISSING else place.get(value, other) for value in distinct]
        return np.array([*cells, -1])[inverse]
    numbers = _floats(column)
    return np.where(np.isfinite(numbers), np.searchsorted(definition.edges, numbers, side="right"), -1)


def _table(pair: Definition, places: Mapping[str, Array]) -> tuple[int, ...]:
    if pair.of is None:
        raise ValueError(f"{pair.name}: expected a pair, got one feature")
    first, second = (
        np.array([*quarters, -1])[places[name]] for name, quarters in zip(pair.of, pair.quarters, strict=True)
    )
    both = (first >= 0) & (second >= 0)
    held = np.bincount(first[both] * QUARTERS + second[both], minlength=PAIR_CELLS)
    return tuple(held.tolist())


def _prepared(column: Array, kind: Kind) -> Array:
    """The column as the trainer reads it."""
    values = _plain(column)
    if kind == "num":
        numbers = _floats(values)
        return np.where(np.isfinite(numbers), numbers, np.nan)
    distinct, inverse = _coded(values)
    return np.array(["" if value in _MISSING else value for value in [*distinct, ""]], dtype=object)[inverse]


def _plain(values: Array) -> Array:
    """The column as an array; times of any unit in microseconds."""
    found = np.asarray(values)
    if found.dtype.kind in "mM":
        return found.astype("datetime64[us]" if found.dtype.kind == "M" else "timedelta64[us]")
    return found


def _numbers(values: Array) -> tuple[Array, int, int]:
    """The finite numbers, how many values are missing, and how many are no finite number."""
    found = _floats(values)
    finite = found[np.isfinite(found)]
    if values.dtype.kind in "biuf":
        null = int(np.isnan(found).sum())
    elif values.dtype.kind in "mM":
        null = int(np.isnat(values).sum())
    else:
        null = sum(_is_missing(value) for value in values.tolist())
    return finite, null, len(values) - len(finite) - null


def _floats(values: Array) -> Array:
    """Every value as a number; NaN where it is none. Times are seconds."""
    if values.dtype.kind in "biuf":
        return values.astype(np.float64)
    if values.dtype.kind in "mM":
        return np.where(np.isnat(values), np.nan, _plain(values).astype(np.int64) / 1e6)
    return np.array([_float(value) for value in values.tolist()], dtype=np.float64)


def _float(value: object) -> float:
    if _is_missing(value):
        return float("nan")
    if isinstance(value, np.datetime64 | np.timedelta64):
        return float(_floats(np.asarray([value]))[0])
    if hasattr(value, "timestamp"):
        return float(value.timestamp())
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _is_missing(value: object) -> bool:
    return _word(value) in _MISSING


def _levels(values: Array) -> Iterable[tuple[str, int]]:
    """Each category as text with its rows; 3 and 3.0 are the same category, True and "true" too."""
    if values.dtype.kind in "biufUSmM":
        unique, times = np.unique(values, return_counts=True)
        return zip((_word(value) for value in unique.tolist()), times.tolist(), strict=True)
    return Counter(_word(value) for value in values.tolist()).items()


def _coded(values: Array) -> tuple[list[str], Array]:
    """The distinct values as text, and for each row which of them it has."""
    if values.dtype.kind in "biufUSmM":
        unique, inverse = np.unique(values, return_inverse=True)
        return [_word(value) for value in unique.tolist()], inverse
    number: dict[str, int] = {}
    codes = [number.setdefault(_word(value), len(number)) for value in values.tolist()]
    return list(number), np.array(codes, dtype=np.int64)


def _word(value: object) -> str:
    """A value as text."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    if isinstance(value, bool | np.bool_):
        return str(value).lower()
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return str(value)


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
