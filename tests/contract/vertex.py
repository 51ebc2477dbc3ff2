"""Plans that every implementation of the Vertex AI ports must be able to carry out."""

import itertools
import time
from collections.abc import Callable

from retraining.modelspec import Machine, Range, Tuning
from retraining.views import DeployPlan, JobPlan, VersionPlan

PYTHON, SERVER = "docker.pkg.dev/acme/python:1", "docker.pkg.dev/acme/server:1"
MACHINE = Machine(type="n1-standard-4", price=0.2)

# A job that waits for a word in the file it is given, reports a metric and ends as it is told.
JOB = """
import json, os, pathlib, sys, time
word = pathlib.Path(sys.argv[1])
while not word.exists():
    time.sleep(0.02)
metrics = os.environ.get("CLOUD_ML_HP_METRIC_FILE")
if metrics:
    pathlib.Path(metrics).parent.mkdir(parents=True, exist_ok=True)
    line = {"timestamp": time.time(), "trial": "1", "val_log_loss": "0.25", "global_step": "1"}
    pathlib.Path(metrics).write_text(json.dumps(line) + chr(10))
sys.exit(word.read_text() != "succeed")
"""
_NUMBERS = itertools.count(1)


def fresh(word: str) -> str:
    """A name that no test has used."""
    return f"{word}-{next(_NUMBERS)}"


def until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until ``true()``; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


def job_plan(run_id: str, kind: str, word_file: str = "/nowhere", image: str = PYTHON) -> JobPlan:
    """A job that waits for a word in ``word_file``."""
    return JobPlan(
        run_id=run_id,
        kind=kind,
        display_name=f"{kind} {run_id}",
        image=image,
        command=("python", "-c", JOB),
        args=(word_file,),
        env={"MODEL": "flights"},
        labels={"model": "flights", "trigger": "drift"},
        output_uri=f"gs://artifacts/runs/{run_id}",
        machine=MACHINE,
        timeout_s=600,
        account="trainer@acme.iam.gserviceaccount.com",
        tuning=Tuning(metric="val_log_loss", goal="minimize", trials=2, parallel=2) if kind == "tune" else None,
        ranges=RANGES if kind == "tune" else {},
    )


RANGES: dict[str, object] = {
    "batch_size": Range(type="integer", min=8, max=64, scale="log"),
    "learning_rate": Range(type="double", min=0.001, max=0.1, scale="log"),
    "hidden_units": Range(type="categorical", values=("32", "64,32")),
    "num_buckets": Range(type="discrete", values=(8, 4)),
}


def version_plan(model: str, alias: str, *args: str) -> VersionPlan:
    """A version of a model that only says it is well."""
    return VersionPlan(
        model=model,
        alias=alias,
        artifact_uri=f"gs://artifacts/runs/{alias}/model",
        image=SERVER,
        command=(),
        args=args,
        labels={"model": model, "run_id": alias},
        description=f"trained by {alias}",
    )


def deploy_plan(endpoint: str, version: str, deployed_id: str) -> DeployPlan:
    """A deployment of a version."""
    return DeployPlan(
        endpoint=endpoint,
        deployed_id=deployed_id,
        version=version,
        display_name=f"deployment {deployed_id}",
        machine=MACHINE,
        account="server@acme.iam.gserviceaccount.com",
    )
