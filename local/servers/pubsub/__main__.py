"""``python -m local.servers.pubsub --port 0 --state DIR`` runs the local Pub/Sub until SIGTERM."""

import argparse
from pathlib import Path

from local.servers.pubsub.service import PubSubServer
from local.servers.rpc import run_server


def main() -> None:
    """Run the server; prints ``{"address": "127.0.0.1:N"}``, with ``--rest-port`` also ``"url"``."""
    parser = argparse.ArgumentParser(prog="python -m local.servers.pubsub", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="gRPC port, 0 for a free one")
    parser.add_argument("--rest-port", type=int, help="also serve REST here, 0 for a free port")
    parser.add_argument("--state", type=Path, help="folder that survives a restart; memory only without it")
    args = parser.parse_args()
    server = PubSubServer(args.port, args.state, rest_port=args.rest_port)
    run_server(server, lambda one: {"address": one.address} | ({"url": one.url} if one.url else {}))


if __name__ == "__main__":
    main()
