"""Rows from files into columns: what the model file promises, checked before anything is fitted."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from retraining.modelspec import ModelSpec
from trainer import storage
from trainer.errors import Unusable

Columns = dict[str, np.ndarray]
_ZONE = "(Z|:[0-9.]+[+-][0-9:]+)$"  # how a time of day with a time zone ends
_READERS = {"csv": pyarrow.csv.read_csv, "jsonl": pyarrow.json.read_json, "parquet": pyarrow.parquet.read_table}


@dataclass(frozen=True)
class Rows:
    """Rows as columns. numeric and boolean: float32, NaN is missing; categorical: str, "" is missing."""

    features: Columns
    label: np.ndarray  # float64 for binary and regression, str for multiclass
    timestamp: np.ndarray  # datetime64[us], UTC
    watched: Columns = field(default_factory=dict)  # what no model reads. text: str; timestamp: datetime64[us], UTC

    def __len__(self) -> int:
        return len(self.label)

    def take(self, index: np.ndarray) -> "Rows":
        """The rows at ``index`` (positions or a mask)."""
        features, watched = (
            {name: column[index] for name, column in columns.items()} for columns in (self.features, self.watched)
        )
        return Rows(features, self.label[index], self.timestamp[index], watched)


def read_dataset(
    pattern: str, spec: ModelSpec, folder: Path, limit: int | None = None, *, may_be_empty: bool = False
) -> Rows:
    """The labelled rows of all files that match ``pattern`` (Parquet, CSV or JSON lines), at most ``limit``.

    Files in Cloud Storage are copied to ``folder`` first.

    Raises:
        Unusable: no file or row (unless ``may_be_empty``), a missing column, or one that is not of its type.
    """
    if pattern.startswith("bq"):
        raise Unusable(f"{pattern}: expected files in Cloud Storage, got a BigQuery table: export it first")
    files = storage.fetch(pattern, folder)
    tables = [_read(path) for path in files]
    try:
        table = pa.concat_tables(tables, promote_options="permissive") if tables else None
    except pa.ArrowException as error:
        raise Unusable(f"{pattern}: the files have different columns: {error}") from error
    if table is None or table.num_rows == 0:
        if may_be_empty:
            return _nothing(spec)
        raise Unusable(f"{pattern}: expected {'files' if table is None else 'rows'}, found none")
    return _rows(table if limit is None else table.slice(0, limit), spec, pattern, may_be_empty)


def _read(path: Path) -> Any:
    kind = next((ending for ending in _READERS if f".{ending}" in path.name), "parquet")
    try:
        return _READERS[kind](path)
    except (pa.ArrowException, OSError) as error:
        raise Unusable(f"{path.name}: expected {kind}, cannot read it: {error}") from error


def _rows(table: Any, spec: ModelSpec, pattern: str, may_be_empty: bool) -> Rows:
    source = spec.source
    for name in (source.label, *spec.features):
        if name not in table.column_names:
            raise Unusable(f"{pattern}: expected column {name}, found {', '.join(sorted(table.column_names))}")
    table = table.filter(pc.is_valid(table[source.label]))
    if table.num_rows == 0:
        if may_be_empty:
            return _nothing(spec)
        raise Unusable(f"{pattern}: column {source.label}: every label is missing")
    features = {
        name: _text(table, name, pattern) if feature.type == "categorical" else _number(table, name, pattern)
        for name, feature in spec.inputs.items()
    }
    watched = {
        name: _text(table, name, pattern) if feature.type == "text" else _timestamp(table, name, pattern)
        for name, feature in spec.features.items()
        if not feature.is_input
    }
    return Rows(features, _label(table, spec, pattern), _timestamp(table, source.timestamp, pattern), watched)


def _nothing(spec: ModelSpec) -> Rows:
    kinds = {name: object if feature.type == "categorical" else np.float32 for name, feature in spec.inputs.items()}
    label = object if spec.training.task == "multiclass" else np.float64
    columns = {name: np.empty(0, kind) for name, kind in kinds.items()}
    return Rows(columns, np.empty(0, label), np.empty(0, "M8[us]"))


def _label(table: Any, spec: ModelSpec, pattern: str) -> np.ndarray:
    if spec.training.task == "multiclass":
        return _text(table, spec.source.label, pattern)
    return _cast(table, spec.source.label, pa.float64(), "numbers", pattern).to_numpy()


def _number(table: Any, name: str, pattern: str) -> np.ndarray:
    column = _cast(table, name, pa.float32(), "numbers", pattern)
    numbers = np.array(pc.fill_null(column, float("nan")).to_numpy(), dtype=np.float32)
    numbers[np.isinf(numbers)] = np.nan  # as the served graph sees it
    return numbers


def _text(table: Any, name: str, pattern: str) -> np.ndarray:
    column = _cast(table, name, pa.string(), "text", pattern)
    return np.asarray(pc.fill_null(column, "").to_numpy(zero_copy_only=False), dtype=object)


def _cast(table: Any, name: str, to: Any, expected: str, pattern: str) -> Any:
    try:
        return pc.cast(table[name].combine_chunks(), to, safe=False)
    except pa.ArrowException as error:
        raise Unusable(f"{pattern}: column {name}: expected {expected}, got {table[name].type}: {error}") from error


def _timestamp(table: Any, name: str, pattern: str) -> np.ndarray:
    """When each row happened; NaT where that is unknown. Text without a time zone counts as UTC."""
    if name not in table.column_names:
        return np.full(table.num_rows, np.datetime64("NaT"), "M8[us]")
    to = pa.timestamp("us", getattr(table[name].type, "tz", None))
    if pa.types.is_string(table[name].type) and pc.any(pc.match_substring_regex(table[name], _ZONE)).as_py():
        to = pa.timestamp("us", "UTC")
    return np.asarray(_cast(table, name, to, "times", pattern).to_numpy(zero_copy_only=False), dtype="M8[us]")


def missing(column: np.ndarray) -> np.ndarray:
    """Which values are missing, as a mask."""
    return np.asarray(column == "") if column.dtype == object else np.isnan(column)


def check(rows: Rows, spec: ModelSpec) -> None:
    """Refuse rows from which nothing can be learnt. Raises Unusable."""
    for name in spec.inputs:
        if missing(rows.features[name]).all():
            raise Unusable(f"column {name}: every value is missing")
    label, task = spec.source.label, spec.training.task
    if task == "regression":
        if not np.isfinite(rows.label).all():
            raise Unusable(f"column {label}: expected finite numbers")
        return
    found = sorted(set(rows.label.tolist()))
    if task == "binary" and not set(found) <= {0.0, 1.0}:
        raise Unusable(f"column {label}: expected 0 and 1, got {', '.join(map(str, found[:5]))}")
    if len(found) < 2:
        raise Unusable(f"column {label}: expected at least two classes, got only {found[0]}")
