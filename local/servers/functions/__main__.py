"""``python -m local.servers.functions --source functions/main.py --target on_data --port 0`` hosts functions."""

import argparse
from pathlib import Path

from local.servers.functions.host import serve


def main() -> None:
    """Host the functions until SIGTERM; prints ``{"url": "http://127.0.0.1:N"}``."""
    parser = argparse.ArgumentParser(prog="python -m local.servers.functions", description=__doc__)
    parser.add_argument("--source", type=Path, required=True, help="the file that defines the functions")
    parser.add_argument("--target", action="append", required=True, help="a function of it; may be repeated")
    parser.add_argument("--port", type=int, default=0, help="0 for a free one")
    parser.add_argument("--threads", type=int, default=16, help="requests that run at the same time")
    args = parser.parse_args()
    serve(args.source.resolve(), args.target, args.port, args.threads)


if __name__ == "__main__":
    main()
