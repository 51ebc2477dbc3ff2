"""Predictions through the serving signature, the only way this system ever asks a model."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.data import Columns, Rows

Serve = Callable[..., dict[str, Any]]
_PIECE = 16_384  # rows at once


def ask(serve: Serve, features: Columns) -> dict[str, np.ndarray]:
    """Every output of the signature for raw columns."""
    tensors = {
        name: tf.constant(column.tolist(), tf.string) if column.dtype == object else tf.constant(column, tf.float32)
        for name, column in features.items()
    }
    return {name: value.numpy() for name, value in _call(serve, tensors).items()}


def _call(serve: Serve, tensors: dict[str, Any]) -> dict[str, Any]:
    """A signature loaded from disk takes keywords, the function it was saved from takes the dict."""
    if getattr(serve, "structured_input_signature", ((), {}))[1]:
        return serve(**tensors)
    return serve(tensors)


def predict_columns(serve: Serve, features: Columns) -> np.ndarray:
    """Probabilities [n] or [n, classes], or numbers [n], float64."""
    count = len(next(iter(features.values())))
    parts = []
    for start in range(0, count, _PIECE):
        answer = ask(serve, {name: column[start : start + _PIECE] for name, column in features.items()})
        key = next(name for name in ("score", "scores", "value") if name in answer)
        parts.append(answer[key].astype(np.float64))
    return np.concatenate(parts)


def predict(serve: Serve, rows: Rows) -> np.ndarray:
    """The same for rows."""
    return predict_columns(serve, rows.features)
