"""Starting the servers of a stack in order, starting those again that end by themselves, and stopping all of them.

One thread, one loop: look at every server, act, sleep. What runs is in the status file at every moment.
"""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.stack import strays
from local.stack.child import Child, Server
from local.stack.layout import MARKER, Layout
from local.stack.ports import HOST
from local.stack.status import Phase, ServerStatus, Status

READY = "stack: ready"
"""What is reported when every server is ready and every task done."""

_PAUSE = 0.03  # seconds between two looks
_FIRST_DELAY, _LONGEST_DELAY = 0.25, 15.0  # seconds before a server that ended is started again
_STABLE = 60.0  # seconds after which an earlier end no longer counts
_PATIENCE = 8.0  # seconds a server has to end when asked


class StartFailed(Exception):
    """A server did not become ready; the text says which, why, and what it printed last."""


@dataclass
class _Slot:
    """One server and where it stands."""

    child: Child
    phase: Phase = Phase.WAITING
    restarts: int = 0
    failures: int = 0  # in a row, decides the next delay
    due: float = 0.0  # monotonic seconds of the next start
    seconds: float = 0.0
    proven: bool = False  # has been ready before: its end is an accident, not a mistake of ours


class Supervisor:
    """Runs ``servers`` until it is told to stop."""

    def __init__(
        self,
        servers: Sequence[Server],
        *,
        layout: Layout,
        ports: Mapping[str, int],
        env: Mapping[str, str],
        folder: Path,
        report: Callable[[str], None],
    ) -> None:
        """``env`` leads clients to the servers; ``folder`` is where the servers' modules are found."""
        full = {**_inherited(), **_nobody(layout), **env, MARKER: str(layout.root)}
        self._slots = {server.name: _Slot(Child(server, layout, full)) for server in servers}
        self._layout, self._ports, self._env = layout, ports, dict(env)
        self._folder, self._report = folder, report
        self._stop = threading.Event()
        self._phase, self._error, self._began, self._seconds = Phase.STARTING, "", time.monotonic(), 0.0
        self._order: list[str] = []  # in which they were started

    def run(self, *, leased: bool = False) -> None:
        """Start everything, keep it running until SIGTERM or SIGINT, stop it. Raises StartFailed.

        Leased: stop also when standard input closes, which is how a program that dies takes its stack along.
        """
        previous = {
            name: signal.signal(name, self._told) for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        }
        guard = self._guard()
        try:
            self._publish()
            while not self._stop.wait(_PAUSE):
                self._look()
                if leased and _closed(sys.stdin.fileno()):
                    break
            self._phase = Phase.STOPPED
        except Exception as error:
            self._phase, self._error = Phase.FAILED, str(error)
            raise
        finally:
            self._stop_all()
            guard.communicate()
            self._publish()
            for name, handler in previous.items():
                signal.signal(name, handler)

    def _told(self, *_: object) -> None:
        self._stop.set()

    def _guard(self) -> subprocess.Popen[bytes]:
        # Isolated and without site packages: a few megabytes that start in milliseconds.
        command = [sys.executable, "-I", "-S", strays.__file__, MARKER, str(self._layout.root)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    def _look(self) -> None:
        changed = [self._advance(name, slot) for name, slot in self._slots.items()]
        if self._phase is Phase.STARTING and all(self._settled(slot) for slot in self._slots.values()):
            self._phase, self._seconds = Phase.READY, time.monotonic() - self._began
            self._publish()
            self._report(READY)
        elif any(changed):
            self._publish()

    @staticmethod
    def _settled(slot: _Slot) -> bool:
        return slot.phase in (Phase.READY, Phase.DONE)

    def _advance(self, name: str, slot: _Slot) -> bool:
        """Bring one server one step further; whether anything changed."""
        match slot.phase:
            case Phase.WAITING if all(self._settled(self._slots[one]) for one in slot.child.server.after):
                self._start(name, slot)
            case Phase.RESTARTING if time.monotonic() >= slot.due:
                slot.restarts += 1
                self._start(name, slot)
            case Phase.STARTING:
                return self._await_ready(name, slot)
            case Phase.READY if (code := slot.child.code()) is not None:
                self._ended(name, slot, f"ended by itself with {_meaning(code)}")
            case _:
                return False
        return True

    def _start(self, name: str, slot: _Slot) -> None:
        slot.child.start(self._folder)
        slot.phase = Phase.STARTING
        if name not in self._order:
            self._order.append(name)

    def _await_ready(self, name: str, slot: _Slot) -> bool:
        server, waited = slot.child.server, time.monotonic() - slot.child.started
        # The exit is looked at first: what was printed before it is then complete.
        code = slot.child.code()
        if slot.child.says_ready() and (code is None or server.once):
            slot.phase, slot.seconds, slot.proven = (Phase.DONE if server.once else Phase.READY), waited, True
            self._report(f"{name}: {'done' if server.once else 'ready'} in {waited:.1f} s")
            return True
        if code is not None:
            self._ended(name, slot, f"ended with {_meaning(code)} before it was ready")
            return True
        if waited > server.timeout:
            self._ended(name, slot, f"not ready within {server.timeout:g} s")
            return True
        return False

    def _ended(self, name: str, slot: _Slot, what: str) -> None:
        slot.child.kill()  # what it started, too
        slot.child.note(what)
        if not slot.proven:
            slot.phase = Phase.FAILED
            raise StartFailed(f"{name} {what}; the last it said:\n{slot.child.tail()}")
        slot.failures = 1 if time.monotonic() - slot.child.started > _STABLE else slot.failures + 1
        delay = min(_FIRST_DELAY * 2 ** (slot.failures - 1), _LONGEST_DELAY)
        slot.phase, slot.due = Phase.RESTARTING, time.monotonic() + delay
        slot.child.note(f"starting again in {delay:.2f} s")
        self._report(f"{name}: {what}; starting again in {delay:.2f} s")

    def _stop_all(self) -> None:
        for name in reversed(self._order):
            slot = self._slots[name]
            if slot.child.code() is None:
                slot.child.stop(_PATIENCE)
            if slot.phase not in (Phase.FAILED, Phase.DONE):
                slot.phase = Phase.STOPPED
        strays.end_strays(MARKER, str(self._layout.root))

    def _publish(self) -> None:
        servers = {
            name: ServerStatus(
                slot.phase,
                slot.child.pid,
                tuple(f"{port}={HOST}:{self._ports[port]}" for port in slot.child.server.ports),
                slot.restarts,
                round(slot.seconds, 2),
            )
            for name, slot in self._slots.items()
        }
        pid = 0 if self._phase in (Phase.STOPPED, Phase.FAILED) else os.getpid()
        status = Status(self._phase, pid, self._error, round(self._seconds, 2), self._env, servers)
        status.write(self._layout.status)


def _inherited() -> dict[str, str]:
    """This process's variables, without what would lead a server elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("RETRAIN_", "GOOGLE_"))}


def _nobody(layout: Layout) -> dict[str, str]:
    """Variables that keep a person's own credentials out of the servers."""
    return {"CLOUDSDK_CONFIG": str(layout.data("gcloud"))}


def _meaning(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _closed(descriptor: int) -> bool:
    readable, _, _ = select.select([descriptor], [], [], 0)
    return bool(readable) and os.read(descriptor, 4096) == b""
