"""Raw features → numbers, as part of the served graph: fitted once, applied to training rows by the same code.

There is no training-serving skew because there are no two implementations: training feeds whole columns through
``Preprocess`` before it fits, serving feeds requests through it.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import tensorflow as tf

from retraining.modelspec import ModelSpec
from trainer.data import Columns, Rows, missing

MAX_VOCABULARY = 10_000
MAX_CROSSES = 6
PIECE = 65_536  # rows that are encoded at once
CROSS_CELLS = 20_000  # a cross with more combinations is hashed into so many


@dataclass(frozen=True)
class Sizes:
    """Shapes of what preprocessing gives."""

    numbers: int  # columns of the float part: one per number, one more per number that may be missing
    categories: tuple[int, ...]  # ids of each categorical column: missing, unknown, then the vocabulary
    wide: tuple[int, ...]  # ids of each column of the wide part: categories, buckets, crosses


class Preprocess(tf.Module):
    """Normalises numbers, looks up categories, cuts buckets and crosses categories."""

    def __init__(self, spec: ModelSpec, rows: Rows, num_buckets: int) -> None:
        super().__init__()
        text = [name for name, f in spec.inputs.items() if f.type == "categorical"]
        self.numeric = [name for name in spec.inputs if name not in text]
        self.categorical = text
        columns = {name: rows.features[name] for name in self.numeric}
        means = [float(np.nanmean(column, dtype=np.float64)) for column in columns.values()]
        spreads = [_spread(column) for column in columns.values()]
        self.mean, self.spread = tf.constant(means, tf.float32), tf.constant(spreads, tf.float32)
        self.gaps = [i for i, column in enumerate(columns.values()) if missing(column).any()]
        self.edges = [tf.constant(_edges(column, num_buckets), tf.float32) for column in columns.values()]
        self.tables = [_table(rows.features[name]) for name in text]
        vocabularies = [int(table.size().numpy()) + 2 for table in self.tables]
        buckets = [int(edges.shape[0]) + 2 for edges in self.edges]
        self.pairs = list(combinations(range(len(text)), 2))[:MAX_CROSSES]
        crosses = [min(vocabularies[a] * vocabularies[b], CROSS_CELLS) for a, b in self.pairs]
        self.sizes = Sizes(
            len(self.numeric) + len(self.gaps), tuple(vocabularies), (*vocabularies, *buckets, *crosses)
        )

    def __call__(self, features: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Raw rank-1 columns → numbers [n, sizes.numbers] float32, ids [n, len(sizes.wide)] int32."""
        raw = self._numbers(features)
        absent = tf.logical_not(tf.math.is_finite(raw))
        scaled = tf.where(absent, 0.0, (raw - self.mean) / self.spread)
        flags = tf.gather(tf.cast(absent, tf.float32), self.gaps, axis=1) if self.gaps else scaled[:, :0]
        none = tf.constant(0, tf.int64)
        ids = [
            tf.where(features[name] == "", none, table.lookup(features[name]))
            for name, table in zip(self.categorical, self.tables, strict=True)
        ]
        cells = [tf.where(absent[:, i], none, _bucket(raw[:, i], edges)) for i, edges in enumerate(self.edges)]
        crosses = [self._cross(ids, a, b) for a, b in self.pairs]
        every = [*ids, *cells, *crosses]
        return tf.concat([scaled, flags], axis=1), tf.stack([tf.cast(column, tf.int32) for column in every], axis=1)

    def _numbers(self, features: dict[str, tf.Tensor]) -> tf.Tensor:
        if not self.numeric:
            return tf.zeros([tf.size(features[self.categorical[0]]), 0])
        return tf.stack([tf.cast(features[name], tf.float32) for name in self.numeric], axis=1)

    def _cross(self, ids: list[tf.Tensor], a: int, b: int) -> tf.Tensor:
        cells = self.sizes.categories[a] * self.sizes.categories[b]
        return tf.math.floormod(ids[a] * self.sizes.categories[b] + ids[b], min(cells, CROSS_CELLS))

    def signature(self) -> dict[str, tf.TensorSpec]:
        """What a request may hold, by feature."""
        numbers = {name: tf.TensorSpec([None], tf.float32, name) for name in self.numeric}
        return numbers | {name: tf.TensorSpec([None], tf.string, name) for name in self.categorical}


class Encoder:
    """The graph over whole columns, as it will be over requests."""

    def __init__(self, preprocess: Preprocess) -> None:
        self._graph = tf.function(preprocess, input_signature=[preprocess.signature()], autograph=False)

    def __call__(self, features: Columns) -> tuple[np.ndarray, np.ndarray]:
        """Columns [n] → numbers [n, f] and ids [n, k]."""
        count = len(next(iter(features.values())))
        parts = [
            self._graph({name: tf.constant(column[start : start + PIECE]) for name, column in features.items()})
            for start in range(0, count, PIECE)
        ]
        numbers, ids = zip(*parts, strict=True)
        return np.concatenate(numbers), np.concatenate(ids)


def _spread(column: np.ndarray) -> float:
    """Standard deviation; 1 for a column that is constant but for rounding."""
    spread = float(np.nanstd(column, dtype=np.float64))
    return spread if spread > 1e-6 * max(1e-30, float(np.nanmax(np.abs(column)))) else 1.0


def _edges(column: np.ndarray, buckets: int) -> np.ndarray:
    present = column[~missing(column)]
    return np.unique(np.quantile(present, np.linspace(0, 1, buckets + 1)[1:-1])).astype(np.float32)


def _bucket(column: tf.Tensor, edges: tf.Tensor) -> tf.Tensor:
    """0 is for missing values; a value on an edge belongs to the bucket above."""
    return tf.cast(tf.searchsorted(edges, column, side="right"), tf.int64) + 1


def _table(column: np.ndarray) -> tf.lookup.StaticHashTable:
    """The most frequent values of a column → 2, 3, …; 1 is for any other."""
    values, counts = np.unique(column[column != ""].astype(str), return_counts=True)
    kept = values[np.lexsort((values, -counts))][:MAX_VOCABULARY]
    keys = tf.constant(kept.tolist(), tf.string)
    ids = tf.range(2, len(kept) + 2, dtype=tf.int64)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, ids), 1)
