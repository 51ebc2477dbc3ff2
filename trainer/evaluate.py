"""``python -m trainer.evaluate``: candidate and champion on the same fresh labelled rows, row by row.

A job of its own, with an account that can write nothing but its report. It decides nothing: it measures. Exit
codes: 0 done, 1 try again, 2 permanent.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np

from retraining.modelspec import ModelSpec
from retraining.reports import Evaluation
from trainer import bootstrap, golden, manifest, notify, storage
from trainer.arguments import read_spec
from trainer.compare import Answers, compare, slices
from trainer.data import Columns, Rows, read_dataset
from trainer.errors import Unusable
from trainer.metrics import invalid, scores
from trainer.screening import screen

LATENCY_CALLS = 200


def moment(text: str) -> datetime:
    """A time such as 2013-03-01T00:00:00Z; without a time zone it is UTC."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m trainer.evaluate", description=__doc__, allow_abbrev=False)
    top.add_argument("--model-spec", required=True, help="model file (YAML or JSON), path or gs://")
    top.add_argument("--run-id", required=True, help="name of the run, written into the evaluation")
    top.add_argument("--nonce", default="", help="what tells this job's launch from another")
    top.add_argument("--candidate", required=True, help="the candidate's model folder")
    top.add_argument("--candidate-digest", default="", help="digest that its manifest has; checked")
    top.add_argument("--champion", default="", help="the champion's model folder; empty: there is none")
    top.add_argument("--champion-digest", default="", help="digest that its manifest has; checked")
    top.add_argument("--data", required=True, help="pattern of labelled rows")
    top.add_argument("--since", type=moment, help="ignore older rows")
    top.add_argument("--until", type=moment, help="ignore rows of this time and newer")
    top.add_argument("--output", required=True, help="file of the evaluation")
    top.add_argument("--notify-topic", default="", help="projects/P/topics/T that hears of the end")
    return top


@dataclass(frozen=True)
class Model:
    """A SavedModel that was fetched and checked."""

    uri: str
    loaded: Any  # kept, because its signature does not keep the weights
    serve: Any
    classes: list[str]
    digest: str
    objects: dict[str, str]  # path → generation, of which files were read

    @classmethod
    def load(cls, uri: str, expected: str, folder: Path) -> "Model":
        """The model at ``uri``, copied to ``folder``.

        Raises Unusable: none there, one that was changed, or one that may not be loaded.
        """
        import tensorflow as tf

        tree = storage.fetch_tree(uri, folder)
        if not (tree.folder / "saved_model.pb").is_file():
            raise Unusable(f"{uri}: expected a SavedModel, found none")
        files, written = manifest.file_digests(tree.folder), storage.read(_beside(uri, "manifest"))
        found = manifest.check(uri, files, expected, written)
        screen(tree.folder)
        loaded = tf.saved_model.load(str(tree.folder))
        serve = loaded.signatures["serving_default"]

        return cls(uri, loaded, serve, [name.decode() for name in _classes(serve)], found, tree.objects)

    def answers(self, spec: ModelSpec, rows: Rows) -> Answers:
        """The model's answers to ``rows``, of which there is at least one."""
        from trainer.predict import predict

        return Answers.of(spec.training.task, predict(self.serve, rows), rows.label, self.classes)


def _beside(uri: str, report: str) -> str:
    """The report that a training writes beside its model."""
    return f"{uri.rstrip('/').rpartition('/')[0]}/report/{report}.json"


def _classes(serve: Any) -> list[bytes]:
    """The classes of a multiclass model, in the order of its scores."""
    if "classes" not in serve.structured_outputs:
        return []
    from trainer.predict import ask

    listed = ask(serve, _one_row(serve))["classes"][0]
    return list(listed)


def _one_row(serve: Any) -> Columns:
    """A row in which everything is missing."""
    signature = serve.structured_input_signature[1]
    text = {name: spec.dtype.name == "string" for name, spec in signature.items()}
    return {n: np.array([""], object) if is_text else np.array([np.nan], np.float32) for n, is_text in text.items()}


def evaluate(args: argparse.Namespace, spec: ModelSpec, folder: Path) -> Evaluation:
    """Measure both models. Without any rows the metrics are left out. Raises Unusable."""
    rows = _window(read_dataset(args.data, spec, folder / "data", may_be_empty=True), args.since, args.until)
    candidate = Model.load(args.candidate, args.candidate_digest, folder / "candidate")
    champion = Model.load(args.champion, args.champion_digest, folder / "champion") if args.champion else None
    measured: dict[str, Any] = {"candidate": {}}
    if len(rows):
        measured = _measured(spec, rows, candidate, champion)
    return Evaluation(
        run_id=args.run_id,
        nonce=args.nonce,
        rows=len(rows),
        latency_p99_ms=_latency(candidate.serve, rows),
        golden_mismatches=_golden(candidate, spec),
        candidate_digest=candidate.digest,
        candidate_objects=candidate.objects,
        champion_digest=champion.digest if champion else "",
        **measured,
    )


def _measured(spec: ModelSpec, rows: Rows, candidate: Model, champion: Model | None) -> dict[str, Any]:
    task = spec.training.task
    ours = candidate.answers(spec, rows)
    theirs = champion.answers(spec, rows) if champion else None
    days = rows.timestamp.astype("M8[D]").astype(np.int64)
    return {
        "first": _utc(rows.timestamp.min()),
        "last": _utc(rows.timestamp.max()),
        "candidate": scores(task, ours.predicted, rows.label, ours.classes),
        "champion": scores(task, theirs.predicted, rows.label, theirs.classes) if theirs else None,
        "difference": compare(ours, theirs, days) if theirs else None,
        "slices": tuple(slices(spec, rows, ours, theirs, days)),
        "invalid_outputs": invalid(task, ours.predicted),
    }


def _window(rows: Rows, since: datetime | None, until: datetime | None) -> Rows:
    keep = np.ones(len(rows), bool)
    if since:
        keep &= rows.timestamp >= np.datetime64(since.astimezone(UTC).replace(tzinfo=None), "us")
    if until:
        keep &= rows.timestamp < np.datetime64(until.astimezone(UTC).replace(tzinfo=None), "us")
    return rows if keep.all() else rows.take(keep)


def _utc(stamp: np.datetime64) -> datetime | None:
    found: datetime | None = stamp.astype("M8[us]").item()
    return found.replace(tzinfo=UTC) if found else None


def _latency(serve: Any, rows: Rows) -> float:
    """p99 in milliseconds of one row through the signature."""
    from trainer.predict import ask

    one = rows.take(np.arange(1)).features if len(rows) else _one_row(serve)
    for _ in range(10):  # the first calls prepare
        ask(serve, one)
    times = []
    for _ in range(LATENCY_CALLS):
        began = time.perf_counter()
        ask(serve, one)
        times.append(time.perf_counter() - began)
    return float(np.quantile(times, 0.99) * 1000)


def _golden(model: Model, spec: ModelSpec) -> int:
    """Golden rows that are answered differently than right after training. Raises Unusable when there are none."""
    uri = _beside(model.uri, "golden")
    content = storage.read(uri)
    if content is None:
        raise Unusable(f"{uri}: expected golden rows beside the model, found none")
    return golden.mismatches(model.serve, content, spec)


def main(words: Sequence[str] | None = None) -> int:
    """Run the job; see the module's docstring for exit codes."""
    args = parser().parse_args(words)
    try:
        spec = read_spec(args.model_spec)
        with tempfile.TemporaryDirectory() as folder:
            report = evaluate(args, spec, Path(folder))
        if not storage.create(args.output, report.to_json().encode()):
            print("another job has written the evaluation: the first one counts", flush=True)
            return 0
        print(f"{report.rows} rows; candidate {report.candidate}; champion {report.champion}", flush=True)
        return 0
    except Unusable as error:
        print(f"permanent: {error}", flush=True)
        return 2
    finally:
        notify.job_ended(args.notify_topic, args.run_id)


if __name__ == "__main__":
    sys.exit(bootstrap.run("trainer.evaluate", main))
