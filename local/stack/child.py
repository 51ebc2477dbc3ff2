"""One server as a process: start it, hear that it serves, see that it ended, stop it."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.stack.layout import Layout

_LOG_BYTES = 8_000_000
_TAIL_LINES = 25


@dataclass(frozen=True)
class Server:
    """How one server is started. It prints one JSON object on a line when it serves."""

    name: str
    command: tuple[str, ...]
    ports: tuple[str, ...] = ()  # names of the ports it listens on
    after: tuple[str, ...] = ()  # servers that must be ready before it starts
    env: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 60.0  # seconds until it must be ready
    once: bool = False  # a task: ready when it has ended with code 0, and never started again


class Child:
    """The process of a server, at most one at a time."""

    def __init__(self, server: Server, layout: Layout, env: Mapping[str, str]) -> None:
        self.server = server
        self.started = 0.0  # monotonic seconds
        self._log = layout.log(server.name)
        self._env = {**env, **server.env}
        self._process: subprocess.Popen[bytes] | None = None
        self._code: int | None = None
        self._offset = 0

    @property
    def pid(self) -> int:
        """Process id, 0 when it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else 0

    def start(self, folder: Path) -> None:
        """Start the process in ``folder``, in a process group of its own, printing into its log."""
        if self._log.exists() and self._log.stat().st_size > _LOG_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
        with self._log.open("ab") as log:
            self._offset = log.tell()
            self._process = subprocess.Popen(
                self.server.command,
                cwd=folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,  # Ctrl-C reaches the supervisor alone, which then stops us in order
            )
        self.started = time.monotonic()

    def code(self) -> int | None:
        """Exit code, None while it runs or before it was started."""
        return self._process.poll() if self._process else self._code

    def says_ready(self) -> bool:
        """Whether it has said that it serves (a task: has ended well)."""
        if self.server.once:
            return self.code() == 0
        return any(_is_announcement(line) for line in self._printed().splitlines())

    def tail(self) -> str:
        """The last lines it printed since it was started."""
        return "\n".join(self._printed().splitlines()[-_TAIL_LINES:])

    def note(self, text: str) -> None:
        """Add a line of the supervisor's to the log."""
        with self._log.open("a") as log:
            log.write(f"--- {time.strftime('%H:%M:%S')} {text}\n")

    def stop(self, patience: float) -> None:
        """Ask it to end; after ``patience`` seconds kill it. What it left in its group is killed in any case."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(patience)
            except subprocess.TimeoutExpired:
                self.note(f"did not end within {patience:.0f} s of being asked; killed")
        self.kill()

    def kill(self) -> None:
        """End the whole process group at once."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left in the group
            os.killpg(self._process.pid, signal.SIGKILL)
        self._code = self._process.wait()
        self._process = None  # its number may soon be somebody else's

    def _printed(self) -> str:
        with self._log.open("rb") as log:
            log.seek(self._offset)
            return log.read().decode(errors="replace")


def _is_announcement(line: str) -> bool:
    """Whether a line is the one JSON object by which a server says that it serves; logs have a severity."""
    if not line.startswith("{"):
        return False
    try:
        content = json.loads(line)
    except json.JSONDecodeError:
        return False
    return isinstance(content, dict) and "severity" not in content
