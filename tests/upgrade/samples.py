"""Records that the world of runs and rollouts does not write: the monitor's, the trainer's and a delivery's."""

import json
from typing import Any

from retraining.modules import ModuleSet, move
from retraining.reports import TrainingReport
from tests.monitoring.test_handler import Installation
from tests.unit.build import NOW, SPECS


def drifting() -> Installation:
    """An installation whose monitor has an open incident: weeks of ordinary days, then days that moved."""
    one = Installation()
    one.ordinary(20)
    for _ in range(3):
        one.day({"delay": 0.6})
    return one


def samples() -> dict[str, Any]:
    """Path or address → JSON."""
    one = drifting()
    bodies = {path: one.store.read(path) for path in one.store.list("")}
    found = {path: stored.body for path, stored in bodies.items() if stored}
    baseline = "gs://artifacts/runs/run-1/report/baseline.json"
    found[baseline] = (one.artifacts.read(baseline) or b"").decode()
    found["gs://artifacts/runs/run-1/report/training.json"] = report().to_json()
    modules = ModuleSet.of({"models/flights.yaml": b"name: flights\n", "trainer/data.py": b"\n"}, "c0ffee", NOW)
    pointer = move(None, modules, "trainer@sha256:1", NOW)
    assert pointer is not None
    found[f"modules/sets/{modules.digest}.json"] = modules.to_json()
    found["modules/current.json"] = pointer.but(nonce="n1").to_json()
    return {path: json.loads(body) for path, body in found.items()}


def report() -> TrainingReport:
    """How a training ended."""
    return TrainingReport(
        run_id="run-1",
        rows=60_000,
        examples=240_000,
        seconds=81.5,
        metrics={"val_log_loss": 0.161, "test_auc": 0.97},
        parameters={name: str(one.default) for name, one in SPECS["flights"].training.hyperparameters.items()},
    )
