"""``python -m local.servers.scheduler --port 0 --state DIR --pubsub HOST:PORT`` runs the local Cloud Scheduler."""

import argparse
from pathlib import Path

from local.servers.rpc import run_server
from local.servers.scheduler.service import SchedulerServer


def main() -> None:
    """Run the server until SIGTERM; prints ``{"address": "127.0.0.1:N", "url": "http://127.0.0.1:M"}``."""
    parser = argparse.ArgumentParser(prog="python -m local.servers.scheduler", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="gRPC port, 0 for a free one")
    parser.add_argument("--rest-port", type=int, default=0, help="REST port, 0 for a free one")
    parser.add_argument("--state", type=Path, help="folder that survives a restart; memory only without it")
    parser.add_argument("--pubsub", default="", help="host:port; PUBSUB_EMULATOR_HOST without it")
    args = parser.parse_args()
    server = SchedulerServer(args.port, args.rest_port, args.state, args.pubsub)
    run_server(server, lambda one: {"address": one.address, "url": one.url})


if __name__ == "__main__":
    main()
