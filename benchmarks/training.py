"""How fast and how well the trainer learns the flights of 2013, beside the classic way and beside boosted trees.

``python -m benchmarks.training [--json FILE] [--skip-jobs]`` measures everything in one run, on the same rows:

* fitting: examples a second of our network at two batch sizes, and of the classic network fed from CSV;
* quality: AUC and log-loss on the same test days, with LightGBM as the yardstick;
* whole jobs: wall, CPU and memory of ``python -m trainer`` and ``python -m trainer.evaluate`` on 120 days of rows.

Compiling is in the seconds and not in the examples a second, for our network and for the classic one.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import lightgbm
import numpy as np
import pandas as pd

from benchmarks.meter import child, measured
from local.data import flights
from retraining.modelspec import ModelSpec
from trainer.arguments import parse
from trainer.data import read_dataset
from trainer.metrics import scores

SPEC = Path(__file__).parents[1] / "models" / "flights.yaml"
PARTS = {"train": range(60), "eval": range(60, 80), "test": range(80, 100)}
CLASSIC_EXAMPLES = 120_000
DAYS = 120  # of rows for the whole jobs
CATEGORIES = ("carrier", "origin", "dest")
Frames = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    examples_per_second: float | None  # while fitting, compiled
    wall: float  # seconds, everything included
    cpu: float
    auc: float
    log_loss: float
    peak_mib: float | None = None


def parts(rows: pd.DataFrame) -> Frames:
    """Rows by a hash of their day, so that no day is in two parts."""
    days = rows["departure"].dt.strftime("%Y-%m-%d")
    slot = days.map({day: zlib.crc32(day.encode()) % 100 for day in days.unique()})
    return {name: rows[slot.isin(numbers)] for name, numbers in PARTS.items()}


def write(frames: Frames, folder: Path) -> None:
    """The parts as a snapshot has them."""
    folder.mkdir(parents=True)
    for name, rows in frames.items():
        rows.to_parquet(folder / f"{name}-000.parquet", index=False)


def quality(predicted: Any, rows: pd.DataFrame) -> dict[str, float]:
    """AUC and log-loss of answers to ``rows``."""
    found = scores("binary", np.asarray(predicted, np.float64), rows["ontime"].to_numpy(np.float64))
    return {"auc": found["auc"], "log_loss": found["log_loss"]}


class Ours:
    """Our network on the rows in a folder."""

    def __init__(self, data: Path) -> None:
        self._data = data
        _, spec, places = self._arguments()
        self._spec: ModelSpec = spec
        patterns = (places.train, places.validation, places.test)
        self._train, self._validation, self._test = (read_dataset(one, spec, data) for one in patterns)

    def _arguments(self, *more: str) -> Any:
        return parse(["--model-spec", str(SPEC), "--data-dir", str(self._data), *more])

    def measure(self, batch: int, test: pd.DataFrame) -> Row:
        """Fit and predict; the examples a second are those of the median virtual epoch."""
        from trainer.predict import predict
        from trainer.train import train_and_evaluate

        args, _, _ = self._arguments(f"--batch_size={batch}")
        with measured() as meter:
            fitted = train_and_evaluate(self._spec, self._train, self._validation, args, log=_quiet)
        examples = fitted.examples / len(fitted.epoch_seconds)
        rate = examples / statistics.median(fitted.epoch_seconds)
        answers = quality(predict(fitted.served.serve, self._test), test)
        return Row(f"ours, batch {batch}, 20 passes", rate, meter.wall, meter.cpu, **answers)


def classic(frames: Frames, folder: Path) -> Row:
    """The classic network on CSV files."""
    from benchmarks import classic as peer

    path = folder / "train.csv"
    peer.write_csv(frames["train"], path)
    with measured() as meter:
        model = peer.network(sorted(frames["train"]["carrier"].unique()))
        model.fit(peer.read_csv(path), steps_per_epoch=5, shuffle=False, verbose=0)
        steps = CLASSIC_EXAMPLES // peer.BATCH
        with measured() as steady:
            model.fit(peer.read_csv(path), steps_per_epoch=steps, shuffle=False, verbose=0)
    passes = CLASSIC_EXAMPLES / len(frames["train"])
    answers = quality(peer.predict(model, frames["test"]), frames["test"])
    name = f"classic: CSV, one-hots, batch {peer.BATCH}, {passes:.1f} passes"
    return Row(name, steps * peer.BATCH / steady.wall, meter.wall, meter.cpu, **answers)


def trees(frames: Frames) -> Row:
    """LightGBM, 300 trees of 31 leaves, on one thread: two that wait for each other lose more on a busy machine."""
    values = {name: sorted(frames["train"][name].unique()) for name in CATEGORIES}

    def inputs(rows: pd.DataFrame) -> pd.DataFrame:
        codes = {name: rows[name].map({v: i for i, v in enumerate(known)}) for name, known in values.items()}
        plain = {name: column.fillna(-1).astype("int64") for name, column in codes.items()}
        return rows.drop(columns=["flight_id", "departure", "ontime"]).assign(**plain)

    settings = {"objective": "binary", "num_leaves": 31, "verbose": -1, "num_threads": 1, "seed": 1}
    with measured() as meter:
        labels = frames["train"]["ontime"]
        data = lightgbm.Dataset(inputs(frames["train"]), labels, categorical_feature=list(CATEGORIES))
        model = lightgbm.train(settings, data, 300)
    answers = quality(model.predict(inputs(frames["test"])), frames["test"])
    return Row("LightGBM, 300 trees of 31 leaves, 1 thread", None, meter.wall, meter.cpu, **answers)


def jobs(rows: pd.DataFrame, folder: Path) -> list[Row]:
    """Whole processes, as the service starts them, on the last days of the year."""
    recent = rows[rows["departure"] >= rows["departure"].max() - pd.Timedelta(days=DAYS)]
    frames = parts(recent)
    write(frames, folder / "recent")
    env = dict(os.environ) | {"AIP_MODEL_DIR": f"{folder}/job/model/"}
    python, spec = [sys.executable, "-m"], f"--model-spec={SPEC}"
    trained = child([*python, "trainer", spec, f"--data-dir={folder}/recent"], env)
    report = json.loads((folder / "job/report/training.json").read_text())["metrics"]
    arguments = [
        *(spec, "--run-id=run", "--nonce=one", f"--data={folder}/recent/test-*.parquet"),
        *(f"--candidate={folder}/job/model", f"--champion={folder}/job/model"),
        f"--output={folder}/evaluation.json",
    ]
    judged = child([*python, "trainer.evaluate", *arguments], env)
    evaluation = json.loads((folder / "evaluation.json").read_text())
    train_on = f"job: train on {len(frames['train']):,} of {len(recent):,} rows"
    compare_on = f"job: compare two models on {evaluation['rows']:,} rows"
    found = evaluation["candidate"]
    return [
        Row(
            train_on, None, trained.wall, trained.cpu, report["test_auc"], report["test_log_loss"], trained.peak_mib
        ),
        Row(compare_on, None, judged.wall, judged.cpu, found["auc"], found["log_loss"], judged.peak_mib),
    ]


HEAD = f"{'':<46}{'examples/s':>11}{'wall s':>8}{'CPU s':>8}{'AUC':>8}{'log-loss':>10}{'peak MiB':>10}"


def line(row: Row) -> str:
    """One line of the table."""
    rate = "" if row.examples_per_second is None else f"{row.examples_per_second:,.0f}"
    peak = "" if row.peak_mib is None else f"{row.peak_mib:,.0f}"
    times = f"{row.wall:>8.1f}{row.cpu:>8.1f}"
    return f"{row.what:<46}{rate:>11}{times}{row.auc:>8.4f}{row.log_loss:>10.4f}{peak:>10}"


def _quiet(text: str) -> None:
    """Nobody reads the log of a fit that is measured."""


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print the table, and write it as JSON when asked."""
    top = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__.partition("\n")[0])
    top.add_argument("--json", type=Path, help="write the figures here as well")
    top.add_argument("--skip-jobs", action="store_true", help="leave the whole jobs out")
    args = top.parse_args(words)
    table: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = flights.load(folder)
        frames = parts(rows)
        write(frames, folder / "all")
        network = Ours(folder / "all")
        steps: list[Callable[[], list[Row]]] = [
            lambda: [trees(frames)],
            lambda: [network.measure(1024, frames["test"])],
            lambda: [network.measure(4096, frames["test"])],
            lambda: [classic(frames, folder)],
        ]
        if not args.skip_jobs:
            steps.append(lambda: jobs(rows, folder))
        counts = ", ".join(f"{len(part):,} {name}" for name, part in frames.items())
        print(f"{len(rows):,} flights of 2013: {counts}\n{HEAD}")
        for step in steps:
            found = step()
            table += found
            print("\n".join(line(row) for row in found), flush=True)
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in table], indent=2))


if __name__ == "__main__":
    main()
