"""The evaluator's measurements, against figures computed here in plain arithmetic."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retraining.reports import Evaluation
from tests.trainer import jobs, samples
from trainer.compare import paired
from trainer.metrics import auc, invalid, row_losses, scores


def evaluate(trained: jobs.Trained, task: str, output: Path, *words: str, data: str = "") -> int:
    from trainer.evaluate import main

    spec = samples.write_spec(output.parent, samples.spec(task))
    places = [f"--candidate={trained.model}", f"--data={data or trained.folder / 'data' / 'test-*.parquet'}"]
    return main([f"--model-spec={spec}", "--run-id=run-1", "--nonce=n1", f"--output={output}", *places, *words])


def read(path: Path) -> Evaluation:
    return Evaluation.from_json(path.read_text())


@pytest.fixture(scope="module")
def weaker(tmp_path_factory: pytest.TempPathFactory, binary: jobs.Trained) -> jobs.Trained:
    """A champion that has hardly learnt."""
    words = ("--num_examples=600", "--num_epochs=1", "--learning_rate=0.001")
    return jobs.train(tmp_path_factory.mktemp("weaker"), "binary", *words, data=binary.folder / "data")


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, binary: jobs.Trained, weaker: jobs.Trained) -> Evaluation:
    output = tmp_path_factory.mktemp("compared") / "report/evaluation.json"
    output.parent.mkdir()
    digests = [f"--{w}-digest={t.report('manifest.json')['digest']}" for w, t in _both(binary, weaker).items()]
    assert evaluate(binary, "binary", output, f"--champion={weaker.model}", *digests) == 0
    return read(output)


def _both(candidate: jobs.Trained, champion: jobs.Trained) -> dict[str, jobs.Trained]:
    return {"candidate": candidate, "champion": champion}


def test_better_candidate_has_a_negative_difference(compared: Evaluation) -> None:
    assert compared.difference is not None
    assert compared.difference.mean < -5 * compared.difference.standard_error < 0


def test_difference_is_that_of_the_mean_losses(compared: Evaluation) -> None:
    assert compared.difference is not None
    assert compared.champion is not None
    expected = compared.candidate["log_loss"] - compared.champion["log_loss"]

    assert compared.difference.mean == pytest.approx(expected, abs=1e-9)


def test_metrics_are_those_that_the_trainer_saw(compared: Evaluation, binary: jobs.Trained) -> None:
    seen = binary.report("training.json")["metrics"]

    assert compared.candidate == pytest.approx({n: seen[f"test_{n}"] for n in compared.candidate}, abs=1e-6)


def test_rows_and_their_days(compared: Evaluation, binary: jobs.Trained) -> None:
    test = pd.read_parquet(binary.folder / "data/test-000.parquet")

    assert compared.rows == len(test)
    assert (compared.first, compared.last) == (test["placed"].min(), test["placed"].max())
    assert compared.difference is not None
    assert compared.difference.clusters == test["placed"].dt.date.nunique()


def test_slices_are_the_groups_of_the_model_file(compared: Evaluation, binary: jobs.Trained) -> None:
    test = pd.read_parquet(binary.folder / "data/test-000.parquet")
    counts = {(piece.column, piece.value): piece.rows for piece in compared.slices}

    assert counts["shop", "north"] == (test["shop"] == "north").sum()
    assert counts["express", "true"] == test["express"].sum()
    assert ("shop", "") not in counts  # too few rows have no shop
    assert all(piece.difference is not None for piece in compared.slices)


def test_outputs_latency_and_golden_rows(compared: Evaluation) -> None:
    assert compared.invalid_outputs == 0
    assert compared.golden_mismatches == 0
    assert 0 < compared.latency_p99_ms < 1000


def test_digests_are_reported(compared: Evaluation, binary: jobs.Trained, weaker: jobs.Trained) -> None:
    assert compared.candidate_digest == binary.report("manifest.json")["digest"]
    assert compared.champion_digest == weaker.report("manifest.json")["digest"]


def test_without_champion_there_is_no_difference(regression: jobs.Trained, tmp_path: Path) -> None:
    assert evaluate(regression, "regression", tmp_path / "e.json", "--champion=") == 0

    found = read(tmp_path / "e.json")

    assert (found.champion, found.difference) == (None, None)
    assert set(found.candidate) == {"rmse", "mae"}


def test_classes(multiclass: jobs.Trained, tmp_path: Path) -> None:
    assert evaluate(multiclass, "multiclass", tmp_path / "e.json", f"--champion={multiclass.model}") == 0

    found = read(tmp_path / "e.json")

    assert found.candidate == found.champion
    assert found.candidate["log_loss"] == pytest.approx(
        multiclass.report("training.json")["metrics"]["test_log_loss"], abs=1e-5
    )


def test_rows_outside_the_window_are_ignored(binary: jobs.Trained, tmp_path: Path) -> None:
    window = ("--since=2024-03-05T00:00:00Z", "--until=2024-03-09")
    assert evaluate(binary, "binary", tmp_path / "e.json", *window) == 0

    found = read(tmp_path / "e.json")

    assert found.first is not None
    assert found.last is not None
    assert datetime(2024, 3, 5, tzinfo=UTC) <= found.first < found.last < datetime(2024, 3, 9, tzinfo=UTC)


def test_no_rows_are_reported_not_judged(binary: jobs.Trained, tmp_path: Path) -> None:
    assert evaluate(binary, "binary", tmp_path / "e.json", "--since=2030-01-01") == 0

    found = read(tmp_path / "e.json")

    assert (found.rows, found.candidate, found.first) == (0, {}, None)
    assert found.latency_p99_ms > 0


def copied(trained: jobs.Trained, folder: Path) -> jobs.Trained:
    shutil.copytree(trained.folder / "model", folder / "model")
    shutil.copytree(trained.folder / "report", folder / "report")
    return jobs.Trained(folder, 0)


def test_changed_model_is_refused(binary: jobs.Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = copied(binary, tmp_path)
    (tmp_path / "model/variables/more").write_text("x")
    digest = f"--candidate-digest={binary.report('manifest.json')['digest']}"
    data = str(binary.folder / "data/test-*")

    assert evaluate(changed, "binary", tmp_path / "e.json", digest, data=data) == 2
    assert "files are not those of the manifest: variables/more" in capsys.readouterr().out
    assert not (tmp_path / "e.json").exists()


def test_missing_model_is_refused(binary: jobs.Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(binary.folder / "data/test-*")

    assert evaluate(jobs.Trained(tmp_path / "no", 0), "binary", tmp_path / "e.json", data=data) == 2
    assert "expected a SavedModel, found none" in capsys.readouterr().out


def test_golden_row_with_another_answer_is_counted(binary: jobs.Trained, tmp_path: Path) -> None:
    changed = copied(binary, tmp_path)
    golden: dict[str, Any] = changed.report("golden.json")
    golden["answers"][0] += 0.01
    golden["answers"][7] = None
    (tmp_path / "report/golden.json").write_text(json.dumps(golden))
    assert evaluate(changed, "binary", tmp_path / "e.json", data=str(binary.folder / "data/test-*")) == 0

    assert read(tmp_path / "e.json").golden_mismatches == 2


def test_standard_error_of_one_row_per_day_is_the_ordinary_one() -> None:
    difference = np.array([0.5, -0.2, 0.1, 0.4, -0.3])
    found = paired(difference, np.arange(5))

    assert found.standard_error == pytest.approx(difference.std(ddof=1) / np.sqrt(5))


def test_rows_of_a_day_that_agree_count_once() -> None:
    days = np.array([0.5, -0.2, 0.1, 0.4, -0.3])
    once, often = paired(days, np.arange(5)), paired(np.repeat(days, 10), np.repeat(np.arange(5), 10))

    assert often.rows == 50
    assert often.standard_error == pytest.approx(once.standard_error)


def test_auc_counts_ties_half() -> None:
    assert auc(np.array([0.1, 0.4, 0.4, 0.8]), np.array([0.0, 0.0, 1.0, 1.0])) == pytest.approx(3.5 / 4)


def test_losses_are_clipped() -> None:
    worst = row_losses("binary", np.array([0.0, 1.0, 0.5]), np.array([1.0, 0.0, 1.0]))

    assert worst == pytest.approx([16.118, 16.118, 0.6931], abs=1e-3)


def test_class_that_the_model_does_not_know_has_the_worst_loss() -> None:
    predicted = np.array([[0.9, 0.1], [0.9, 0.1]])
    found = row_losses("multiclass", predicted, np.array(["a", "z"], object), ["a", "b"])

    assert found == pytest.approx([-np.log(0.9), 16.118], abs=1e-3)
    assert scores("multiclass", predicted, np.array(["a", "z"], object), ["a", "b"])["accuracy"] == 0.5


@pytest.mark.parametrize(
    ("task", "outputs", "count"),
    [
        ("binary", [0.2, np.nan, 1.2, 1.0], 2),
        ("regression", [-5.0, np.inf, 1e9], 1),
        ("multiclass", [[0.5, 0.5], [np.nan, 1.0]], 1),
    ],
)
def test_invalid_outputs(task: str, outputs: list[Any], count: int) -> None:
    assert invalid(task, np.array(outputs)) == count


def test_the_first_evaluation_counts(
    tmp_path: Path, binary: jobs.Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second job for the same work cannot change the verdict."""
    output = tmp_path / "run-1.json"
    evaluate(binary, "binary", output)
    before = output.read_bytes()

    assert evaluate(binary, "binary", output) == 0
    assert output.read_bytes() == before
    assert "another job has written the evaluation" in capsys.readouterr().out
