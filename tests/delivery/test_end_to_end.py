"""A delivery on the whole system of one machine: published modules train, evaluate and serve, asked for once."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gcp.artifacts import GcsArtifacts
from gcp.bigquery import connect
from gcp.bus import PubsubBus
from gcp.storage import connect as storage
from local.stack.options import Options
from local.stack.stack import Stack
from retraining import names
from retraining.modules import sha256
from retraining.reports import Manifest
from tests.delivery.sets import ROOT
from tests.e2e.test_stack import load, retrain, rows
from trainer.manifest import digest

MODELS = ROOT / "tests" / "e2e" / "models"
OPEN = {"waiting", "validating", "launching", "training", "evaluating", "eligible", "rolling_out"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole system with one small model, following its bucket; its addresses are in the environment."""
    before = dict(os.environ)
    options = Options(models=str(MODELS), settings={"modules": "current"})
    with Stack(tmp_path_factory.mktemp("stack"), options, fresh=True) as running:
        os.environ.update(running.env)
        yield running
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def run(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The run that a delivery of changed code asked for, after its end."""
    source = tmp_path_factory.mktemp("source")
    for name in ("trainer", "retraining"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(MODELS, source / "models")
    manifest = source / "trainer" / "manifest.py"
    manifest.write_text(manifest.read_text() + "\nSEEDS_OF_DELIVERY = 1\n")
    load(connect(stack.settings.project), rows(6000))
    said = retrain("modules", "publish", "--source", str(source), "--commit", "1a2b3c", "--by", "delivery")
    again = retrain("modules", "publish", "--source", str(source), "--commit", "1a2b3c", "--by", "delivery")
    assert "asked for a run of tiny" in said
    assert "everything was there already" in again
    bus, deadline = PubsubBus(stack.settings.project), time.monotonic() + 180
    while time.monotonic() < deadline:
        bus.publish(stack.settings.ticks_topic, '{"kind": "tick"}', {})
        time.sleep(1)
        found = json.loads(retrain("runs", "tiny", "--json"))
        if found and all(one["state"] not in OPEN for one in found):
            return {
                "run": found[-1]["run"],
                "state": found[-1]["state"],
                "count": str(len(found)),
                "source": str(source),
            }
    raise AssertionError(retrain("events", "tiny"))


def test_a_delivery_leads_to_one_run_that_serves(run: dict[str, str]) -> None:
    """Although it was published twice."""
    assert (run["state"], run["count"]) == ("promoted", "1"), retrain("events", "tiny")


def test_the_run_tells_which_code_it_ran(run: dict[str, str]) -> None:
    """The digest of the set that is current."""
    told = json.loads(retrain("explain", "tiny", "--json"))
    current = json.loads(retrain("modules", "show", "--json"))

    assert told["digests"]["code"] == current["digest"]


def code_digest(folder: Path) -> str:
    """The digest that a trainer of this folder writes into its manifest."""
    return digest({path.name: sha256(path.read_bytes()) for path in folder.glob("*.py")})


def test_the_delivered_code_trained(stack: Stack, run: dict[str, str]) -> None:
    """Not that of the repository, whose digest is another."""
    uri = f"{names.artifact_uri(stack.settings.artifact_bucket, run['run'])}/report/manifest.json"
    body = GcsArtifacts(storage(stack.settings.project)).read(uri)
    assert body is not None

    assert Manifest.from_json(body).code_digest == code_digest(Path(run["source"]) / "trainer")
    assert Manifest.from_json(body).code_digest != code_digest(ROOT / "trainer")


def test_the_smoke_test_passes(run: dict[str, str]) -> None:
    """The endpoint answers golden rows as right after training."""
    told = json.loads(retrain("smoke", "tiny", "--json"))

    assert told["run"] == run["run"]
    assert told["compared"] is True


def test_a_model_that_nobody_trained_is_no_failure(stack: Stack, tmp_path: Path) -> None:
    """A model file of its own, and no champion."""
    text = (MODELS / "tiny.yaml").read_text()
    (tmp_path / "idle.yaml").write_text(
        text.replace("name: tiny", "name: idle").replace("endpoint: tiny", "endpoint: idle")
    )
    before = os.environ["RETRAIN_MODELS"]
    os.environ["RETRAIN_MODELS"] = str(tmp_path)
    try:
        said = retrain("smoke", "idle")
    finally:
        os.environ["RETRAIN_MODELS"] = before

    assert "no model serves yet" in said
