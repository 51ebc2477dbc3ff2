"""Golden rows: raw rows with the answers of the model right after training, to be asked again wherever it runs.

The file: ``{"rows": [{feature: value, ...}, ...], "answers": [...]}``; null is a missing value.
"""

import json
from typing import Any

import numpy as np

from retraining.modelspec import ModelSpec
from trainer.data import Columns, Rows
from trainer.predict import Serve, predict_columns

TOLERANCE = 1e-4  # relative from 1 on; machines round differently


def record(serve: Serve, rows: Rows) -> bytes:
    """The file's content for these rows."""
    columns = {name: [_plain(value) for value in column.tolist()] for name, column in rows.features.items()}
    listed = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return json.dumps({"rows": listed, "answers": predict_columns(serve, rows.features).tolist()}).encode()


def _plain(value: Any) -> Any:
    return None if value == "" or value != value else value


def columns(content: bytes, spec: ModelSpec) -> Columns:
    """The rows of a file as columns."""
    rows = json.loads(content)["rows"]
    found: Columns = {}
    for name, feature in spec.inputs.items():
        values = [row.get(name) for row in rows]
        if feature.type == "categorical":
            found[name] = np.array([value or "" for value in values], dtype=object)
        else:
            found[name] = np.array([np.nan if value is None else value for value in values], np.float32)
    return found


def mismatches(serve: Serve, content: bytes, spec: ModelSpec) -> int:
    """How many rows are answered differently now."""
    now = predict_columns(serve, columns(content, spec))
    then = np.array(json.loads(content)["answers"], np.float64)
    near = np.abs(now - then) <= TOLERANCE * np.maximum(1.0, np.abs(then))
    return int((~near).reshape(len(then), -1).any(axis=1).sum())
