"""Finding and ending every process of a stack, whoever started it and whatever became of its parents.

Each carries the stack's folder in its environment, which its own children inherit. Run as a program, this module is
the guard of one stack: it waits until the pipe from the supervisor closes, in whatever way the supervisor ended,
and then ends what is left. It needs Linux's ``/proc``; elsewhere it finds nothing.
"""

import contextlib
import os
import signal
import sys
import time
from pathlib import Path


def strays(variable: str, value: str) -> list[int]:
    """Processes other than this one whose environment has ``variable`` set to ``value``."""
    entry = f"{variable}={value}".encode()
    return [pid for pid in _all_processes() if pid != os.getpid() and entry in _environment(pid)]


def end_strays(variable: str, value: str, *, patience: float = 3.0) -> int:
    """Ask the processes to end, kill them after ``patience`` seconds; return how many there were."""
    seen: set[int] = set()
    deadline = time.monotonic() + patience
    while found := strays(variable, value):
        late = time.monotonic() > deadline
        for pid in found:
            if late or pid not in seen:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
        seen.update(found)
        time.sleep(0.05)
    return len(seen)


def _all_processes() -> list[int]:
    with contextlib.suppress(FileNotFoundError):
        return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return []


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # ended meanwhile, or another user's
        return []


def main() -> None:
    """``strays.py VARIABLE VALUE``: wait for the end of standard input, then end what is left."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)  # the guard outlives whoever it guards
    sys.stdin.buffer.read()
    end_strays(sys.argv[1], sys.argv[2])


if __name__ == "__main__":
    main()
