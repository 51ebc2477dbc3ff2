"""The network: wide and deep, for a binary label, several classes, or a number."""

import numpy as np
import tensorflow as tf
from keras import Input, Model, layers, losses, optimizers

from retraining.modelspec import ModelSpec
from trainer.preprocess import Preprocess, Sizes


def create_model(sizes: Sizes, outputs: int, hidden: list[int], num_embeds: int) -> Model:
    """Numbers [n, f] and ids [n, k] → raw outputs [n, outputs].

    The wide part is one weight per id and output, which is what a one-hot times a dense layer would be. The deep
    part sees the numbers and a small embedding of each category.
    """
    numbers = Input([sizes.numbers], name="numbers")
    ids = Input([len(sizes.wide)], dtype="int32", name="ids")
    wide = layers.Embedding(sum(sizes.wide), outputs, embeddings_initializer="zeros", name="wide")
    wide_out = layers.GlobalAveragePooling1D(name="wide_sum")(wide(_shifted(ids, sizes.wide)))
    deep_in = numbers
    if sizes.categories:
        count = len(sizes.categories)
        embed = layers.Embedding(sum(sizes.categories), num_embeds, name="deep")
        embedded = layers.Flatten()(embed(_shifted(ids[:, :count], sizes.categories)))
        deep_in = layers.Concatenate(name="deep_inputs")([numbers, embedded])
    for number, units in enumerate(hidden, 1):
        deep_in = layers.Dense(units, activation="relu", name=f"dnn_{number}")(deep_in)
    deep_out = layers.Dense(outputs, name="deep_out")(deep_in)
    return Model([numbers, ids], layers.Add(name="both")([deep_out, wide_out * len(sizes.wide)]))


def _shifted(ids: tf.Tensor, sizes: tuple[int, ...]) -> tf.Tensor:
    """Ids of several columns as ids of one table."""
    return ids + np.cumsum([0, *sizes[:-1]], dtype=np.int32)


def compile_model(model: Model, spec: ModelSpec, learning_rate: float, steps: int) -> None:
    """Give the network its loss, and an optimizer whose rate falls to nothing over ``steps``.

    No metrics in the step: they would cost more than the step itself.
    """
    loss = {
        "binary": losses.BinaryCrossentropy(from_logits=True),
        "multiclass": losses.SparseCategoricalCrossentropy(from_logits=True),
        "regression": losses.MeanSquaredError(),
    }[spec.training.task]
    rate = optimizers.schedules.CosineDecay(learning_rate, steps, alpha=0.01)
    model.compile(optimizers.Adam(rate), loss, steps_per_execution=20, jit_compile=True)


class Served(tf.Module):
    """Preprocessing and network as one graph over a dict of raw features: what is exported and served."""

    def __init__(self, spec: ModelSpec, preprocess: Preprocess, model: Model, target: "Target") -> None:
        super().__init__()
        self.preprocess, self.model = preprocess, model
        self._task, self._target = spec.training.task, target
        self.classes = tf.constant(target.classes, tf.string) if target.classes else None
        self.serve = tf.function(self._serve, input_signature=[preprocess.signature()])

    def _serve(self, features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        numbers, ids = self.preprocess(features)
        raw = self.model([numbers, ids])
        if self._task == "binary":
            return {"score": tf.sigmoid(raw[:, 0])}
        if self.classes is not None:
            scores = tf.nn.softmax(raw)
            return {"scores": scores, "classes": tf.tile(self.classes[tf.newaxis], [tf.shape(scores)[0], 1])}
        return {"value": raw[:, 0] * self._target.spread + self._target.mean}


class Target:
    """The label as the network sees it: 0 and 1, a class's number, or a number with mean 0 and spread 1."""

    def __init__(self, spec: ModelSpec, labels: np.ndarray) -> None:
        self.task = spec.training.task
        self.classes = sorted(set(labels.tolist())) if self.task == "multiclass" else []
        regression = self.task == "regression"
        self.mean = float(labels.mean()) if regression else 0.0
        self.spread = (float(labels.std()) or 1.0) if regression else 1.0

    @property
    def outputs(self) -> int:
        """How many outputs the network has."""
        return max(1, len(self.classes))

    def encode(self, labels: np.ndarray) -> np.ndarray:
        """Labels → what the loss compares with. A class that training never saw is -1."""
        if self.task == "multiclass":
            number = {name: i for i, name in enumerate(self.classes)}
            return np.array([number.get(label, -1) for label in labels], np.int32)
        return ((labels - self.mean) / self.spread).astype(np.float32)
