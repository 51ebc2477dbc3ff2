"""Hosts the soak's functions as the local stack does, with everything imported before workers are made.

The host's master is the supervisor: a fork takes the place of a worker that was killed, and has nothing to import.
"""

import argparse
import importlib
from pathlib import Path

from local.servers.functions.host import serve

# Imported and not used: neither builds a client nor starts a thread.
for _name in ("tests.prove.soak_app", "google.cloud.aiplatform_v1", "google.cloud.storage"):
    importlib.import_module(_name)

TARGETS = ("on_manual", "on_drift", "on_schedule", "on_tick")


def main() -> None:
    """Serve until SIGTERM; prints ``{"url": ...}`` for each worker."""
    parser = argparse.ArgumentParser(prog="python -m tests.prove.soak_host", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, default=8)
    given = parser.parse_args()
    serve(Path(__file__).parent / "soak_app.py", TARGETS, given.port, given.threads)


if __name__ == "__main__":
    main()
