"""Rows from files into columns: what the model file promises, checked before anything is fitted."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from retraining.modelspec import ModelSpec
from trainer import storage
from trainer.errors import Unusable

Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Rows:
    """Rows as columns. numeric and boolean: float32, NaN is missing; categorical: str, "" is missing."""

    features: Columns
    label: np.ndarray  # float64 for binary and regression, str for multiclass
    timestamp: np.ndarray  # datetime64[us]
    key: np.ndarray  # str

    def __len__(self) -> int:
        return len(self.label)

    def take(self, index: np.ndarray) -> "Rows":
        """The rows at ``index`` (positions or a mask)."""
        features = {name: column[index] for name, column in self.features.items()}
        return Rows(features, self.label[index], self.timestamp[index], self.key[index])


def read_dataset(pattern: str, spec: ModelSpec, folder: Path, limit: int | None = None) -> Rows:
    """The rows of all files that match ``pattern`` (Parquet or CSV), at most ``limit``.

    Raises:
        Unusable: no file, no row, a missing column, or a column that cannot be read as its type.
    """
    files = storage.fetch(pattern, folder)
    if not files:
        raise Unusable(f"{pattern}: expected files, found none")
    table = pa.concat_tables([_read(path) for path in files], promote_options="permissive")
    if limit is not None:
        table = table.slice(0, limit)
    if table.num_rows == 0:
        raise Unusable(f"{pattern}: expected rows, found none")
    return _rows(table, spec, pattern)


def _read(path: Path) -> pa.Table:
    if path.name.endswith(".csv") or ".csv" in path.suffixes:
        return pyarrow.csv.read_csv(path)
    return pyarrow.parquet.read_table(path)


def _rows(table: pa.Table, spec: ModelSpec, pattern: str) -> Rows:
    source = spec.source
    for name in (source.label, *spec.features):
        if name not in table.column_names:
            raise Unusable(f"{pattern}: expected column {name}, found {', '.join(sorted(table.column_names))}")
    table = table.filter(pc.is_valid(table[source.label]))
    if table.num_rows == 0:
        raise Unusable(f"{pattern}: column {source.label}: every label is missing")
    features = {
        name: _text(table, name, pattern) if feature.type == "categorical" else _number(table, name, pattern)
        for name, feature in spec.features.items()
    }
    label = (
        _text(table, source.label, pattern)
        if spec.training.task == "multiclass"
        else _number(table, source.label, pattern).astype(np.float64)
    )
    count = table.num_rows
    stamp = (
        _timestamp(table, source.timestamp) if source.timestamp in table.column_names else np.zeros(count, "M8[us]")
    )
    key = _text(table, source.key, pattern) if source.key in table.column_names else np.arange(count).astype(str)
    return Rows(features, label, stamp, key)


def _number(table: pa.Table, name: str, pattern: str) -> np.ndarray:
    try:
        column = pc.cast(table[name], pa.float32(), safe=False)
    except pa.ArrowInvalid as error:
        raise Unusable(f"{pattern}: column {name}: expected numbers, got {table[name].type}: {error}") from error
    return np.asarray(pc.fill_null(column, float("nan")).to_numpy(), dtype=np.float32)


def _text(table: pa.Table, name: str, pattern: str) -> np.ndarray:
    try:
        column = pc.cast(table[name], pa.string())
    except pa.ArrowInvalid as error:
        raise Unusable(f"{pattern}: column {name}: expected text, got {table[name].type}: {error}") from error
    return np.asarray(pc.fill_null(column, "").to_numpy(zero_copy_only=False), dtype=object)


def _timestamp(table: pa.Table, name: str) -> np.ndarray:
    column = table[name]
    if pa.types.is_string(column.type):
        column = pc.cast(column, pa.timestamp("us", "UTC"))
    return np.asarray(pc.cast(column, pa.timestamp("us", column.type.tz)).to_numpy(), dtype="M8[us]")


def missing(column: np.ndarray) -> np.ndarray:
    """Which values are missing, as a mask."""
    return column == "" if column.dtype == object else np.isnan(column)


def check_features(rows: Rows, spec: ModelSpec) -> None:
    """Refuse rows from which nothing can be learnt. Raises Unusable."""
    for name in spec.features:
        if missing(rows.features[name]).all():
            raise Unusable(f"column {name}: every value is missing")
    if spec.training.task == "binary" and not set(np.unique(rows.label)) <= {0.0, 1.0}:
        raise Unusable(f"column {spec.source.label}: expected 0 and 1, got {sorted(set(rows.label))[:5]}")
    if spec.training.task != "regression" and len(set(rows.label)) < 2:
        raise Unusable(f"column {spec.source.label}: expected at least two classes, got {rows.label[0]}")
    if spec.training.task == "regression" and not np.isfinite(rows.label).all():
        raise Unusable(f"column {spec.source.label}: expected finite numbers")
