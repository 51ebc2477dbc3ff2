"""One virtual epoch as one compiled call: gather a batch, step, and again, without leaving the compiled program.

A step of this network is so small that starting it from Python would cost more than the step. So the whole loop is
compiled, rows stay where they are, and only their order is handed in.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from retraining.modelspec import Task

LOSSES: dict[Task, Callable[[Any, Any], Any]] = {  # raw outputs [n, outputs], labels [n] → losses [n]
    "binary": lambda raw, label: tf.nn.sigmoid_cross_entropy_with_logits(label, raw[:, 0]),
    "multiclass": lambda raw, label: tf.nn.sparse_softmax_cross_entropy_with_logits(label, raw),
    "regression": lambda raw, label: tf.square(raw[:, 0] - label),
}


class Encoded:
    """Rows as the network reads them, on the device: numbers [n, f], ids [n, k], label [n]."""

    def __init__(self, numbers: np.ndarray, ids: np.ndarray, label: np.ndarray) -> None:
        self.numbers, self.ids, self.label = tf.constant(numbers), tf.constant(ids), tf.constant(label)


class Learner:
    """A network and what moves its weights."""

    def __init__(self, network: keras.Model, task: Task, learning_rate: float, steps: int) -> None:
        """``steps`` is the length of the whole training: until then the learning rate falls to almost nothing."""
        self.network = network
        rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps, alpha=0.01)
        self._optimizer = keras.optimizers.Adam(rate)
        self._optimizer.build(network.trainable_variables)
        self._loss = LOSSES[task]
        self._compiled = tf.function(self._loop, jit_compile=True, autograph=False)

    def virtual_epoch(self, rows: Encoded, order: np.ndarray) -> float:
        """Step through the batches of ``order`` [steps, batch], row numbers; the mean loss of the steps."""
        return float(self._compiled(tf.constant(order), rows.numbers, rows.ids, rows.label))

    def _loop(self, order: Any, numbers: Any, ids: Any, label: Any) -> Any:
        steps = order.shape[0]

        def body(step: Any, total: Any) -> Any:
            return step + 1, total + self._step(order[step], numbers, ids, label)

        _, total = tf.while_loop(lambda step, total: step < steps, body, (0, 0.0))
        return total / steps

    def _step(self, batch: Any, numbers: Any, ids: Any, label: Any) -> Any:
        with tf.GradientTape() as tape:
            raw = self.network([tf.gather(numbers, batch), tf.gather(ids, batch)], training=True)
            loss = tf.reduce_mean(self._loss(raw, tf.gather(label, batch)))
        gradients = tape.gradient(loss, self.network.trainable_variables)
        # The tables are small: dense gradients are quicker than finding out which of their rows moved.
        self._optimizer.apply([tf.convert_to_tensor(one) for one in gradients])
        return loss

    @property
    def state(self) -> list[np.ndarray]:
        """All that learning changes: weights, then the optimizer's memory."""
        return [variable.numpy() for variable in (*self.network.weights, *self._optimizer.variables)]

    @state.setter
    def state(self, arrays: list[np.ndarray]) -> None:
        variables = (*self.network.weights, *self._optimizer.variables)
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)


def order(rows: int, batch: int, steps: int, epoch: int, seed: int) -> np.ndarray:
    """Row numbers [steps, batch] of one virtual epoch, counted from 0.

    Virtual epochs cut one endless sequence of permutations of all rows, so that every row is seen equally often.
    The result depends on the arguments alone: a job that goes on after a crash sees the rows it would have seen.
    """
    first, count = epoch * steps * batch, steps * batch
    passes = range(first // rows, (first + count - 1) // rows + 1)
    shuffled = np.concatenate([np.random.default_rng([seed, one]).permutation(rows) for one in passes])
    start = first - passes[0] * rows
    return shuffled[start : start + count].astype(np.int32).reshape(steps, batch)
