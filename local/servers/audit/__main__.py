"""``python -m local.servers.audit --project P --topic projects/P/topics/T --state DIR`` runs the log watcher."""

import argparse
from pathlib import Path

from local.servers.audit.watcher import AuditWatcher
from local.servers.rpc import run_server


def main() -> None:
    """Watch until SIGTERM; prints ``{"topic": ...}`` when it watches."""
    parser = argparse.ArgumentParser(prog="python -m local.servers.audit", description=__doc__)
    parser.add_argument("--project", required=True, help="the project whose jobs are watched")
    parser.add_argument("--topic", required=True, help="projects/P/topics/T, where entries go")
    parser.add_argument("--bigquery", default="", help="http://host:port; BIGQUERY_EMULATOR_HOST without it")
    parser.add_argument("--pubsub", default="", help="host:port; PUBSUB_EMULATOR_HOST without it")
    parser.add_argument("--state", type=Path, help="folder that keeps the position; begins anew without it")
    parser.add_argument("--every", type=float, default=0.5, help="seconds between looks")
    parser.add_argument(
        "--exclude-principal", action="append", default=[], help="an account whose jobs are left out"
    )
    args = parser.parse_args()
    watcher = AuditWatcher(
        args.project, args.topic, args.bigquery, args.pubsub, args.state, args.every, args.exclude_principal
    )
    run_server(watcher, lambda _: {"topic": args.topic})


if __name__ == "__main__":
    main()
