"""A SavedModel over JSON instances: what is missing or unknown, and what is wrong, is decided here."""

import math
from pathlib import Path
from typing import Any

import numpy as np


class BadInstance(Exception):
    """An instance that cannot be read; the text names instance and feature."""


class Predictor:
    """The serving signature of a SavedModel."""

    def __init__(self, folder: Path) -> None:
        """Load the model in ``folder``; one thread computes a request, so that requests do not disturb others."""
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        self._model = tf.saved_model.load(str(folder))
        self._serve = self._model.signatures["serving_default"]
        signature = self._serve.structured_input_signature[1]
        self._text = frozenset(name for name, spec in signature.items() if spec.dtype == tf.string)
        self._names = tuple(signature)
        self._constant = tf.constant
        self._string = tf.string
        for _ in range(3):  # the first calls prepare
            self.predict([{}])

    def predict(self, instances: list[Any]) -> list[dict[str, Any]]:
        """One answer per instance: the outputs of the signature by name. Raises BadInstance.

        Keys that are no features are ignored; a feature that is absent or null is missing.
        """
        for number, instance in enumerate(instances):
            if not isinstance(instance, dict):
                raise BadInstance(f"instance {number}: expected an object, got {_kind(instance)}")
        answer = self._serve(**{name: self._column(name, instances) for name in self._names})
        listed = {name: _listed(value.numpy()) for name, value in answer.items()}
        return [dict(zip(listed, row, strict=True)) for row in zip(*listed.values(), strict=True)]

    def _column(self, name: str, instances: list[dict[str, Any]]) -> Any:
        read = _text if name in self._text else _number
        values = []
        for number, instance in enumerate(instances):
            value = instance.get(name)
            try:
                values.append(read(value))
            except TypeError as error:
                raise BadInstance(f"instance {number}: {name}: expected {error}, got {_kind(value)}") from None
        if name in self._text:
            return self._constant(values, self._string)
        with np.errstate(over="ignore"):  # what is beyond float32 is infinite, and missing to the graph
            return self._constant(np.array(values, np.float64).astype(np.float32))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    raise TypeError("text")


def _number(value: Any) -> float:
    if value is None:
        return math.nan
    if isinstance(value, (int, float)):  # true and false are 1 and 0
        try:
            return float(value)
        except OverflowError:
            raise TypeError("a number that a computer can hold") from None
    raise TypeError("a number")


def _listed(values: np.ndarray) -> list[Any]:
    """Plain values for JSON, which knows neither bytes nor numpy."""
    return (values.astype(str) if values.dtype == object else values).tolist()


def _kind(value: Any) -> str:
    """What JSON calls it, with the value where it is short."""
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else f"{value!r:.40}"
