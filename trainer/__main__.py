"""``python -m trainer``: from frozen rows to a served graph, its reports, and a manifest that says it is all there.

Exit codes: 0 done (or another job does the work), 1 try again, 2 permanent: the same job would fail again.
"""

import json
import os
import sys
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from retraining.modelspec import ModelSpec
from trainer import bootstrap, fence, notify
from trainer.arguments import Places, parse
from trainer.data import check, read_dataset
from trainer.errors import Unusable

DEVELOP_ROWS = 2000
TRIAL_VALIDATION_ROWS = 50_000  # tell trials apart well enough


def log(text: str) -> None:
    """One line for the job's log."""
    print(text, flush=True)


def work(args: Namespace, spec: ModelSpec, places: Places, folder: Path) -> None:
    """Everything after the fence. Raises Unusable."""
    limit = DEVELOP_ROWS if args.develop else None
    few = TRIAL_VALIDATION_ROWS if args.skip_full_eval else limit
    train = read_dataset(places.train, spec, folder / "train", limit)
    validation = read_dataset(places.validation, spec, folder / "eval", few)
    check(train, spec)
    log(f"{len(train)} training rows, {len(validation)} validation rows")

    from trainer.export import export  # these two import TensorFlow, which takes seconds
    from trainer.train import train_and_evaluate

    fitted = train_and_evaluate(spec, train, validation, args, places.checkpoints, log)
    log(f"{fitted.examples} examples in {fitted.seconds:.1f} s; best: {json.dumps(fitted.metrics)}")
    if args.skip_full_eval:
        log("skipping test rows and export: this was a trial")
        return

    test = read_dataset(places.test, spec, folder / "test", limit, may_be_empty=True)
    export(spec, args, places, fitted, train, validation, test, log)


def main(words: Sequence[str] | None = None) -> int:
    """Run the job; see the module's docstring for exit codes."""
    try:
        args, spec, places = parse(words)
    except Unusable as error:
        log(f"permanent: {error}")
        return 2
    if not fence.chief(os.environ):
        log("the first machine of this job does the work")
        return 0
    if not fence.take(args.fence, args.nonce):
        log("another job does the work of this run")
        return 0
    try:
        with tempfile.TemporaryDirectory() as folder:
            work(args, spec, places, Path(folder))
        return 0
    except Unusable as error:
        log(f"permanent: {error}")
        return 2
    finally:
        notify.job_ended(args.notify_topic, args.run_id)


if __name__ == "__main__":
    sys.exit(bootstrap.run("trainer", main))
