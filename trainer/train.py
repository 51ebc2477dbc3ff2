"""Fitting: virtual epochs over whole columns, until they are over or nothing improves."""

import argparse
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import keras

from retraining.modelspec import ModelSpec
from trainer.arguments import TUNABLE, tuned_metric
from trainer.data import Rows
from trainer.learner import Encoded, Learner, order
from trainer.model import Served, Target, create_model
from trainer.preprocess import Encoder, Preprocess
from trainer.progress import Progress, Validation

PASSES = 20  # over the data, when nothing is said


@dataclass(frozen=True)
class Fitted:
    """A fitted network and how fitting went."""

    served: Served
    target: Target
    metrics: dict[str, float]  # of the best virtual epoch, on validation rows
    examples: int  # seen, before a restart too
    seconds: float  # of fitting, since the restart
    epoch_seconds: tuple[float, ...]  # of each virtual epoch; the first compiles
    resumed_from: int  # virtual epochs that an earlier start of this job had behind it


def train_and_evaluate(
    spec: ModelSpec,
    train: Rows,
    validation: Rows,
    args: argparse.Namespace,
    checkpoints: str = "",
    log: Callable[[str], None] = print,
) -> Fitted:
    """Fit a network to ``train`` and measure it on ``validation`` after each virtual epoch.

    A virtual epoch is ``num_examples / num_epochs`` rows, whatever the batch size, so that trials with different
    batches report equally often. The best virtual epoch's weights are kept. ``checkpoints`` is a folder or empty.

    Raises:
        Unusable: the loss or the metric is not a number.
    """
    keras.utils.set_random_seed(args.seed)
    target = Target(spec, train.label)
    preprocess = Preprocess(spec, train, args.num_buckets)
    encode = Encoder(preprocess)
    network = create_model(preprocess.sizes, target.outputs, hidden_units(args), args.num_embeds)

    batch = min(args.batch_size, len(train))
    steps = max(1, (args.num_examples or PASSES * len(train)) // args.num_epochs // batch)
    learner = Learner(network, spec.training.task, args.learning_rate, steps * args.num_epochs)

    measured = Validation(target, learner, encode(validation.features), validation.label)
    file = f"{checkpoints}/last.npz" if checkpoints else ""
    progress = Progress(tuned_metric(spec), learner, measured, file, identity(spec, args, train), log)
    resumed_from = progress.resume()

    rows = Encoded(*encode(train.features), target.encode(train.label))
    seconds = []
    for epoch in range(resumed_from, args.num_epochs):
        if progress.since_best >= args.patience:
            log(f"no improvement in {progress.since_best} virtual epochs")
            break
        began = time.perf_counter()
        loss = learner.virtual_epoch(rows, order(len(train), batch, steps, epoch, args.seed))
        seconds.append(time.perf_counter() - began)
        progress.after(epoch + 1, loss)

    progress.keep_best()
    served = Served(spec, preprocess, network, target)
    examples = progress.epoch * steps * batch
    return Fitted(served, target, progress.best, examples, sum(seconds), tuple(seconds), resumed_from)


def hidden_units(args: argparse.Namespace) -> list[int]:
    """Sizes of the dense layers."""
    return [int(float(part)) for part in str(args.hidden_units).split(",")]


def identity(spec: ModelSpec, args: argparse.Namespace, train: Rows) -> str:
    """What tells this training's checkpoints from those of another one in the same folder."""
    parameters = {name: str(getattr(args, name)) for name in sorted(TUNABLE)}
    inputs = [spec.digest, args.run_id, args.data_digest, len(train), parameters]
    return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()
