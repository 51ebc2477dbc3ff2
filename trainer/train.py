"""Fitting: virtual epochs over whole columns, a metric after each, checkpoints and early stop."""

import argparse
import json
import math
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from retraining.modelspec import ModelSpec
from trainer import storage
from trainer.data import Rows
from trainer.errors import Unusable
from trainer.metrics import scores
from trainer.model import Served, Target, compile_model, create_model
from trainer.preprocess import Preprocess

Log = Callable[[str], None]
PIECE = 65_536  # rows that are measured at once


@dataclass
class Fitted:
    """A fitted network and how fitting went."""

    served: Served
    target: Target
    metrics: dict[str, float]
    examples: int
    seconds: float
    resumed_from: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


def train_and_evaluate(
    spec: ModelSpec,
    train: Rows,
    validation: Rows,
    args: argparse.Namespace,
    checkpoints: str = "",
    log: Log = print,
) -> Fitted:
    """Fit a network to ``train`` and measure it on ``validation`` after each virtual epoch.

    A virtual epoch is ``num_examples / num_epochs`` rows, whatever the batch size, so that trials with different
    batches report equally often. The best virtual epoch's weights are kept.

    Raises:
        Unusable: the loss is not a number.
    """
    keras.utils.set_random_seed(args.seed)
    target = Target(spec, train.label)
    preprocess = Preprocess(spec, train, args.num_buckets)
    hidden = [int(float(part)) for part in str(args.hidden_units).split(",")]
    model = create_model(preprocess.sizes, target.outputs, hidden, args.num_embeds)
    steps = max(1, (args.num_examples or 10 * len(train)) // args.num_epochs // args.batch_size)
    compile_model(model, spec, args.learning_rate, steps * args.num_epochs)
    epochs = VirtualEpochs(spec, model, target, preprocess, validation, args, checkpoints, log)
    fed = feed(*preprocess.apply(train.features), target.encode(train.label), args.batch_size, args.seed)
    began = time.perf_counter()
    model.fit(
        fed,
        epochs=args.num_epochs,
        steps_per_epoch=steps,
        initial_epoch=epochs.resume(),
        callbacks=[epochs],
        shuffle=False,  # the feed shuffles
        verbose=0,
    )
    seconds = time.perf_counter() - began - epochs.measuring
    epochs.keep_best()
    served = Served(spec, preprocess, model, target)
    seen = steps * args.batch_size * len(epochs.history)
    return Fitted(served, target, epochs.best, seen, seconds, epochs.resumed_from, epochs.history)


def feed(numbers: np.ndarray, ids: np.ndarray, label: np.ndarray, batch: int, seed: int) -> tf.data.Dataset:
    """Endless shuffled batches. Only row numbers are shuffled; rows are gathered a batch at a time."""
    columns = tf.constant(numbers), tf.constant(ids), tf.constant(label)
    batch = min(batch, len(label))

    def gather(index: tf.Tensor) -> tuple[tuple[tf.Tensor, tf.Tensor], tf.Tensor]:
        n, i, y = (tf.gather(column, index) for column in columns)
        return (n, i), y

    order = tf.data.Dataset.range(len(label)).shuffle(len(label), seed=seed, reshuffle_each_iteration=True)
    return order.repeat().batch(batch, drop_remainder=True).map(gather, num_parallel_calls=2).prefetch(8)


class VirtualEpochs(keras.callbacks.Callback):
    """After each virtual epoch: measure, report to the tuner, keep a checkpoint, stop when nothing improves."""

    def __init__(
        self,
        spec: ModelSpec,
        model: keras.Model,
        target: Target,
        preprocess: Preprocess,
        validation: Rows,
        args: argparse.Namespace,
        checkpoints: str,
        log: Log,
    ) -> None:
        super().__init__()
        self._spec, self._network, self._target, self._args = spec, model, target, args
        self._checkpoints, self._log = checkpoints, log
        self._inputs = preprocess.apply(validation.features)
        self._graph = tf.function(lambda numbers, ids: model([numbers, ids], training=False))
        self._label = validation.label
        self.metric = spec.tuning.metric if spec.tuning else f"val_{spec.gate.metric}"
        self._sign = -1.0 if self.metric in ("val_auc", "val_accuracy") else 1.0
        self.best: dict[str, float] = {}
        self.history: list[dict[str, float]] = []
        self._best_weights: list[np.ndarray] = []
        self._since_best = 0
        self.measuring = 0.0
        self.resumed_from = 0

    def resume(self) -> int:
        """Load the last checkpoint; the number of virtual epochs it has seen."""
        if not self._checkpoints or self._args.skip_full_eval:
            return 0
        state = storage.read(f"{self._checkpoints}/state.json")
        if state is None:
            return 0
        epoch = int(json.loads(state)["epoch"])
        weights = storage.read(f"{self._checkpoints}/epoch-{epoch}.weights.h5")
        if weights is None:
            return 0
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "last.weights.h5"
            path.write_bytes(weights)
            self._network.load_weights(path)
        self.resumed_from = epoch
        self._log(f"resumed after virtual epoch {epoch}")
        self._measure(epoch)
        return min(epoch, self._args.num_epochs - 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """See keras.callbacks.Callback."""
        loss = float((logs or {}).get("loss", math.nan))
        if not math.isfinite(loss):
            raise Unusable(f"the loss is {loss} in virtual epoch {epoch + 1}: try a lower --learning_rate")
        began = time.perf_counter()
        measured = self._measure(epoch + 1)
        self._log(f"virtual epoch {epoch + 1}: loss {loss:.5f}, {self.metric} {measured[self.metric]:.5f}")
        self._report(measured[self.metric], epoch + 1)
        self._checkpoint(epoch + 1)
        if self._since_best >= self._args.patience:
            self._log(f"no improvement in {self._since_best} virtual epochs")
            self.model.stop_training = True
        self.measuring += time.perf_counter() - began

    def _measure(self, epoch: int) -> dict[str, float]:
        raw = predict_raw(self._graph, *self._inputs)
        predicted = to_prediction(self._spec, self._target, raw)
        measured = {
            f"val_{name}": value
            for name, value in scores(
                self._spec.training.task, predicted, self._label, self._target.classes
            ).items()
        }
        if self.metric not in measured:
            raise Unusable(f"tuning.metric {self.metric}: expected one of {', '.join(sorted(measured))}")
        self.history.append(measured)
        value = self._sign * measured[self.metric]
        if not self.best or value < self._sign * self.best[self.metric]:
            self.best, self._since_best = measured, 0
            self._best_weights = self._network.get_weights()
        else:
            self._since_best += 1
        return measured

    def _report(self, value: float, epoch: int) -> None:
        """Tell the tuner, when there is one."""
        if "CLOUD_ML_TRIAL_ID" not in os.environ and "CLOUD_ML_HP_METRIC_FILE" not in os.environ:
            return
        import hypertune

        hypertune.HyperTune().report_hyperparameter_tuning_metric(self.metric, value, epoch)

    def _checkpoint(self, epoch: int) -> None:
        if not self._checkpoints or self._args.skip_full_eval:
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "now.weights.h5"
            self._network.save_weights(path)
            storage.write(f"{self._checkpoints}/epoch-{epoch}.weights.h5", path.read_bytes())
        storage.write(f"{self._checkpoints}/state.json", json.dumps({"epoch": epoch}).encode())

    def keep_best(self) -> None:
        """Put the best virtual epoch's weights into the network."""
        if self._best_weights:
            self._network.set_weights(self._best_weights)


def predict_raw(graph: Callable[..., tf.Tensor], numbers: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Raw outputs [n, outputs] of the network."""
    pieces = range(0, len(numbers), PIECE)
    return np.concatenate([graph(numbers[s : s + PIECE], ids[s : s + PIECE]).numpy() for s in pieces])


def to_prediction(spec: ModelSpec, target: Target, raw: np.ndarray) -> np.ndarray:
    """Raw outputs → probabilities or numbers, as the served graph gives them."""
    raw = raw.astype(np.float64)
    if spec.training.task == "binary":
        return 1 / (1 + np.exp(-raw[:, 0]))
    if spec.training.task == "multiclass":
        shifted = np.exp(raw - raw.max(axis=1, keepdims=True))
        return shifted / shifted.sum(axis=1, keepdims=True)
    return raw[:, 0] * target.spread + target.mean
