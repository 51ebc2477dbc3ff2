"""Starts, watches and ends local processes; each has a process group and a log file of its own."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from local.servers.vertex.guard import Guard

_GRACE_S = 5.0
_TAIL_LINES = 15
# The command begins when the guard knows its group; if the server dies before, the shell reads nothing and leaves.
_WAIT_FOR_WORD = 'read -r _ && exec "$@" </dev/null'


class Process:
    """A running command. Its output goes to the end of ``log``."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], log: Path, guard: Guard) -> None:
        """Start the command. Raises OSError when it cannot be started."""
        self.log = log
        self._guard = guard
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _WAIT_FOR_WORD, "sh", *argv],
                env=dict(env),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        guard.watch(self._process.pid)
        if self._process.stdin is not None:
            # It may have been killed already, and then waits for nothing.
            with contextlib.suppress(BrokenPipeError), self._process.stdin as word:
                word.write(b"go\n")

    def poll(self) -> int | None:
        """The exit status, or None while it runs."""
        return self._process.poll()

    def wait(self, seconds: float) -> int | None:
        """Wait at most ``seconds``; the exit status, or None when it still runs."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, grace: float = _GRACE_S) -> None:
        """End the whole group: SIGTERM, and SIGKILL for what is left after ``grace`` seconds."""
        self._signal(signal.SIGTERM)
        if self.wait(grace) is None:
            self._signal(signal.SIGKILL)
            self._process.wait()
        self.forget()

    def forget(self) -> None:
        """After the end: end what the command left behind in its group too."""
        self._signal(signal.SIGKILL)
        self._guard.release(self._process.pid)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def tail(self) -> str:
        """The last lines of the log."""
        with self.log.open(encoding="utf-8", errors="replace") as text:
            return "".join(deque(text, _TAIL_LINES)).strip()


class Slots:
    """How many jobs may run at once; who waits longest comes first."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()

    def acquire(self, cancelled: threading.Event) -> "Slot | None":
        """Wait for a slot; None when ``cancelled`` came first."""
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            while not cancelled.is_set():
                if self._free and self._queue[0] is ticket:
                    self._free -= 1
                    self._queue.popleft()
                    self._changed.notify_all()
                    return Slot(self)
                self._changed.wait(0.1)
            self._queue.remove(ticket)
            self._changed.notify_all()
        return None

    def release(self) -> None:
        """Give a slot back."""
        with self._changed:
            self._free += 1
            self._changed.notify_all()


class Slot:
    """One slot, given back at the end of a ``with`` block."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._slots.release()


def watch(process: Process, cancelled: threading.Event, timeout: float | None) -> int | None:
    """Wait for the end of ``process``. None: it was ended here, by ``cancelled`` or after ``timeout`` seconds."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while (code := process.wait(0.05)) is None:
        if cancelled.is_set() or (deadline is not None and time.monotonic() > deadline):
            process.stop()
            return None
    process.forget()
    return code
