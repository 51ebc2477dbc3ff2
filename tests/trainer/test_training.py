"""What a training leaves behind, for each kind of label."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retraining.reports import Baseline, Manifest, TrainingReport
from tests.trainer import jobs, samples


def signature(trained: jobs.Trained) -> Any:
    """The loaded model, whose serving signature is asked with columns."""
    import tensorflow as tf

    return tf.saved_model.load(trained.model)


def ask(model: Any, **columns: Any) -> dict[str, Any]:
    import tensorflow as tf

    row: dict[str, Any] = {"amount": [60.0], "items": [2.0], "express": [0.0], "shop": ["north"], "country": ["CH"]}
    tensors = {
        name: tf.constant(values, tf.string if isinstance(values[0], str) else tf.float32)
        for name, values in (row | columns).items()
    }
    return {name: value.numpy() for name, value in model.signatures["serving_default"](**tensors).items()}


@pytest.mark.parametrize(("task", "metric", "limit"), [("binary", "log_loss", 0.4), ("regression", "rmse", 9.0)])
def test_learns_more_than_the_mean(task: str, metric: str, limit: float, request: pytest.FixtureRequest) -> None:
    trained = request.getfixturevalue(task)

    assert trained.code == 0
    assert trained.report("training.json")["metrics"][f"test_{metric}"] < limit


def test_learns_classes(multiclass: jobs.Trained) -> None:
    assert multiclass.report("training.json")["metrics"]["test_accuracy"] > 0.65


def test_report_counts_rows_and_examples(binary: jobs.Trained) -> None:
    report = TrainingReport.from_json((binary.folder / "report/training.json").read_text())

    assert (report.run_id, report.rows, report.resumed_from_epoch) == ("run-1", 1200, 0)
    assert report.examples == 4 * (20 * 1200 // 4 // 128) * 128
    assert report.parameters["hidden_units"] == "16,8"
    assert set(report.metrics) == {f"{part}_{name}" for part in ("val", "test") for name in _METRICS}


_METRICS = ("log_loss", "brier", "auc", "accuracy")


def test_manifest_lists_every_file_of_the_model(binary: jobs.Trained) -> None:
    manifest = Manifest.from_json((binary.folder / "report/manifest.json").read_text())
    files = {p.relative_to(binary.model).as_posix() for p in Path(binary.model).rglob("*") if p.is_file()}

    assert set(manifest.files) == files
    assert manifest.data_digest == "rows-1"
    assert manifest.seed == 1


def test_manifest_is_the_last_file(binary: jobs.Trained) -> None:
    files = [path for path in binary.folder.rglob("*") if path.is_file() and "checkpoints" not in path.parts]

    assert max(files, key=lambda path: path.stat().st_mtime_ns).name == "manifest.json"


def test_signature_takes_raw_columns_and_gives_a_probability(binary: jobs.Trained) -> None:
    answer = ask(
        signature(binary),
        amount=[60.0] * 3,
        items=[1.0] * 3,
        express=[0.0] * 3,
        shop=["north"] * 3,
        country=["CH"] * 3,
    )

    assert set(answer) == {"score"}
    assert answer["score"].shape == (3,)
    assert ((answer["score"] > 0) & (answer["score"] < 1)).all()


def test_missing_and_unknown_values_are_answered(binary: jobs.Trained) -> None:
    model = signature(binary)
    missing = ask(model, amount=[np.nan], shop=[""])["score"]
    unknown = ask(model, amount=[np.inf], shop=["moon"])["score"]

    assert np.isfinite([*missing, *unknown]).all()
    assert missing != unknown  # a value that was never seen is not a missing one


def test_classes_come_with_their_scores(multiclass: jobs.Trained) -> None:
    answer = ask(signature(multiclass))

    assert answer["classes"].tolist() == [[b"low", b"mid", b"top"]]
    assert answer["scores"].sum() == pytest.approx(1.0, abs=1e-5)


def test_numbers_come_in_the_label_s_unit(regression: jobs.Trained) -> None:
    low, high = (
        ask(signature(regression), amount=[5.0])["value"],
        ask(signature(regression), amount=[200.0])["value"],
    )

    assert 20 < low < high < 130


def test_baseline_counts_every_row(binary: jobs.Trained) -> None:
    baseline = Baseline.from_json((binary.folder / "report/baseline.json").read_text())
    amount, items, shop = (baseline.features[name] for name in ("amount", "items", "shop"))

    assert sum(amount.counts) + amount.n_null == amount.n == 1200
    assert len(amount.counts) == 20
    assert items.values == ("1", "2", "3", "4", "5")
    assert shop.categories[0] == "north"
    assert sum(shop.counts) + shop.n_null == 1200
    assert baseline.features["express"].categories == ("false", "true")
    assert baseline.prediction.n == 600


def test_golden_rows_are_raw(binary: jobs.Trained) -> None:
    golden = binary.report("golden.json")

    assert len(golden["rows"]) == len(golden["answers"]) == 50
    assert set(golden["rows"][0]) == {"amount", "items", "express", "shop", "country"}
    assert any(row["shop"] is None for row in golden["rows"])


def test_same_seed_gives_the_same_metrics(binary: jobs.Trained, tmp_path: Path) -> None:
    again = jobs.train(tmp_path, "binary", data=binary.folder / "data")
    other = jobs.train(tmp_path / "other", "binary", "--seed=2", data=binary.folder / "data")

    assert again.report("training.json")["metrics"] == binary.report("training.json")["metrics"]
    assert other.report("training.json")["metrics"] != binary.report("training.json")["metrics"]


def test_virtual_epochs_are_as_long_whatever_the_batch() -> None:
    from trainer.learner import order

    small, large = order(100, 10, 6, 0, seed=1), order(100, 30, 2, 0, seed=1)

    assert small.size == large.size == 60
    assert (small.ravel() == large.ravel()).all()


def test_every_row_is_seen_equally_often() -> None:
    from trainer.learner import order

    seen = np.concatenate([order(100, 10, 6, epoch, seed=1).ravel() for epoch in range(5)])

    assert np.bincount(seen).tolist() == [3] * 100


def test_trial_reports_each_virtual_epoch_and_exports_nothing(binary: jobs.Trained, tmp_path: Path) -> None:
    file = tmp_path / "metrics"
    words = ("--skip_full_eval", "--num_examples=2000.0", "--batch_size=64.0", "--patience=99")
    trial = {"CLOUD_ML_TRIAL_ID": "7", "CLOUD_ML_HP_METRIC_FILE": str(file)}
    trained = jobs.train(tmp_path, "binary", *words, data=binary.folder / "data", env=trial)
    lines = [json.loads(line) for line in file.read_text().splitlines()]

    assert [(line["trial"], line["global_step"]) for line in lines] == [("7", str(n)) for n in (1, 2, 3, 4)]
    assert all(0 < float(line["val_log_loss"]) < 1 for line in lines)
    assert trained.code == 0
    assert not (tmp_path / "model").exists()


def test_develop_is_quick_and_whole(binary: jobs.Trained, tmp_path: Path) -> None:
    trained = jobs.train(tmp_path, "binary", "--develop", data=binary.folder / "data")

    assert trained.report("training.json")["examples"] <= 2000
    assert (tmp_path / "report/manifest.json").exists()


def test_csv_rows_train_the_same_kind_of_model(tmp_path: Path) -> None:
    data = tmp_path / "csv"
    data.mkdir()
    for seed, name in enumerate(("train", "eval", "test"), 1):
        samples.rows("binary", 600, seed).to_csv(data / f"{name}-000.csv", index=False)
    trained = jobs.train(tmp_path, "binary", data=data)

    assert trained.report("training.json")["metrics"]["test_auc"] > 0.8


def test_without_test_rows_the_model_is_exported_all_the_same(binary: jobs.Trained, tmp_path: Path) -> None:
    data = samples.write_rows(tmp_path / "data", "binary", 400)
    (data / "test-000.parquet").unlink()
    trained = jobs.train(tmp_path, "binary", data=data)

    assert trained.code == 0
    assert not [name for name in trained.report("training.json")["metrics"] if name.startswith("test_")]
