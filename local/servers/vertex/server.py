"""Puts the parts of the local Vertex AI together and runs it behind its two doors."""

import os
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gcp.clock import clock
from local.servers.rpc import GrpcServer, RestServer
from local.servers.vertex.calls import Calls, Handler, Record
from local.servers.vertex.datasets import Datasets
from local.servers.vertex.deployments import Deployments
from local.servers.vertex.endpoints import Endpoints
from local.servers.vertex.grpc_door import VertexRpcHandler
from local.servers.vertex.guard import Guard
from local.servers.vertex.images import Images
from local.servers.vertex.jobs import CustomJobs, Machine
from local.servers.vertex.log_table import BigQuerySink
from local.servers.vertex.models import Models
from local.servers.vertex.operations import Operations
from local.servers.vertex.pipelines import TrainingPipelines
from local.servers.vertex.prediction import Prediction
from local.servers.vertex.processes import Slots
from local.servers.vertex.request_log import RequestLog, Sink
from local.servers.vertex.rest import rest_app
from local.servers.vertex.servers import ModelServers
from local.servers.vertex.serving_metrics import ServingMetrics
from local.servers.vertex.store import Store
from local.servers.vertex.trials import TuningJobs
from local.servers.vertex.workers import Workers


@dataclass(frozen=True)
class Config:
    """How a local Vertex AI runs. ``project`` and ``location`` None accept any; port 0 takes a free one."""

    state: Path
    images: Sequence[str] = ()  # NAME=COMMAND
    project: str | None = None
    location: str | None = None
    rest_port: int = 0
    grpc_port: int = 0
    max_parallel_jobs: int = 2
    deploy_limit_s: float = 120.0
    random_seed: int | None = None
    record: Path | None = None


class VertexServer:
    """A local Vertex AI between ``with`` and its end. ``rest`` is a URL, ``grpc`` is ``host:port``.

    ``sink`` takes the request-response log instead of BigQuery. Raises ValueError for a malformed image.
    """

    def __init__(self, config: Config, sink: Sink | None = None) -> None:
        self._config = config
        self._images = Images.parse(config.images)
        self._sink = sink
        self._stack = ExitStack()
        self.rest = ""
        self.grpc = ""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            metrics = ServingMetrics(clock(os.environ.get("RETRAIN_CLOCK", "")))
            calls = self._build(stack, metrics)
            rest = stack.enter_context(RestServer(rest_app(calls, metrics), self._config.rest_port))
            grpc_server = stack.enter_context(GrpcServer(VertexRpcHandler(calls), self._config.grpc_port))
            self.rest, self.grpc = rest.url, grpc_server.address
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _build(self, stack: ExitStack, metrics: ServingMetrics) -> Calls:
        """Every part, each closed in reverse order when ``stack`` closes."""
        config, now = self._config, clock(os.environ.get("RETRAIN_CLOCK", ""))
        logs, binaries = config.state / "logs", config.state / "bin"
        logs.mkdir(parents=True, exist_ok=True)
        store = Store(config.state / "vertex.sqlite")
        stack.callback(store.close)
        record = Record(now, config.record)
        stack.callback(record.close)
        guard = Guard()
        stack.callback(guard.close)
        operations = Operations(store, now)
        operations.fail_unfinished()
        closing = threading.Event()
        workers, slots = Workers(self._images, config.state), Slots(config.max_parallel_jobs)
        machine = Machine(store, operations, workers, slots, guard, logs, now, closing)
        jobs = CustomJobs(machine)
        tuning = TuningJobs(machine, config.state / "trials", config.random_seed)
        models, endpoints = Models(store, operations, now), Endpoints(store, operations, now)
        servers = ModelServers(self._images, logs, binaries, guard)
        deployments = Deployments(store, operations, endpoints, models, servers, now, config.deploy_limit_s)
        log = RequestLog(self._sink or BigQuerySink(), now, config.random_seed)
        pipelines = TrainingPipelines(machine, jobs, models)
        # The last one closes first.
        closers = (
            log.close,
            operations.close,
            servers.close,
            jobs.close,
            tuning.close,
            pipelines.close,
            closing.set,
        )
        for close in closers:
            stack.callback(close)
        deployments.restart_servers()
        handlers: dict[str, Handler] = {}
        for part in (
            operations,
            jobs,
            tuning,
            pipelines,
            models,
            endpoints,
            deployments,
            Prediction(endpoints, models, servers, log, metrics, config.random_seed),
            Datasets(store, operations, now),
        ):
            handlers.update(part.handlers())
        return Calls(handlers, record, config.project, config.location)
