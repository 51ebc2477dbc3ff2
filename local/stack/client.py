"""Starting and stopping a stack from outside: what the ``retrain local`` commands and ``Stack`` share."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from local.stack import strays
from local.stack.layout import MARKER, Layout
from local.stack.options import Options
from local.stack.resources import ROOT
from local.stack.status import Phase, Status
from local.stack.supervisor import StartFailed

START_SECONDS = 180.0
STOP_SECONDS = 60.0
SUPERVISOR = "supervisor"


def running(layout: Layout) -> Status | None:
    """The status of the stack while a supervisor runs it, else None."""
    return Status.read(layout.status) if layout.taken() else None


def launch(
    layout: Layout, options: Options, *, fresh: bool = False, leased: bool = False
) -> subprocess.Popen[bytes]:
    """Start the supervisor in a session of its own. A leased one stops when the process's ``stdin`` closes."""
    options.write(layout.options)
    Status(Phase.STARTING).write(layout.status)  # nobody may take the last run's end for this one's
    command = [sys.executable, "-m", "local.stack", "--state", str(layout.root)]
    command += ["--fresh"] * fresh + ["--leased"] * leased
    # Beside the folder's other logs, which a fresh start removes while this one is already written to.
    with (layout.root / "supervisor.log").open("wb") as log:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE if leased else subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def wait_ready(layout: Layout, process: subprocess.Popen[bytes], report: Callable[[str], None]) -> Status:
    """Wait until the supervisor ``process`` has everything running; ``report`` hears of each server.

    Raises StartFailed with the reason. The supervisor has ended then.
    """
    told: set[str] = set()
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        status = Status.read(layout.status)
        if ended:
            raise StartFailed(status.error or _log(layout))
        if status.pid == process.pid:
            for name, server in status.servers.items():
                if server.phase in (Phase.READY, Phase.DONE) and name not in told:
                    told.add(name)
                    report(f"{name}: {server.phase.value} in {server.seconds:.1f} s")
            if status.phase is Phase.READY:
                return status
        time.sleep(0.05)
    process.terminate()
    process.wait(STOP_SECONDS)
    raise StartFailed(f"the stack was not ready within {START_SECONDS:.0f} s; see {layout.root / 'logs'}")


def stop(layout: Layout) -> bool:
    """Stop the stack, whoever started it, and wait until nothing of it is left; False when it did not run."""
    if not layout.taken():
        return strays.end_strays(MARKER, str(layout.root)) > 0
    deadline = time.monotonic() + STOP_SECONDS
    told = 0
    while layout.taken():
        pid = Status.read(layout.status).pid
        late = time.monotonic() > deadline
        if pid and (pid != told or late):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
            told = pid
        time.sleep(0.05)
    strays.end_strays(MARKER, str(layout.root))
    return True


def logs(layout: Layout) -> dict[str, Path]:
    """The log of each server and of the supervisor."""
    found = {path.stem: path for path in sorted((layout.root / "logs").glob("*.log"))}
    return {SUPERVISOR: layout.root / "supervisor.log", **found}


def _log(layout: Layout) -> str:
    lines = (layout.root / "supervisor.log").read_text(errors="replace").splitlines()
    return "\n".join(["the supervisor ended; the last it said:", *lines[-25:]])
