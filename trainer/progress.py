"""What happens between virtual epochs: measure, tell the tuner, remember the best, keep a checkpoint."""

import math
import os
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from trainer import checkpoint
from trainer.errors import Unusable
from trainer.learner import Learner
from trainer.metrics import scores
from trainer.model import Target

PIECE = 65_536  # rows that are measured at once
RISING = frozenset({"val_auc", "val_accuracy"})  # metrics of which more is better


class Validation:
    """Measures a network on the validation rows."""

    def __init__(
        self, target: Target, learner: Learner, encoded: tuple[np.ndarray, np.ndarray], label: np.ndarray
    ) -> None:
        """``encoded`` are the rows' numbers and ids, ``label`` their labels [n]."""
        self._target, self._label = target, label
        self._numbers, self._ids = encoded
        network = learner.network
        self._graph = tf.function(
            lambda numbers, ids: target.decode(network([numbers, ids], training=False)), autograph=False
        )

    def measure(self) -> dict[str, float]:
        """Every metric of the task, named val_*."""
        pieces = range(0, len(self._label), PIECE)
        predicted = np.concatenate(
            [self._graph(self._numbers[s : s + PIECE], self._ids[s : s + PIECE]) for s in pieces]
        )
        found = scores(self._target.task, predicted.astype(np.float64), self._label, self._target.classes)
        return {f"val_{name}": value for name, value in found.items()}


class Tuner:
    """Hears the metric of each virtual epoch, when this is a trial of Vertex AI; else nobody listens."""

    def __init__(self, metric: str, environ: Mapping[str, str]) -> None:
        self._metric, self._file = metric, None
        if "CLOUD_ML_TRIAL_ID" in environ or "CLOUD_ML_HP_METRIC_FILE" in environ:
            import hypertune

            self._file = hypertune.HyperTune()  # one for all: it writes the whole file again each time

    def report(self, value: float, epoch: int) -> None:
        """Tell the value after virtual epoch ``epoch``."""
        if self._file is not None:
            self._file.report_hyperparameter_tuning_metric(self._metric, value, epoch)


class Progress:
    """How far a training is, and how good it was at its best."""

    def __init__(
        self,
        metric: str,
        learner: Learner,
        validation: Validation,
        uri: str,
        identity: str,
        log: Callable[[str], None],
    ) -> None:
        """``uri`` is the checkpoint's file, or empty; ``identity`` tells the job's inputs from others."""
        self._metric, self._learner, self._validation = metric, learner, validation
        self._uri, self._identity, self._log = uri, identity, log
        self._tuner = Tuner(metric, os.environ)
        self._best_weights: list[np.ndarray] = []
        self.best: dict[str, float] = {}
        self.since_best = 0
        self.epoch = 0

    def resume(self) -> int:
        """Take up the last checkpoint; the virtual epochs that it has behind it."""
        found = checkpoint.load(self._uri, self._identity) if self._uri else None
        if found is None:
            return 0
        self._learner.state = found.state
        self._best_weights, self.best, self.since_best = found.best, found.best_metrics, found.since_best
        self.epoch = found.epoch
        self._log(f"resumed after virtual epoch {found.epoch}")
        return found.epoch

    def after(self, epoch: int, loss: float) -> None:
        """Virtual epoch ``epoch``, counted from 1, has ended with this mean loss. Raises Unusable."""
        if not math.isfinite(loss):
            raise Unusable(f"the loss is {loss} in virtual epoch {epoch}: try a lower --learning_rate")
        measured = self._validation.measure()
        value = measured[self._metric]
        if not math.isfinite(value):
            raise Unusable(f"{self._metric} is {value} in virtual epoch {epoch}: try a lower --learning_rate")
        self._log(f"virtual epoch {epoch}: loss {loss:.5f}, {self._metric} {value:.5f}")
        self._tuner.report(value, epoch)
        self.epoch = epoch
        if not self.best or self._better(value):
            self.best, self.since_best = measured, 0
            self._best_weights = self._learner.network.get_weights()
        else:
            self.since_best += 1
        if self._uri:
            kept = (self._learner.state, self._best_weights, self.best, self.since_best)
            checkpoint.save(self._uri, checkpoint.Checkpoint(self._identity, epoch, *kept))

    def _better(self, value: float) -> bool:
        best = self.best[self._metric]
        return value > best if self._metric in RISING else value < best

    def keep_best(self) -> None:
        """Put the best virtual epoch's weights into the network."""
        self._learner.network.set_weights(self._best_weights)
