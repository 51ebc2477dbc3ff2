"""``python -m local.stack --state DIR`` supervises the stack in DIR until it is told to stop."""

import argparse
import sys
import time
from pathlib import Path

from local.stack.ports import PortInUse
from local.stack.run import AlreadyRunning, run
from local.stack.supervisor import StartFailed
from retraining.errors import BadConfig


def main() -> int:
    """Read the command line and supervise; 0 when told to stop, 1 when the stack cannot run."""
    parser = argparse.ArgumentParser(prog="python -m local.stack", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="the stack's folder")
    parser.add_argument("--fresh", action="store_true", help="forget what is stored there")
    parser.add_argument("--leased", action="store_true", help="stop when standard input closes")
    options = parser.parse_args()
    try:
        run(options.state, fresh=options.fresh, leased=options.leased, report=_print)
    except (AlreadyRunning, BadConfig, PortInUse, StartFailed) as error:
        _print(str(error))
        return 1
    return 0


def _print(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
