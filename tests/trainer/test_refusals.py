"""What the trainer refuses: one clear line, exit code 2, and nothing written."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.trainer import jobs, samples


def refused(capsys: pytest.CaptureFixture[str], folder: Path, frame: pd.DataFrame, *words: str, **spec: Any) -> str:
    """Train on ``frame``, which must be refused; the line that says why."""
    data = folder / "rows"
    data.mkdir()
    for name in ("train", "eval", "test"):
        frame.to_parquet(data / f"{name}-000.parquet", index=False)
    trained = jobs.train(folder, "binary", *words, data=data, spec=spec.get("spec"))

    assert trained.code == 2
    assert not (folder / "model").exists()
    return capsys.readouterr().out.splitlines()[-1]


def good() -> pd.DataFrame:
    return samples.rows("binary", 300)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        pytest.param(good().head(0), "expected rows, found none", id="no rows"),
        pytest.param(good().drop(columns="outcome"), "expected column outcome", id="label missing"),
        pytest.param(good().drop(columns="shop"), "expected column shop", id="feature missing"),
        pytest.param(good().assign(outcome=None), "outcome: every label is missing", id="no labels"),
        pytest.param(good().assign(amount=np.nan), "column amount: every value is missing", id="null numbers"),
        pytest.param(good().assign(shop=None), "column shop: every value is missing", id="null texts"),
        pytest.param(good().assign(amount="much"), "column amount: expected numbers", id="text for numbers"),
        pytest.param(good().assign(outcome=2), "column outcome: expected 0 and 1, got 2", id="label of 2"),
        pytest.param(good().assign(outcome=1), "at least two classes, got only 1", id="one class"),
    ],
)
def test_rows(frame: pd.DataFrame, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, tmp_path, frame)

    assert line.startswith("permanent: ")
    assert said in line


def test_no_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    trained = jobs.train(tmp_path, "binary", data=tmp_path / "empty")

    assert trained.code == 2
    assert "train*: expected files, found none" in capsys.readouterr().out


def test_loss_that_is_not_a_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, tmp_path, good(), "--learning_rate=1e30")

    assert "permanent: " in line
    assert "try a lower --learning_rate" in line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--batch_size=0",), "--batch_size: expected more than 0, got 0"),
        (("--learning_rate=nan",), "--learning_rate: expected more than 0, got nan"),
        (("--hidden_units=64,x",), "--hidden_units: expected sizes such as 64,32, got '64,x'"),
        (("--seed=-1",), "--seed: expected 0 or more, got -1"),
    ],
)
def test_values(words: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said in refused(capsys, tmp_path, good(), *words)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("--batch_sise=64", "unrecognized arguments: --batch_sise=64"),
        ("--batch_size=64.5", "expected a whole number, got 64.5"),
        ("--num_epochs=inf", "expected a whole number, got inf"),
        ("--batch=64", "unrecognized arguments: --batch=64"),
    ],
)
def test_arguments(word: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        jobs.train(tmp_path, "binary", word)

    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_hyperparameter_that_the_trainer_does_not_have(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, tmp_path, good(), spec=samples.spec("binary", dropout=0.1))

    assert "training.hyperparameters.dropout: expected one of batch_size" in line


def test_metric_that_is_never_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = samples.spec("binary")
    spec["training"]["hyperparameters"]["num_buckets"]["tune"] = {"type": "integer", "min": 2, "max": 8}
    spec["tuning"] = {"metric": "val_rmse", "goal": "minimize"}
    line = refused(capsys, tmp_path, good(), spec=spec)

    assert "binary models report val_accuracy, val_auc, val_brier, val_log_loss; got val_rmse" in line


def test_unknown_type_of_a_feature(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = samples.spec("binary")
    spec["features"]["amount"]["type"] = "money"

    assert "features.amount.type" in refused(capsys, tmp_path, good(), spec=spec)


def test_model_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    from trainer.__main__ import main

    assert main(["--model-spec=/nowhere.yaml"]) == 2
    assert "--model-spec: expected a file at /nowhere.yaml, found none" in capsys.readouterr().out
