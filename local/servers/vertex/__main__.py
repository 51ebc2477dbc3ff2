"""``python -m local.servers.vertex --state DIR --image NAME=COMMAND ...`` runs a local Vertex AI until SIGTERM."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from local.servers.rpc import run_server
from local.servers.vertex.server import Config, VertexServer


def config_from(argv: Sequence[str] | None = None) -> Config:
    """The configuration that the command line describes; leaves with a message when it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m local.servers.vertex", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="folder that keeps resources, logs and packages")
    parser.add_argument("--rest-port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--grpc-port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--project", help="the only project that is served (default: any)")
    parser.add_argument("--region", help="the only location that is served (default: any)")
    parser.add_argument(
        "--image",
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="local command for a container image; NAME may end in * (repeatable)",
    )
    parser.add_argument("--max-parallel-jobs", type=int, default=2, help="job processes at once (default: 2)")
    parser.add_argument(
        "--deploy-limit", type=float, default=120.0, help="seconds for a model server to be healthy"
    )
    parser.add_argument("--seed", type=int, help="makes traffic, sampling and tuning repeatable")
    parser.add_argument("--record", type=Path, help="file that gets every call as a JSON line {time, method}")
    given = parser.parse_args(argv)
    if given.max_parallel_jobs < 1:
        parser.error(f"--max-parallel-jobs: expected at least 1, got {given.max_parallel_jobs}")
    return Config(
        state=given.state,
        images=given.image,
        project=given.project,
        location=given.region,
        rest_port=given.rest_port,
        grpc_port=given.grpc_port,
        max_parallel_jobs=given.max_parallel_jobs,
        deploy_limit_s=given.deploy_limit,
        random_seed=given.seed,
        record=given.record,
    )


if __name__ == "__main__":
    run_server(VertexServer(config_from()), lambda server: {"rest": server.rest, "grpc": server.grpc})
