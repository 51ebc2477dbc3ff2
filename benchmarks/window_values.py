"""Any Arrow column as what its baseline counts, so that a column that changed its type is judged, not refused."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.window_counts import Array, word


def is_number(kind: Any) -> bool:
    """Whether values of this Arrow type are counted by size: numbers and times."""
    types = pa.types
    return bool(
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_decimal(kind)
        or types.is_timestamp(kind)
        or types.is_date(kind)
    )


def as_numbers(values: Any) -> tuple[Any, Array | None]:
    """The column as numbers, and the rows whose value is none, which the column shows as missing; None: no row.

    Empty text is missing. A list, a struct or a map is no number.
    """
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    if is_number(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return values, None
    there = np.asarray(pc.is_valid(values).to_numpy(zero_copy_only=False))
    if not is_text(kind):
        return pa.nulls(len(values), pa.float64()), there
    coded = values.dictionary_encode()
    distinct = [word(value) for value in coded.dictionary.to_pylist()]
    read = pa.array([_number(text) for text in distinct], pa.float64())
    bad = pa.array(
        [bool(text) and one is None for text, one in zip(distinct, read.to_pylist(), strict=True)], pa.bool_()
    )
    broken = bad.take(coded.indices).fill_null(False)
    return read.take(coded.indices), np.asarray(broken.to_numpy(zero_copy_only=False))


def as_categories(values: Any) -> Any:
    """The column as values that Arrow can tell apart: lists, structs and maps as compact JSON text."""
    if not pa.types.is_nested(values.type):
        return values
    return pa.array([None if value is None else _json(value) for value in values.to_pylist()], pa.string())


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=word)


def is_text(kind: Any) -> bool:
    """Whether values of this Arrow type are text, or bytes that may be."""
    types = pa.types
    return bool(
        types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind) or is_binary(kind)
    )


def is_binary(kind: Any) -> bool:
    """Whether values of this Arrow type are bytes."""
    types = pa.types
    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
        or types.is_binary_view(kind)
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
