"""Model servers: one local process for each deployed model, kept alive and asked over kept-alive connections."""

import contextlib
import os
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import urllib3

from local.servers.rpc import RpcError
from local.servers.vertex.errors import unavailable
from local.servers.vertex.guard import Guard
from local.servers.vertex.images import CannotRun, Images
from local.servers.vertex.processes import Process
from local.servers.vertex.rules import last, split_parent
from local.servers.vertex.workers import expand

_MAX_CRASHES = 5
_MAX_FALSE_STARTS = 2
_STEADY_S = 60.0
_PREDICT_TIMEOUT_S = 60.0
_START_WAIT_S = 30.0
_CONNECTIONS = 64


@dataclass(frozen=True)
class Deployment:
    """What a model server is started with: the model version, and where it is deployed."""

    endpoint: str  # resource name
    id: str
    model: Any  # the Model message of the version

    @property
    def default_route(self) -> str:
        """The path that Vertex AI uses when the model names none."""
        return f"/v1/endpoints/{last(self.endpoint)}/deployedModels/{self.id}"

    @property
    def health_route(self) -> str:
        """Answers 200 to GET once the model can predict."""
        return str(self.model.container_spec.health_route) or self.default_route

    @property
    def predict_route(self) -> str:
        """Answers POST ``{"instances": [...]}``."""
        return str(self.model.container_spec.predict_route) or f"{self.default_route}:predict"

    def environment(self, port: int) -> dict[str, str]:
        """The variables of Vertex AI's serving contract."""
        project, _ = split_parent(self.endpoint)
        env = {
            "HOST": "127.0.0.1",  # where a server that has the choice should listen
            "AIP_HTTP_PORT": str(port),
            "AIP_HEALTH_ROUTE": self.health_route,
            "AIP_PREDICT_ROUTE": self.predict_route,
            "AIP_STORAGE_URI": self.model.artifact_uri,
            "AIP_DEPLOYED_MODEL_ID": self.id,
            "AIP_ENDPOINT_ID": last(self.endpoint),
            "AIP_PROJECT_NUMBER": project,
            "AIP_MODE": "PREDICTION",
            "AIP_MODE_VERSION": "1.0.0",
            "AIP_FRAMEWORK": "CUSTOM_CONTAINER",
            "PYTHONUNBUFFERED": "1",
        }
        return env | {item.name: item.value for item in self.model.container_spec.env}


class ModelServer:
    """A process that serves one deployed model. It is started again after a crash, a few times."""

    def __init__(self, deployment: Deployment, images: Images, log: Path, bin_folder: Path, guard: Guard) -> None:
        """Start serving. Raises CannotRun when the image is unknown here."""
        self.deployment = deployment
        self._log = log
        self._guard = guard
        container = deployment.model.container_spec
        self._argv = images.argv(container.image_uri, container.command, container.args)
        self._path = f"{images.path_folder(container.image_uri, bin_folder)}:{os.environ.get('PATH', '')}"
        self._ready = threading.Event()
        self._was_ready = False
        self._stopped = threading.Event()
        self._process: Process | None = None
        self._pool: Any = None
        self.crashes = 0
        self.failure = ""
        self._thread = threading.Thread(target=self._supervise, daemon=True, name="model-server")
        self._thread.start()

    def wait_ready(self, seconds: float) -> bool:
        """Wait until the health route answers; False when that did not happen in time."""
        deadline = time.monotonic() + seconds
        while not self._ready.wait(0.02):
            if time.monotonic() > deadline or self.failure or self._stopped.is_set():
                return False
        return True

    def post(self, body: bytes, content_type: str) -> tuple[int, bytes, str]:
        """Send a request to the predict route: (HTTP status, body, content type).

        While the server starts, the request waits. Raises UNAVAILABLE, and DEADLINE_EXCEEDED after 60 s.
        """
        deadline, sent = time.monotonic() + _START_WAIT_S, 0
        while True:
            if not self._ready.is_set() and not self.wait_ready(deadline - time.monotonic()):
                raise unavailable(f"the model server of {self.deployment.id} does not answer. {self.failure}")
            try:
                return self._exchange(body, content_type)
            except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ClosedPoolError) as error:
                # Nothing was sent: the server has just ended, and is started again.
                if time.monotonic() > deadline:
                    raise unavailable(
                        f"the model server of {self.deployment.id} does not answer: {error}"
                    ) from error
                time.sleep(0.05)
            except urllib3.exceptions.ReadTimeoutError as error:
                what = f"the model server of {self.deployment.id} took longer than {_PREDICT_TIMEOUT_S:g} s"
                raise RpcError(grpc.StatusCode.DEADLINE_EXCEEDED, what) from error
            except urllib3.exceptions.HTTPError as error:
                # A connection that was kept alive may be closed under us: a second try opens a new one.
                sent += 1
                if sent > 1 or self._gone():
                    raise unavailable(
                        f"the model server of {self.deployment.id} does not answer: {error}"
                    ) from error

    def _exchange(self, body: bytes, content_type: str) -> tuple[int, bytes, str]:
        answer = self._pool.urlopen(
            "POST",
            self.deployment.predict_route,
            body=body,
            headers={"Content-Type": content_type},
            redirect=False,
            retries=False,
        )
        return answer.status, answer.data, answer.headers.get("Content-Type", "application/json")

    def _gone(self) -> bool:
        return self._process is None or self._process.wait(0.05) is not None

    def stop(self) -> None:
        """End the process and wait for it."""
        self._stopped.set()
        self._thread.join(timeout=15)

    def _supervise(self) -> None:
        while not self._stopped.is_set() and not self.failure:
            began = time.monotonic()
            try:
                self._serve_once()
            except (OSError, CannotRun) as error:
                self.failure = f"it cannot be started: {error}"
                return
            self.crashes = 1 if time.monotonic() - began > _STEADY_S else self.crashes + 1
            if self.crashes >= (_MAX_CRASHES if self._was_ready else _MAX_FALSE_STARTS):
                tail = self._process.tail() if self._process else ""
                self.failure = f"it exited {self.crashes} times. Its last lines:\n{tail}"
            self._stopped.wait(min(0.1 * 2**self.crashes, 5.0))

    def _serve_once(self) -> None:
        """One life of the process, until it exits or is stopped."""
        port = free_port()
        env = dict(os.environ) | {"PATH": self._path} | self.deployment.environment(port)
        process = self._process = Process(expand(self._argv, env), env, self._log, self._guard)
        pool = urllib3.HTTPConnectionPool(
            "127.0.0.1", port, maxsize=_CONNECTIONS, timeout=urllib3.Timeout(_PREDICT_TIMEOUT_S), retries=False
        )
        try:
            while process.wait(0.03) is None and not self._stopped.is_set():
                if not self._ready.is_set() and self._healthy(pool):
                    self._pool = pool
                    self._was_ready = True
                    self._ready.set()
                if self._ready.is_set():
                    self._stopped.wait(0.1)
        finally:
            self._ready.clear()
            process.stop()
            pool.close()

    def _healthy(self, pool: Any) -> bool:
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            answer = pool.urlopen("GET", self.deployment.health_route, timeout=urllib3.Timeout(1.0), retries=False)
            return bool(answer.status == 200)
        return False

    def tail(self) -> str:
        """The last lines of the log."""
        return self._process.tail() if self._process else ""


class ModelServers:
    """All model servers, by endpoint and deployed model."""

    def __init__(self, images: Images, logs: Path, bin_folder: Path, guard: Guard) -> None:
        self._images = images
        self._logs = logs
        self._bin = bin_folder
        self._guard = guard
        self._servers: dict[tuple[str, str], ModelServer] = {}
        self._closed = False

    def start(self, deployment: Deployment) -> ModelServer:
        """Start a server, without waiting for it. Raises CannotRun."""
        if self._closed:
            raise CannotRun("the server is stopping")
        log = self._logs / f"{last(deployment.endpoint)}-{deployment.id}.log"
        server = ModelServer(deployment, self._images, log, self._bin, self._guard)
        self._servers[deployment.endpoint, deployment.id] = server
        return server

    def get(self, endpoint: str, deployed_model: str) -> ModelServer:
        """The server of a deployed model. Raises UNAVAILABLE."""
        server = self._servers.get((endpoint, deployed_model))
        if server is None:
            raise unavailable(f"DeployedModel {deployed_model} of {endpoint} has no model server")
        return server

    def stop(self, endpoint: str, deployed_model: str) -> None:
        """Stop a server; an unknown one is no error."""
        server = self._servers.pop((endpoint, deployed_model), None)
        if server is not None:
            server.stop()

    def close(self) -> None:
        """Stop all servers, at once, and start no more."""
        self._closed = True
        stoppers = [threading.Thread(target=self.stop, args=key) for key in list(self._servers)]
        for stopper in stoppers:
            stopper.start()
        for stopper in stoppers:
            stopper.join()


def free_port() -> int:
    """A port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
