"""After fitting: the served graph, the reports, golden rows, and the manifest last."""

import json
import tempfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from retraining.modelspec import ModelSpec
from retraining.reports import TrainingReport
from trainer import golden, storage
from trainer.arguments import TUNABLE, Places
from trainer.baseline import baseline
from trainer.data import Rows
from trainer.manifest import manifest
from trainer.metrics import scores
from trainer.predict import predict
from trainer.train import Fitted

GOLDEN_ROWS = 50


def export(
    spec: ModelSpec,
    args: Namespace,
    places: Places,
    fitted: Fitted,
    train: Rows,
    validation: Rows,
    test: Rows,
    log: Callable[[str], None],
) -> None:
    """Write model/ and report/. The manifest is written last: where it is, everything is."""
    parameters = {name: str(getattr(args, name)) for name in sorted(TUNABLE)}
    serve = fitted.served.serve
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        tf.saved_model.save(fitted.served, str(model), signatures={"serving_default": serve})
        storage.put_tree(model, places.model)
        written = manifest(spec, args.run_id, args.data_digest, model, parameters, args.seed)

    measured = {}
    if len(test):
        found = scores(spec.training.task, predict(serve, test), test.label, fitted.target.classes)
        measured = {f"test_{name}": value for name, value in found.items()}
    log(f"on {len(test)} test rows: {json.dumps(measured)}")
    report = TrainingReport(
        run_id=args.run_id,
        rows=len(train),
        examples=fitted.examples,
        seconds=fitted.seconds,
        metrics=fitted.metrics | measured,
        parameters=parameters,
        resumed_from_epoch=fitted.resumed_from,
    )
    reference = baseline(spec, args.run_id, train, predict(serve, validation), fitted.target.classes)
    spread = np.linspace(0, len(validation) - 1, min(GOLDEN_ROWS, len(validation))).astype(int)
    sample = validation.take(spread)  # of all days

    storage.write(f"{places.report}/training.json", report.to_json().encode())
    storage.write(f"{places.report}/baseline.json", reference.to_json().encode())
    storage.write(f"{places.report}/golden.json", golden.record(serve, sample))
    storage.write(f"{places.report}/manifest.json", written.to_json().encode())
    log(f"wrote {places.model} with digest {written.digest}")
