"""The servers of a stack: one entry each says how it is started, where it listens and what it waits for."""

import sys
from collections.abc import Mapping

from local.stack.child import Server
from local.stack.layout import Layout
from local.stack.options import STAGING_BUCKET, Options, settings
from local.stack.ports import HOST
from local.stack.resources import ROOT, Resources
from retraining.settings import Settings

PORTS = (
    "storage",
    "bigquery",
    "bigquery-grpc",
    "pubsub",
    "scheduler",
    "scheduler-rest",
    "vertex",
    "vertex-rest",
    "functions",
)


def environment(options: Options, layout: Layout, ports: Mapping[str, int]) -> dict[str, str]:
    """Variables that lead Google's clients and this system's code to the stack's servers."""
    at = {name: f"{HOST}:{port}" for name, port in ports.items()}
    own = settings(options, layout, at["vertex"], f"http://{at['vertex-rest']}")
    return {
        "GOOGLE_CLOUD_PROJECT": own.project,
        "STORAGE_EMULATOR_HOST": f"http://{at['storage']}",
        "BIGQUERY_EMULATOR_HOST": f"http://{at['bigquery']}",
        "PUBSUB_EMULATOR_HOST": at["pubsub"],
        **own.to_env(),
        "RETRAIN_VERTEX_REST": f"http://{at['vertex-rest']}",
        "RETRAIN_SCHEDULER_API": at["scheduler"],
        "RETRAIN_SCHEDULER_REST": f"http://{at['scheduler-rest']}",
        "RETRAIN_FUNCTIONS": f"http://{at['functions']}",
        "RETRAIN_STAGING_BUCKET": STAGING_BUCKET,
        # No client may ask a metadata server for credentials, or go through a proxy.
        "NO_GCE_CHECK": "true",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        # Nine processes and every job import the same modules: compile them once, whatever the shell says.
        "PYTHONDONTWRITEBYTECODE": "",
        **options.env,
    }


def table(
    resources: Resources, own: Settings, layout: Layout, ports: Mapping[str, int], crons: Mapping[str, str]
) -> tuple[Server, ...]:
    """Every server of the stack, in the order in which they are started when nothing keeps them waiting."""

    at = {name: f"{HOST}:{port}" for name, port in ports.items()}
    number = {name: str(port) for name, port in ports.items()}

    def state(name: str) -> tuple[str, str]:
        return ("--state", str(layout.data(name)))

    targets = [word for function in resources.functions for word in ("--target", function)]
    image = f"{own.trainer_image}={sys.executable} -m trainer"
    jobs = [word for name, cron in crons.items() for word in ("--cron", f"{name}={cron}")]
    return (
        _module(
            "bigquery",
            "local.bigquery",
            *("--port", number["bigquery"], "--grpc-port", number["bigquery-grpc"]),
            *("--data-dir", str(layout.data("bigquery")), "--project", own.project),
            *("--storage-host", f"http://{at['storage']}"),
            listens=("bigquery", "bigquery-grpc"),
        ),
        _module("storage", "local.storage", "--port", number["storage"], *state("storage"), listens=("storage",)),
        _module(
            "vertex",
            "local.servers.vertex",
            *("--grpc-port", number["vertex"], "--rest-port", number["vertex-rest"], *state("vertex")),
            *("--project", own.project, "--region", own.region, "--image", image),
            listens=("vertex", "vertex-rest"),
        ),
        _module(
            "pubsub", "local.servers.pubsub", "--port", number["pubsub"], *state("pubsub"), listens=("pubsub",)
        ),
        _module(
            "scheduler",
            "local.servers.scheduler",
            *("--port", number["scheduler"], "--rest-port", number["scheduler-rest"], *state("scheduler")),
            listens=("scheduler", "scheduler-rest"),
        ),
        _module(
            "functions",
            "local.servers.functions",
            *("--source", str(ROOT / "functions" / "main.py"), *targets, "--port", number["functions"]),
            listens=("functions",),
        ),
        _module(
            "audit",
            "local.servers.audit",
            *("--project", own.project, "--topic", f"projects/{own.project}/topics/data-changes", *state("audit")),
        ),
        # What Terraform does in the cloud, in two parts that need not wait for the same servers.
        _module(
            "provision",
            "local.stack.provision",
            *jobs,
            after=("bigquery", "storage", "pubsub", "scheduler"),
            once=True,
        ),
        _module("endpoints", "local.stack.endpoints", after=("vertex",), once=True),
    )


def _module(
    name: str,
    module: str,
    *words: str,
    listens: tuple[str, ...] = (),
    after: tuple[str, ...] = (),
    once: bool = False,
) -> Server:
    return Server(name, (sys.executable, "-m", module, *words), listens, after, once=once)
