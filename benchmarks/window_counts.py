"""A window's rows, batch by batch, as the integers that the monitor's SQL makes of the same rows."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from monitoring.baseline import Definition, Definitions
from monitoring.counts import Counts
from retraining.quarters import QUARTERS

Array = np.ndarray[Any, Any]

_NEAR = 1.2e-7  # a known value is met by what rounds to the same 32-bit number


class WindowCounts:
    """Adds up batches. Bring each once; ``found`` may be asked at any time."""

    def __init__(self, definitions: Definitions) -> None:
        self._rows = 0
        features = definitions.features.values()
        paired = {one.name: one for one in features if one.of is not None}
        quarters = {
            name: places for one in paired.values() for name, places in zip(one.of or (), one.quarters, strict=True)
        }
        self._series = {one.name: _series(one, quarters.get(one.name)) for one in features if one.of is None}
        self._pairs = _Pairs({name: one.of for name, one in paired.items() if one.of is not None}, list(quarters))

    def add(self, columns: Any, broken: dict[str, Array] | None = None) -> None:
        """One Arrow record batch with a column per series; ``broken`` tells of rows whose value cannot be read,
        which the column itself shows as missing."""
        self._rows += len(columns)
        sides: dict[str, Array] = {}
        for name, one in self._series.items():
            values = columns.column(name) if name in columns.schema.names else pa.nulls(len(columns), pa.string())
            quarters = one.add(values, int(np.count_nonzero(broken[name])) if broken and name in broken else 0)
            if quarters is not None:
                sides[name] = quarters
        self._pairs.add(sides)

    @property
    def found(self) -> dict[str, Counts]:
        """Counts of every series and pair."""
        counts = {name: one.counts(self._rows) for name, one in self._series.items()}
        return counts | self._pairs.counts(self._rows)


def _series(one: Definition, quarters: tuple[int, ...] | None) -> "_Ranged | _Listed":
    if one.kind == "numeric" and not one.values:
        return _Ranged(one, quarters)
    return _Listed(one, quarters)


class _Ranged:
    """A number of any value: how many lie at or above each edge says how many lie between them."""

    def __init__(self, definition: Definition, quarters: tuple[int, ...] | None) -> None:
        self._one = definition
        self._edges = definition.edges
        self._above = np.zeros(len(self._edges), dtype=np.int64)
        steps = None if quarters is None else np.diff(np.array(quarters, dtype=np.int8))
        self._first = None if quarters is None else np.uint8(quarters[0])
        self._steps = {} if steps is None else {at: np.uint8(step) for at, step in enumerate(steps) if step}
        self._null = self._bad = self._low = self._high = self._n = 0
        self._sum = self._sum_sq = 0.0

    def add(self, values: Any, broken: int) -> Array | None:
        """The quarter of every row, QUARTERS where it has no number; None where nobody asks."""
        x = numbers(values)
        there = x == x
        nulls = len(x) - int(np.count_nonzero(there))
        held = np.where(there, x, 0.0) if nulls else x
        total = float(held.sum())
        if not np.isfinite(total):
            finite = np.isfinite(x)
            self._bad += int(np.count_nonzero(there & ~finite))
            x, there, held = np.where(finite, x, np.nan), finite, np.where(finite, x, 0.0)
            total = float(held.sum())
        self._null += nulls - broken
        self._bad += broken
        self._n += int(np.count_nonzero(there))
        self._sum += total
        self._sum_sq += float(np.dot(held, held))
        side = None if self._first is None else np.full(len(x), self._first)
        self._compare(x, side)
        if side is not None and nulls + broken + self._bad:
            side[~there] = QUARTERS
        return side

    def _compare(self, x: Array, side: Array | None) -> None:
        for at, edge in enumerate(self._edges):
            above = x >= edge  # false where there is no number
            self._above[at] += np.count_nonzero(above)
            if side is not None and at in self._steps:
                side += above.view(np.uint8) * self._steps[at]
        self._low += int(np.count_nonzero(x < self._one.low)) if self._one.low is not None else 0
        self._high += int(np.count_nonzero(x > self._one.high)) if self._one.high is not None else 0

    def counts(self, rows: int) -> Counts:
        cells = -np.diff(np.concatenate([[self._n], self._above, [0]]))
        return Counts(
            n=rows,
            n_null=self._null,
            n_unparseable=self._bad,
            n_unseen=0,
            n_low=self._low,
            n_high=self._high,
            cells=tuple(cells.tolist()),
            sum=self._sum,
            sum_sq=self._sum_sq,
        )


class _Listed:
    """A category, or a number of few values: the distinct values of a batch say it all."""

    def __init__(self, definition: Definition, quarters: tuple[int, ...] | None) -> None:
        self._one = definition
        self._place = {value: cell for cell, value in enumerate(definition.categories)}
        self._place |= dict.fromkeys(definition.others, len(definition.categories)) | {"": definition.cells + 1}
        self._last: tuple[Any, tuple[Array, Array]] | None = None  # a dictionary, its cells, which of it is new
        self._edges, self._known = np.array(definition.edges), np.array(definition.values)
        self._quarters = None if quarters is None else np.array([*quarters, QUARTERS, QUARTERS], dtype=np.uint8)
        self._cells = np.zeros(
            definition.cells + 2, dtype=np.int64
        )  # then: what cannot be read, and what is missing
        self._broken = self._unseen = 0
        self._sum = self._sum_sq = 0.0

    def add(self, values: Any, broken: int) -> Array | None:
        """The quarter of every row, QUARTERS where it has no value; None where nobody asks."""
        number = self._one.kind == "numeric"
        coded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
        codes = np.asarray(coded.indices.fill_null(len(coded.dictionary)))
        times = np.bincount(codes, minlength=len(coded.dictionary) + 1)
        cells = self._of_numbers(coded.dictionary, times) if number else self._of_words(coded.dictionary, times)
        cells = np.append(cells, self._one.cells + 1)
        self._cells += np.bincount(cells, weights=times, minlength=len(self._cells)).astype(np.int64)
        self._broken += broken
        return None if self._quarters is None else self._quarters[cells][codes]

    def _of_words(self, distinct: Any, times: Array) -> Array:
        if self._last is None or not distinct.equals(self._last[0]):  # most batches share that of their file
            self._last = distinct, self._placed(distinct)
        cells, new = self._last[1]
        if self._one.complete:
            self._unseen += int(times[:-1][new].sum())
        return cells

    def _placed(self, distinct: Any) -> tuple[Array, Array]:
        """The cell of every word, and which of them the baseline does not list."""
        if pa.types.is_string(distinct.type) or pa.types.is_large_string(distinct.type):
            found = pc.index_in(distinct.fill_null(""), value_set=pa.array(self._place, distinct.type))
            at = np.asarray(found.fill_null(len(self._place)))
        else:
            rank = {name: place for place, name in enumerate(self._place)}
            words = ["" if value is None else word(value) for value in distinct.to_pylist()]
            at = np.array([rank.get(name, len(rank)) for name in words], dtype=np.intp)
        return np.array([*self._place.values(), self._one.cells - 1])[at], at == len(self._place)

    def _of_numbers(self, distinct: Any, times: Array) -> Array:
        x, times = numbers(distinct), times[: len(distinct)]
        finite = np.isfinite(x)
        cells = np.searchsorted(self._edges, x, side="right")
        self._unseen += int(times[finite][~self._is_known(x[finite])].sum())
        self._sum += float(np.dot(x[finite], times[finite]))
        self._sum_sq += float(np.dot(x[finite] ** 2, times[finite]))
        return np.where(finite, cells, np.where(np.isnan(x), self._one.cells + 1, self._one.cells))

    def _is_known(self, x: Array) -> Array:
        """Which numbers are listed. A cell holds several of them where there are many."""
        at, last = np.searchsorted(self._known, x), len(self._known) - 1
        below, above = (self._known[np.clip(at + by, 0, last)] for by in (-1, 0))
        gap: Array = np.minimum(np.abs(x - below), np.abs(x - above))
        return gap <= _NEAR * np.abs(x)

    def counts(self, rows: int) -> Counts:
        *cells, bad, null = self._cells.tolist()
        bad, null = bad + self._broken, null - self._broken
        return Counts(rows, null, bad, self._unseen, 0, 0, tuple(cells), self._sum, self._sum_sq)


class _Pairs:
    """Rows by the quarters of two series, all pairs at once: a bit for each row and quarter."""

    def __init__(self, pairs: dict[str, tuple[str, str]], members: list[str]) -> None:
        self._of = pairs
        self._cells = {name: np.zeros((QUARTERS, QUARTERS), dtype=np.int64) for name in pairs}
        self._members = members

    def add(self, sides: dict[str, Array]) -> None:
        bits = {name: _bits(sides[name]) for name in self._members}
        for name, (first, second) in self._of.items():
            both = bits[first][:, None, :] & bits[second][None, :, :]
            self._cells[name] += np.bitwise_count(both).sum(axis=2, dtype=np.int64)

    def counts(self, rows: int) -> dict[str, Counts]:
        cells = {name: tuple(held.ravel().tolist()) for name, held in self._cells.items()}
        return {name: Counts(rows, rows - sum(held), 0, 0, 0, 0, held) for name, held in cells.items()}


def _bits(side: Array) -> Array:
    """[4, words]: a bit for every row that is in the quarter."""
    packed = np.packbits(side == np.arange(QUARTERS, dtype=np.uint8)[:, None], axis=1)
    room = -packed.shape[1] % 8
    return np.ascontiguousarray(np.pad(packed, ((0, 0), (0, room)))).view(np.uint64)


def numbers(values: Any) -> Array:
    """An Arrow array as float64, NaN where it is null. Times are seconds since 1970."""
    kind = values.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        values = pc.divide(pc.cast(pc.cast(values, pa.timestamp("us", getattr(kind, "tz", None))), pa.int64()), 1e6)
    elif not pa.types.is_float64(kind):
        values = pc.cast(values, pa.float64(), safe=False)
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)


def word(value: object) -> str:
    """A category as the log has it."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def count_batches(definitions: Definitions, batches: Iterable[tuple[Any, dict[str, Array]]]) -> dict[str, Counts]:
    """Counts of all batches."""
    held = WindowCounts(definitions)
    for columns, broken in batches:
        held.add(columns, broken)
    return held.found
