"""A job that is killed and started again goes on, and ends as if nothing had happened."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.trainer import jobs, samples
from trainer import checkpoint

WORDS = ("--num_epochs=60", "--num_examples=60000", "--patience=1000", "--run-id=run-1")


def words(folder: Path, data: Path) -> tuple[str, ...]:
    return (f"--model-spec={folder / 'orders.yaml'}", f"--data-dir={data}", *WORDS)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return samples.write_rows(tmp_path_factory.mktemp("rows"), "binary")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory, data: Path) -> jobs.Trained:
    return jobs.train(tmp_path_factory.mktemp("unbroken"), "binary", *WORDS, data=data)


def test_killed_job_ends_like_one_that_was_never_killed(tmp_path: Path, data: Path, unbroken: jobs.Trained) -> None:
    samples.write_spec(tmp_path, samples.spec("binary"))
    env = {"AIP_MODEL_DIR": f"{tmp_path}/model/", "AIP_CHECKPOINT_DIR": f"{tmp_path}/checkpoints/"}
    command = jobs.command("trainer", *words(tmp_path, data))
    with subprocess.Popen(command, cwd=jobs.ROOT, env=os.environ | env, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        for line in first.stdout:
            if line.startswith("virtual epoch 5:"):
                first.send_signal(signal.SIGKILL)
    again = jobs.run("trainer", *words(tmp_path, data), env=env)
    resumed = re.search(r"resumed after virtual epoch (\d+)", again.stdout)
    report = json.loads((tmp_path / "report/training.json").read_text())

    assert first.returncode == -signal.SIGKILL
    assert resumed is not None
    assert report["resumed_from_epoch"] == int(resumed[1]) >= 4
    assert report["examples"] == unbroken.report("training.json")["examples"]
    assert report["metrics"] == pytest.approx(unbroken.report("training.json")["metrics"], rel=1e-6)


def test_finished_job_started_again_only_exports(tmp_path: Path, data: Path) -> None:
    places = {"AIP_CHECKPOINT_DIR": f"{tmp_path}/checkpoints"}
    jobs.train(tmp_path, "binary", *WORDS, "--num_epochs=3", data=data, env=places)
    again = jobs.train(tmp_path, "binary", *WORDS, "--num_epochs=3", data=data, env=places)

    assert again.report("training.json")["resumed_from_epoch"] == 3
    assert again.report("training.json")["seconds"] == 0


def test_checkpoint_of_other_parameters_is_left_alone(tmp_path: Path, data: Path) -> None:
    places = {"AIP_CHECKPOINT_DIR": f"{tmp_path}/checkpoints"}
    jobs.train(tmp_path, "binary", "--num_epochs=2", data=data, env=places)
    other = jobs.train(tmp_path, "binary", "--num_epochs=2", "--hidden_units=4", data=data, env=places)

    assert other.report("training.json")["resumed_from_epoch"] == 0


def test_checkpoint_round_trip(tmp_path: Path) -> None:
    uri = str(tmp_path / "last.npz")
    kept = checkpoint.Checkpoint("me", 3, [np.arange(4.0), np.array(7)], [np.ones((2, 2))], {"val_rmse": 1.5}, 1)
    checkpoint.save(uri, kept)
    found = checkpoint.load(uri, "me")

    assert found is not None
    assert (found.epoch, found.best_metrics, found.since_best) == (3, {"val_rmse": 1.5}, 1)
    assert [one.tolist() for one in found.state] == [[0.0, 1.0, 2.0, 3.0], 7]
    assert [one.tolist() for one in found.best] == [[[1.0, 1.0], [1.0, 1.0]]]


@pytest.mark.parametrize("body", [b"", b"PK\x03\x04 torn", b"not a file of arrays"])
def test_torn_checkpoint_counts_as_none(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "last.npz"
    path.write_bytes(body)

    assert checkpoint.load(str(path), "me") is None
