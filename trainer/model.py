"""The network: wide and deep, for a binary label, several classes, or a number."""

from typing import Any

import numpy as np
import tensorflow as tf
from keras import Input, Model, layers, ops

from retraining.modelspec import ModelSpec
from trainer.preprocess import Preprocess, Sizes


def create_model(sizes: Sizes, outputs: int, hidden: list[int], num_embeds: int) -> Model:
    """Numbers [n, f] and ids [n, k] → raw outputs [n, outputs].

    The wide part is one weight per id and output, which is what a one-hot times a dense layer would be. The deep
    part sees the numbers and a small embedding of each category.
    """
    numbers = Input([sizes.numbers], name="numbers")
    ids = Input([len(sizes.wide)], dtype="int32", name="ids")
    table = layers.Embedding(sum(sizes.wide), outputs, embeddings_initializer="zeros", name="wide_inputs")
    wide = ops.sum(table(_shifted(ids, sizes.wide)), axis=1)
    deep = numbers
    if sizes.categories:
        count = len(sizes.categories)
        embedding = layers.Embedding(sum(sizes.categories), num_embeds, name="embeddings")
        embedded = layers.Flatten()(embedding(_shifted(ids[:, :count], sizes.categories)))
        deep = layers.Concatenate(name="deep_inputs")([numbers, embedded])
    for number, units in enumerate(hidden, 1):
        deep = layers.Dense(units, activation="relu", name=f"dnn_{number}")(deep)
    deep = layers.Dense(outputs, name="deep")(deep)
    return Model([numbers, ids], layers.Add(name="both")([deep, wide]))


def _shifted(ids: Any, sizes: tuple[int, ...]) -> Any:
    """Ids of several columns as ids of one table."""
    return ids + np.cumsum([0, *sizes[:-1]], dtype=np.int32)


class Target:
    """The label as the network sees it: 0 and 1, a class's number, or a number with mean 0 and spread 1."""

    def __init__(self, spec: ModelSpec, labels: np.ndarray) -> None:
        self.task = spec.training.task
        self.classes: list[str] = sorted(set(labels.tolist())) if self.task == "multiclass" else []
        regression = self.task == "regression"
        self.mean = float(labels.mean()) if regression else 0.0
        self.spread = (float(labels.std()) or 1.0) if regression else 1.0

    @property
    def outputs(self) -> int:
        """How many outputs the network has."""
        return max(1, len(self.classes))

    def encode(self, labels: np.ndarray) -> np.ndarray:
        """Labels of training rows → what the loss compares with."""
        if self.task == "multiclass":
            return np.searchsorted(np.array(self.classes), labels.astype(str)).astype(np.int32)
        return ((labels - self.mean) / self.spread).astype(np.float32)

    def decode(self, raw: Any) -> Any:
        """Raw outputs [n, outputs] → probabilities [n] or [n, classes], or numbers [n]."""
        if self.task == "binary":
            return tf.sigmoid(raw[:, 0])
        if self.task == "multiclass":
            return tf.nn.softmax(raw)
        return raw[:, 0] * self.spread + self.mean


class Served(tf.Module):
    """Preprocessing and network as one graph over a dict of raw features: what is exported and served.

    Answers: ``score`` [n] for a binary label; ``scores`` and ``classes`` [n, classes]; ``value`` [n] for a number.
    """

    def __init__(self, spec: ModelSpec, preprocess: Preprocess, network: Model, target: Target) -> None:
        super().__init__()
        self.preprocess, self.network = preprocess, network
        self._target = target
        self._classes = tf.constant([target.classes], tf.string) if target.classes else None
        self.serve = tf.function(self._serve, input_signature=[preprocess.signature()], autograph=False)

    def _serve(self, features: dict[str, Any]) -> dict[str, Any]:
        numbers, ids = self.preprocess(features)
        answer = self._target.decode(self.network([numbers, ids]))
        if self._target.task == "binary":
            return {"score": answer}
        if self._target.task == "multiclass":
            return {"scores": answer, "classes": tf.tile(self._classes, [tf.shape(answer)[0], 1])}
        return {"value": answer}
