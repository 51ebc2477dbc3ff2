"""What the tests of the local Vertex AI share: clients, jobs to run and a place for logged rows."""

import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.api_core.future.polling import DEFAULT_POLLING
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform_v1 as v1

from local.servers.vertex import VertexServer

PROJECT, REGION = "acme", "us-central1"
PARENT = f"projects/{PROJECT}/locations/{REGION}"
PYTHON_IMAGE, MODEL_IMAGE = "europe-docker.pkg.dev/acme/train/python:1", "europe-docker.pkg.dev/acme/serve/model:1"
IMAGES = [
    f"{PYTHON_IMAGE}={sys.executable}",
    f"{MODEL_IMAGE}={sys.executable} {Path(__file__).parent / 'model_server.py'}",
    f"us-docker.pkg.dev/vertex-ai/training/*={sys.executable}",
]
ENDED = {v1.JobState.JOB_STATE_SUCCEEDED, v1.JobState.JOB_STATE_FAILED, v1.JobState.JOB_STATE_CANCELLED}


@dataclass
class Rows:
    """Takes the request-response log in the place of BigQuery."""

    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    down: threading.Event = field(default_factory=threading.Event)

    def write(self, table: str, rows: Sequence[dict[str, Any]]) -> int:
        if self.down.is_set():
            raise OSError("the recording sink is down")
        self.tables.setdefault(table, []).extend(rows)
        return 0


@dataclass(frozen=True)
class Clients:
    """The GAPIC clients over one transport, and short ways to what most tests need."""

    jobs: Any
    models: Any
    endpoints: Any
    predictions: Any
    pipelines: Any
    datasets: Any

    @classmethod
    def connect(cls, server: VertexServer, transport: str) -> "Clients":
        kinds = (
            v1.JobServiceClient,
            v1.ModelServiceClient,
            v1.EndpointServiceClient,
            v1.PredictionServiceClient,
            v1.PipelineServiceClient,
            v1.DatasetServiceClient,
        )
        if transport == "grpc":
            channel = grpc.insecure_channel(server.grpc)
            return cls(*(kind(transport=kind.get_transport_class("grpc")(channel=channel)) for kind in kinds))
        options = {"api_endpoint": server.rest}
        credentials = AnonymousCredentials()
        return cls(*(kind(transport="rest", credentials=credentials, client_options=options) for kind in kinds))

    def run(self, job: dict[str, Any], seconds: float = 20) -> Any:
        """Create a custom job and wait for its end."""
        name = self.jobs.create_custom_job(parent=PARENT, custom_job=job).name
        return self.ended(lambda: self.jobs.get_custom_job(name=name), seconds)

    def tune(self, job: dict[str, Any], seconds: float = 30) -> Any:
        """Create a hyperparameter tuning job and wait for its end."""
        created = self.jobs.create_hyperparameter_tuning_job(parent=PARENT, hyperparameter_tuning_job=job)
        return self.ended(lambda: self.jobs.get_hyperparameter_tuning_job(name=created.name), seconds)

    @staticmethod
    def ended(get: Any, seconds: float = 20) -> Any:
        """Get a job until it has ended."""
        until(lambda: get().state in ENDED, seconds)
        return get()

    def model(self, **fields: Any) -> Any:
        """Upload a model that doubles; the UploadModelResponse."""
        parent_model = fields.pop("parent_model", "")
        container = {"image_uri": MODEL_IMAGE, "health_route": "/health", "predict_route": "/predict"}
        model = {
            "display_name": "doubling",
            "container_spec": container,
            "artifact_uri": "gs://stage/model",
        } | fields
        request = {"parent": PARENT, "model": model, "parent_model": parent_model}
        return finish(self.models.upload_model(request=request))

    def endpoint(self, **fields: Any) -> str:
        """Create an endpoint; its resource name."""
        created = self.endpoints.create_endpoint(parent=PARENT, endpoint={"display_name": "e"} | fields)
        return str(finish(created).name)

    def deploy(self, endpoint: str, model: str, split: dict[str, int] | None = None, **fields: Any) -> str:
        """Deploy a model and wait; the DeployedModel's id."""
        operation = self.endpoints.deploy_model(
            endpoint=endpoint, deployed_model=deployed(model, **fields), traffic_split=split or {}
        )
        return str(finish(operation).deployed_model.id)


def finish(operation: Any) -> Any:
    """Wait for a long-running operation, looking more often than the client does by itself; its response."""
    return operation.result(polling=DEFAULT_POLLING.with_delay(0.03, 0.1).with_timeout(20))


def deployed(model: str, **fields: Any) -> dict[str, Any]:
    """A DeployedModel to ask for."""
    machine = {"machine_spec": {"machine_type": "n1-standard-2"}, "min_replica_count": 1}
    return {"model": model, "dedicated_resources": machine} | fields


def python_job(code: str, *args: str, **spec: Any) -> dict[str, Any]:
    """A custom job that runs ``python -c code args``."""
    return {"display_name": "job", "job_spec": {"worker_pool_specs": [python_pool(code, *args)]} | spec}


def python_pool(code: str, *args: str) -> dict[str, Any]:
    """A worker pool of one machine that runs ``python -c code args``."""
    return {
        "machine_spec": {"machine_type": "n1-standard-4"},
        "replica_count": 1,
        "container_spec": {"image_uri": PYTHON_IMAGE, "command": ["python", "-c", code], "args": list(args)},
    }


def until(true: Any, seconds: float = 20) -> None:
    """Wait until ``true()``; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.03)
