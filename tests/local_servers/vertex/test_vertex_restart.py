"""A restart keeps resources and servers, and nothing outlives the server."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.cloud import aiplatform_v1 as v1
from google.protobuf import struct_pb2
from vertexkit import IMAGES, PARENT, PROJECT, REGION, Clients, Rows, deployed, python_job, until

from local.servers.vertex import Config, VertexServer

# Tells who it is, so that a test can see whether it still lives.
SLEEP = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(300)"


def alive(pid: int) -> bool:
    """Whether a process lives (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def started(path: Path) -> int:
    """The process id that a job has written."""
    until(lambda: path.exists() and path.read_text())
    return int(path.read_text())


def predict(clients: Clients, endpoint: str) -> Any:
    """Predict once."""
    return clients.predictions.predict(endpoint=endpoint, instances=[struct_pb2.Value(number_value=1)])


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What was before a restart and what is after it, asked with the server running again."""
    config = Config(tmp_path_factory.mktemp("state"), IMAGES, PROJECT, REGION)
    with VertexServer(config, Rows()) as server:
        clients = Clients.connect(server, "grpc")
        done = clients.run(python_job("pass")).name
        waiting = clients.jobs.create_custom_job(
            parent=PARENT, custom_job=python_job("import time; time.sleep(99)")
        ).name
        until(lambda: clients.jobs.get_custom_job(name=waiting).state == v1.JobState.JOB_STATE_RUNNING)
        model, endpoint = clients.model(version_aliases=["champion"]).model, clients.endpoint()
        first = clients.deploy(endpoint, model, {"0": 100})
        before = clients.endpoints.get_endpoint(name=endpoint)
    with VertexServer(config, Rows()) as server:
        yield Clients.connect(server, "grpc"), done, waiting, model, before, first


class TestRestart:
    def test_resources_are_as_they_were(self, twice: Any) -> None:
        clients, done, _, model, before, _ = twice

        assert clients.jobs.get_custom_job(name=done).state == v1.JobState.JOB_STATE_SUCCEEDED
        assert clients.models.get_model(name=f"{model}@champion").version_id == "1"
        assert clients.endpoints.get_endpoint(name=before.name) == before

    def test_a_job_that_was_running_has_failed(self, twice: Any) -> None:
        clients, _, waiting, *_ = twice
        job = clients.jobs.get_custom_job(name=waiting)

        assert job.state == v1.JobState.JOB_STATE_FAILED
        assert "the server stopped" in job.error.message

    def test_deployed_models_serve_again(self, twice: Any) -> None:
        clients, *_, before, first = twice

        assert predict(clients, before.name).deployed_model_id == first

    def test_new_ids_are_new(self, twice: Any) -> None:
        clients, done, waiting, model, before, _ = twice

        assert clients.endpoint() not in {done, waiting, model, before.name}


class TestProcess:
    """The server as its own process."""

    @pytest.fixture
    def server(self, tmp_path: Path) -> Any:
        command = [sys.executable, "-m", "local.servers.vertex", "--state", str(tmp_path / "state")]
        command += ["--project", PROJECT, "--region", REGION, "--max-parallel-jobs", "1"]
        for image in IMAGES:
            command += ["--image", image]
        root = Path(__file__).parents[3]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as process:
            yield process
            process.kill()

    def _clients(self, process: subprocess.Popen[bytes]) -> Clients:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["rest"].startswith("http://127.0.0.1:")
        return Clients.connect(type("Server", (), ready)(), "rest")

    def _fill(self, clients: Clients, path: Path) -> tuple[int, int]:
        """Start a job and a model server; the process id of each."""
        clients.jobs.create_custom_job(parent=PARENT, custom_job=python_job(SLEEP, str(path)))
        endpoint = clients.endpoint()
        clients.deploy(endpoint, clients.model().model, {"0": 100}, id="77")
        return started(path), _model_server(endpoint)

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
    def test_no_child_outlives_it(self, server: Any, tmp_path: Path, number: int) -> None:
        job, model_server = self._fill(self._clients(server), tmp_path / "pid")
        assert alive(job)
        assert alive(model_server)
        server.send_signal(number)

        assert server.wait(timeout=20) == (0 if number == signal.SIGTERM else -signal.SIGKILL)
        until(lambda: not alive(job) and not alive(model_server))

    def test_jobs_beyond_the_limit_wait(self, server: Any, tmp_path: Path) -> None:
        clients = self._clients(server)
        clients.jobs.create_custom_job(parent=PARENT, custom_job=python_job(SLEEP, str(tmp_path / "first")))
        started(tmp_path / "first")
        second = clients.jobs.create_custom_job(parent=PARENT, custom_job=python_job("pass")).name

        assert clients.jobs.get_custom_job(name=second).state == v1.JobState.JOB_STATE_QUEUED
        clients.jobs.cancel_custom_job(name=second)
        assert (
            clients.ended(lambda: clients.jobs.get_custom_job(name=second)).state == v1.JobState.JOB_STATE_CANCELLED
        )


def _model_server(endpoint: str) -> int:
    """The process that serves ``endpoint``, found by its environment."""
    wanted = f"AIP_ENDPOINT_ID={endpoint.rpartition('/')[2]}".encode()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and os.access(folder / "environ", os.R_OK):
            try:
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    return int(folder.name)
            except OSError:
                continue
    raise AssertionError(f"no process serves {endpoint}")


def test_closing_fails_a_deployment_under_way(tmp_path: Path) -> None:
    with VertexServer(Config(tmp_path, IMAGES), Rows()) as server:
        clients = Clients.connect(server, "grpc")
        model, endpoint = clients.model().model, clients.endpoint()
        clients.endpoints.deploy_model(endpoint=endpoint, deployed_model=deployed(model))
    with VertexServer(Config(tmp_path, IMAGES), Rows()) as server:
        operations = Clients.connect(server, "grpc").endpoints.list_operations({"name": endpoint})

    assert [operation.done for operation in operations.operations] == [True] * 2
