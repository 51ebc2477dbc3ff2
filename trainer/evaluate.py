"""``python -m trainer.evaluate``: candidate and champion on the same fresh labelled rows, row by row.

A job of its own, with an account that can write nothing but its report. It decides nothing: it measures.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np

from retraining.modelspec import ModelSpec
from retraining.reports import Evaluation, Paired, Slice
from trainer import notify, storage
from trainer.arguments import read_spec
from trainer.data import Rows, read_dataset
from trainer.errors import Unusable
from trainer.manifest import digest, file_digests
from trainer.metrics import invalid, row_losses, scores

LATENCY_CALLS = 200
GOLDEN_TOLERANCE = 1e-4
MAX_SLICES = 40  # values of one column, the most frequent first


@dataclass(frozen=True)
class Scored:
    """A model's answers on the rows, and what they cost."""

    serve: Any
    classes: list[str]
    predicted: np.ndarray
    losses: np.ndarray
    digest: str


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m trainer.evaluate", description=__doc__)
    top.add_argument("--model-spec", required=True, help="model file (YAML or JSON), path or gs://")
    top.add_argument("--run-id", required=True)
    top.add_argument("--nonce", default="")
    top.add_argument("--candidate", required=True, help="the candidate's model folder")
    top.add_argument("--candidate-digest", default="", help="digest its manifest has; checked")
    top.add_argument("--champion", default="", help="the champion's model folder; empty: there is none")
    top.add_argument("--champion-digest", default="")
    top.add_argument("--data", required=True, help="pattern of labelled rows")
    top.add_argument("--since", type=datetime.fromisoformat, help="ignore older rows")
    top.add_argument("--until", type=datetime.fromisoformat, help="ignore these and newer rows")
    top.add_argument("--output", required=True, help="file of the evaluation")
    top.add_argument("--notify-topic", default="")
    return top


def evaluate(args: argparse.Namespace, spec: ModelSpec, folder: Path) -> Evaluation:
    """Measure both models. Raises Unusable: a tampered model, or no rows."""
    rows = _window(read_dataset(args.data, spec, folder / "data"), args.since, args.until)
    if len(rows) == 0:
        raise Unusable(f"{args.data}: expected rows in the window, found none")
    candidate = _score(args.candidate, args.candidate_digest, spec, rows, folder / "candidate")
    champion = (
        _score(args.champion, args.champion_digest, spec, rows, folder / "champion") if args.champion else None
    )
    task = spec.training.task
    days = rows.timestamp.astype("M8[D]").astype(np.int64)
    return Evaluation(
        run_id=args.run_id,
        nonce=args.nonce,
        rows=len(rows),
        first=_moment(rows.timestamp.min()),
        last=_moment(rows.timestamp.max()),
        candidate=scores(task, candidate.predicted, rows.label, candidate.classes),
        champion=scores(task, champion.predicted, rows.label, champion.classes) if champion else None,
        difference=paired(candidate.losses - champion.losses, days) if champion else None,
        slices=tuple(_slices(spec, rows, candidate, champion, days)),
        invalid_outputs=invalid(task, candidate.predicted),
        latency_p99_ms=_latency(candidate.serve, rows),
        golden_mismatches=_golden(args.candidate, candidate.serve),
        candidate_digest=candidate.digest,
        champion_digest=champion.digest if champion else "",
    )


def _window(rows: Rows, since: datetime | None, until: datetime | None) -> Rows:
    keep = np.ones(len(rows), bool)
    if since:
        keep &= rows.timestamp >= np.datetime64(since.astimezone(UTC).replace(tzinfo=None), "us")
    if until:
        keep &= rows.timestamp < np.datetime64(until.astimezone(UTC).replace(tzinfo=None), "us")
    return rows.take(keep)


def _moment(stamp: np.datetime64) -> datetime:
    found: datetime = stamp.astype("M8[us]").item()
    return found.replace(tzinfo=UTC)


def load(uri: str, expected: str, folder: Path) -> tuple[Any, str]:
    """The serving signature of the model at ``uri``, and the digest of its files. Raises Unusable."""
    import tensorflow as tf

    local = storage.fetch_tree(uri, folder)
    found = digest(file_digests(local)) if local.is_dir() else ""
    if not (local / "saved_model.pb").is_file():
        raise Unusable(f"{uri}: expected a SavedModel, found none")
    if expected and found != expected:
        raise Unusable(f"{uri}: expected files with digest {expected[:12]}, found {found[:12]}: it was changed")
    return tf.saved_model.load(str(local)).signatures["serving_default"], found


def _score(uri: str, expected: str, spec: ModelSpec, rows: Rows, folder: Path) -> Scored:
    from trainer.predict import ask, predict

    serve, found = load(uri, expected, folder)
    classes: list[str] = []
    if spec.training.task == "multiclass":
        one = ask(serve, rows.take(np.arange(1)).features)
        classes = [name.decode() for name in one["classes"][0]]
    predicted = predict(serve, rows)
    return Scored(serve, classes, predicted, row_losses(spec.training.task, predicted, rows.label, classes), found)


def paired(difference: np.ndarray, clusters: np.ndarray) -> Paired:
    """Mean of row-by-row differences [n]; its standard error lets rows of one cluster depend on each other."""
    _, index = np.unique(clusters, return_inverse=True)
    mean = float(difference.mean())
    sums = np.bincount(index, weights=difference - mean)
    count = len(sums)
    if count >= 2:
        variance = float((sums**2).sum()) * count / (count - 1) / len(difference) ** 2
    else:
        variance = float(difference.var(ddof=1)) / len(difference) if len(difference) > 1 else 0.0
    return Paired(rows=len(difference), clusters=count, mean=mean, standard_error=variance**0.5)


def _slices(
    spec: ModelSpec, rows: Rows, candidate: Scored, champion: Scored | None, days: np.ndarray
) -> Iterator[Slice]:
    """Every large enough group of rows of the columns that the gate names."""
    task = spec.training.task
    for column in spec.gate.slices.by:
        text = rows.features[column].astype(str)
        values, counts = np.unique(text, return_counts=True)
        for value in values[np.argsort(-counts)][:MAX_SLICES]:
            mask = text == value
            if mask.sum() < spec.gate.slices.min_rows:
                break
            label = rows.label[mask]
            yield Slice(
                column=column,
                value=str(value),
                rows=int(mask.sum()),
                candidate=scores(task, candidate.predicted[mask], label, candidate.classes),
                champion=scores(task, champion.predicted[mask], label, champion.classes) if champion else None,
                difference=paired((candidate.losses - champion.losses)[mask], days[mask]) if champion else None,
            )


def _latency(serve: Any, rows: Rows) -> float:
    """p99 in milliseconds of one row through the signature."""
    from trainer.predict import ask

    one = rows.take(np.arange(1)).features
    for _ in range(5):
        ask(serve, one)
    times = []
    for _ in range(LATENCY_CALLS):
        began = time.perf_counter()
        ask(serve, one)
        times.append(time.perf_counter() - began)
    return float(np.quantile(times, 0.99) * 1000)


def _golden(uri: str, serve: Any) -> int:
    """Rows that are answered differently now than right after training."""
    from trainer.predict import ask

    body = storage.read(f"{uri.rstrip('/').rsplit('/', 1)[0]}/report/golden.json")
    if body is None:
        return 0
    golden = json.loads(body)
    features = {
        name: np.array(column, dtype=object)
        if any(isinstance(v, str) for v in column)
        else np.array([np.nan if v is None else v for v in column], np.float32)
        for name, column in golden["features"].items()
    }
    answer = ask(serve, features)
    now = answer[next(name for name in ("score", "scores", "value") if name in answer)].astype(np.float64)
    then = np.array(golden["answers"], np.float64)
    far = np.abs(now - then) > GOLDEN_TOLERANCE * np.maximum(1.0, np.abs(then))
    return int(far.reshape(len(then), -1).any(axis=1).sum())


def main(words: Sequence[str] | None = None) -> int:
    """Run the job: exit code 0 done, 2 permanent."""
    args = parser().parse_args(words)
    try:
        spec = read_spec(args.model_spec)
        with tempfile.TemporaryDirectory() as folder:
            report = evaluate(args, spec, Path(folder))
    except Unusable as error:
        print(f"permanent: {error}", flush=True)
        return 2
    storage.write(args.output, report.to_json().encode())
    print(f"{report.rows} rows; candidate {report.candidate}; champion {report.champion}", flush=True)
    notify.job_ended(args.notify_topic, args.run_id)
    return 0


if __name__ == "__main__":
    sys.exit(main())
