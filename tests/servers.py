"""Local stand-ins for Google's services, as processes that tests start on free ports and stop again.

Use the context managers inside a session- or module-scoped fixture: BigQuery's takes some seconds to start. Both
yield the address in the form of Google's own variables (``STORAGE_EMULATOR_HOST``, ``BIGQUERY_EMULATOR_HOST``).
"""

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.storage import binary

_START_SECONDS = 60.0

_ROOT = Path(__file__).parents[1]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def bigquery_server(gcs: str = "", project: str = "local") -> Iterator[str]:
    """Run local-bigquery and yield its address; ``gcs`` is the address of the Storage server it exports to."""
    with tempfile.TemporaryDirectory(prefix="bigquery-", ignore_cleanup_errors=True) as folder:
        port, grpc_port = free_port(), free_port()
        command = [sys.executable, "-m", "local.bigquery", "--port", str(port), "--grpc-port", str(grpc_port)]
        command += ["--data-dir", folder, "--project", project, "--storage-host", gcs]
        address = f"http://127.0.0.1:{port}"
        with _process(command, f"{address}/bigquery/v2/projects/{project}/datasets", Path(folder)):
            yield address


@contextlib.contextmanager
def gcs_server(folder: Path | None = None) -> Iterator[str]:
    """Run fake-gcs-server and yield its address; with ``folder`` it keeps its objects there, else in memory."""
    address = f"127.0.0.1:{free_port()}"
    host, port = address.split(":")
    command = [str(binary()), "-scheme", "http", "-host", host, "-port", port, "-log-level", "warn"]
    command += ["-external-url", f"http://{address}", "-public-host", address]
    command += ["-backend", "filesystem", "-filesystem-root", str(folder)] if folder else ["-backend", "memory"]
    with (
        tempfile.TemporaryDirectory(prefix="gcs-") as logs,
        _process(command, f"http://{address}/storage/v1/b", Path(logs)),
    ):
        yield f"http://{address}"


@pytest.fixture(scope="session")
def gcs() -> Iterator[str]:
    """The address of a Storage server that lives as long as the test session."""
    with gcs_server() as address:
        yield address


@pytest.fixture(scope="session")
def bigquery(gcs: str) -> Iterator[str]:
    """The address of a BigQuery server that lives as long as the test session and exports to ``gcs``."""
    with bigquery_server(gcs) as address:
        yield address


@contextlib.contextmanager
def _process(command: list[str], ready: str, logs: Path) -> Iterator[None]:
    """Run ``command`` until the block ends; enter the block once ``ready`` answers, whatever it answers."""
    log = logs / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=_ROOT, stdout=output, stderr=output)
    try:
        _wait(process, ready, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}:\n{log.read_text()[-2000:]}")
        if _answers(url):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{url} did not answer in {_START_SECONDS:.0f} s:\n{log.read_text()[-2000:]}")


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError:
        return True  # an error is an answer
    except OSError:
        return False
    return True
