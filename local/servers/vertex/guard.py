"""Ends what this server started, even when the server itself is killed.

A small process of its own reads the ids of process groups from a pipe. When the pipe closes, because the server
left in whatever way, every group still on its list is killed.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading


class Guard:
    """Knows the process groups that must not outlive the server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Isolated and without site packages: it starts in milliseconds and imports nothing of ours.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__], stdin=subprocess.PIPE, start_new_session=True
        )

    def watch(self, group: int) -> None:
        """From now on ``group`` dies with the server."""
        self._say(f"+{group}\n")

    def release(self, group: int) -> None:
        """``group`` has ended; its number may be given to somebody else."""
        self._say(f"-{group}\n")

    def close(self) -> None:
        """Kill what is left and end the guard."""
        pipe = self._process.stdin
        if pipe is not None:
            with self._lock, contextlib.suppress(BrokenPipeError):
                pipe.close()
        self._process.wait(timeout=10)

    def _say(self, line: str) -> None:
        pipe = self._process.stdin
        with self._lock, contextlib.suppress(BrokenPipeError):
            if pipe is not None and not pipe.closed:
                pipe.write(line.encode())
                pipe.flush()


def main() -> None:
    """Read groups until the pipe closes, then kill those that are left."""
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line[0] == "+":
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
