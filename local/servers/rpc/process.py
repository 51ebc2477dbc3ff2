"""How every local server runs as a process: it says where it listens, waits for a signal and leaves in order."""

import contextlib
import json
import os
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from gcp.clock import Clock, clock


def run_server[S](server: AbstractContextManager[S], ready: Callable[[S], Mapping[str, Any]]) -> None:
    """Run ``server`` until SIGTERM or SIGINT; print ``ready(server)`` as one JSON line once it serves."""
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    with server as running:
        # Whoever started us may have stopped reading: that is no reason to stop serving.
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(dict(ready(running))), flush=True)
        stop.wait()


def environment_clock() -> Clock:
    """The clock that ``RETRAIN_CLOCK`` describes, which every process of one installation shares."""
    return clock(os.environ.get("RETRAIN_CLOCK", ""))
