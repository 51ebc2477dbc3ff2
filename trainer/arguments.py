"""The trainer's command line: every tunable is an argument, and the model file gives its first guess."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import yaml

from retraining.errors import BadConfig
from retraining.modelfile import parse_model
from retraining.modelspec import METRICS, ModelSpec
from trainer import storage
from trainer.errors import Unusable


def whole(text: str) -> int:
    """An integer; Vertex AI writes the integers of a trial as ``64.0``."""
    number = float(text)
    if not number.is_integer():  # neither 1.5 nor inf nor nan
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text}")
    return int(number)


@dataclass(frozen=True)
class Places:
    """Where rows come from and results go; gs:// or local paths."""

    train: str
    validation: str
    test: str
    model: str
    report: str
    checkpoints: str
    tensorboard: str

    @classmethod
    def find(cls, environ: Mapping[str, str], data_dir: str, output_dir: str) -> "Places":
        """Vertex AI's variables where they are set, else ``data_dir`` and a dated folder in ``output_dir``."""
        dated = f"{output_dir}/{datetime.now(UTC):%Y%m%d-%H%M%S}"
        model = environ.get("AIP_MODEL_DIR", f"{dated}/model").rstrip("/")
        base = model.rsplit("/", 1)[0]
        return cls(
            train=environ.get("AIP_TRAINING_DATA_URI", f"{data_dir}/train*"),
            validation=environ.get("AIP_VALIDATION_DATA_URI", f"{data_dir}/eval*"),
            test=environ.get("AIP_TEST_DATA_URI", f"{data_dir}/test*"),
            model=model,
            report=f"{base}/report",
            checkpoints=environ.get("AIP_CHECKPOINT_DIR", f"{base}/checkpoints").rstrip("/"),
            tensorboard=environ.get("AIP_TENSORBOARD_LOG_DIR", "").rstrip("/"),
        )


def parser() -> argparse.ArgumentParser:
    """The command line, grouped by subject."""
    top = argparse.ArgumentParser(prog="python -m trainer", description=__doc__, allow_abbrev=False)
    run = top.add_argument_group("run")
    run.add_argument("--model-spec", required=True, help="model file (YAML or JSON), path or gs://")
    run.add_argument("--run-id", default="local", help="name of the run, written into every report")
    run.add_argument("--data-digest", default="", help="digest of the snapshot, written into the manifest")
    run.add_argument("--fence", default="", help="file that only one job may create; the others go home")
    run.add_argument("--nonce", default="", help="what tells this job's launch from another")
    run.add_argument("--notify-topic", default="", help="projects/P/topics/T that hears of the end")
    run.add_argument("--data-dir", default="data", help="folder of train*, eval*, test* outside Vertex AI")
    run.add_argument("--output-dir", default="trained", help="folder for results outside Vertex AI")
    model = top.add_argument_group("model")
    model.add_argument("--hidden_units", default="64,32", help="sizes of the dense layers, comma-separated")
    model.add_argument("--num_buckets", type=whole, default=8, help="buckets of a numeric column in the wide part")
    model.add_argument("--num_embeds", type=whole, default=3, help="size of a category's embedding")
    fit = top.add_argument_group("training")
    fit.add_argument("--batch_size", type=whole, default=1024, help="rows of one step")
    fit.add_argument("--learning_rate", type=float, default=0.003, help="of Adam, at the first step")
    fit.add_argument("--num_epochs", type=whole, default=10, help="virtual epochs: how often to measure")
    fit.add_argument("--num_examples", type=whole, default=0, help="rows to see in all; 0: 20 times the data")
    fit.add_argument("--patience", type=whole, default=4, help="virtual epochs without improvement, then stop")
    fit.add_argument("--seed", type=whole, default=1, help="of weights and shuffling")
    fit.add_argument("--skip_full_eval", action="store_true", help="no test rows, no export: a tuning trial")
    fit.add_argument("--develop", action="store_true", help="few rows, few epochs: does it run at all?")
    return top


TUNABLE = frozenset(
    {
        "hidden_units",
        "num_buckets",
        "num_embeds",
        "batch_size",
        "learning_rate",
        "num_epochs",
        "num_examples",
        "patience",
        "seed",
    }
)


def read_spec(uri: str) -> ModelSpec:
    """The model file at ``uri``. Raises Unusable."""
    body = storage.read(uri)
    if body is None:
        raise Unusable(f"--model-spec: expected a file at {uri}, found none")
    try:
        if uri.endswith(".json"):
            return ModelSpec.model_validate_json(body)
        return parse_model(body.decode(), uri)
    except (BadConfig, ValueError, yaml.YAMLError) as error:
        raise Unusable(f"--model-spec: {error}") from error


def tuned_metric(spec: ModelSpec) -> str:
    """The metric that is reported and that picks the best virtual epoch. Raises Unusable when none is so called."""
    metric = spec.tuning.metric if spec.tuning else f"val_{spec.gate.metric}"
    known = sorted(f"val_{name}" for name in METRICS[spec.training.task])
    if metric not in known:
        raise Unusable(f"tuning.metric: {spec.training.task} models report {', '.join(known)}; got {metric}")
    return metric


def parse(words: Sequence[str] | None = None) -> tuple[argparse.Namespace, ModelSpec, Places]:
    """Read the command line over the model file's own defaults. Raises Unusable; unknown arguments exit with 2."""
    words = sys.argv[1:] if words is None else words
    top = parser()
    spec = read_spec(top.parse_known_args(words)[0].model_spec)
    defaults = {name: str(h.default) for name, h in spec.training.hyperparameters.items()}
    if unknown := sorted(set(defaults) - TUNABLE):
        raise Unusable(f"training.hyperparameters.{unknown[0]}: expected one of {', '.join(sorted(TUNABLE))}")
    top.set_defaults(**defaults)
    args = top.parse_args(words)
    if args.develop:
        args.num_epochs, args.num_examples = 2, 2000
    _positive(args)
    tuned_metric(spec)
    return args, spec, Places.find(os.environ, args.data_dir, args.output_dir)


def _positive(args: argparse.Namespace) -> None:
    for name in ("num_buckets", "num_embeds", "batch_size", "num_epochs", "patience", "learning_rate"):
        if not getattr(args, name) > 0:
            raise Unusable(f"--{name}: expected more than 0, got {getattr(args, name)}")
    for name in ("num_examples", "seed"):
        if getattr(args, name) < 0:
            raise Unusable(f"--{name}: expected 0 or more, got {getattr(args, name)}")
    try:
        sizes = [whole(part) for part in str(args.hidden_units).split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) <= 0:
        raise Unusable(f"--hidden_units: expected sizes such as 64,32, got {args.hidden_units!r}")
