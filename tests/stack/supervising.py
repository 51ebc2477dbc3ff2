"""A supervisor of stand-ins as a process of its own, as tests need one that may be killed.

Run as a program it supervises the servers that a JSON list describes: name, mode, after, timeout.
"""

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from local.stack.child import Server
from local.stack.layout import MARKER, Layout
from local.stack.ports import choose
from local.stack.status import Phase, Status
from local.stack.strays import strays
from local.stack.supervisor import StartFailed, Supervisor

STANDIN = Path(__file__).with_name("standin.py")
PATIENCE = 20.0


class Supervised:
    """A running supervisor and its folder."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self.layout, self.process = Layout.at(folder), process

    @property
    def status(self) -> Status:
        """What its status file says."""
        return Status.read(self.layout.status)

    def port(self, name: str) -> int:
        """Where the server of this name listens."""
        return int(self.status.servers[name].addresses[0].rpartition(":")[2])

    def answer(self, name: str) -> int:
        """The process id that the server answers with."""
        with socket.create_connection(("127.0.0.1", self.port(name)), timeout=2) as connection:
            return int(connection.recv(100))

    def left(self) -> list[int]:
        """Processes of this stack."""
        return strays(MARKER, str(self.layout.root))


def until(fact: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until ``fact`` is true; what it raises meanwhile counts as not yet."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError, KeyError):
            if fact():
                return
        time.sleep(0.02)
    raise AssertionError(f"not true within {seconds:.0f} s")


@contextlib.contextmanager
def supervised(folder: Path, servers: Sequence[Mapping[str, Any]], *, leased: bool = False) -> Iterator[Supervised]:
    """Supervise stand-ins in ``folder`` until the block ends."""
    command = [sys.executable, "-m", "tests.stack.supervising", str(folder), json.dumps(servers), str(leased)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    one = Supervised(folder, process)
    try:
        yield one
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=PATIENCE)


@contextlib.contextmanager
def ready(folder: Path, servers: Sequence[Mapping[str, Any]], *, leased: bool = False) -> Iterator[Supervised]:
    """The same, once all are ready."""
    with supervised(folder, servers, leased=leased) as one:
        until(lambda: one.status.phase is Phase.READY)
        yield one


def main() -> int:
    """Supervise what the command line says; 1 when it cannot start."""
    layout, described, leased = Layout.at(Path(sys.argv[1])), json.loads(sys.argv[2]), sys.argv[3] == "True"
    ports = choose([one["name"] for one in described], layout=layout, pinned={}, report=print)
    servers = [
        Server(
            one["name"],
            (sys.executable, "-I", "-S", str(STANDIN), one["mode"], str(ports[one["name"]])),
            ports=(one["name"],),
            after=tuple(one.get("after", ())),
            timeout=one.get("timeout", 20.0),
            once=one["mode"] == "task",
        )
        for one in described
    ]
    supervisor = Supervisor(servers, layout=layout, ports=ports, env={}, folder=layout.root, report=print)
    try:
        supervisor.run(leased=leased)
    except StartFailed as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
