"""The local Vertex AI that the adapters run against, started once per session."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.servers.vertex import Config, VertexServer
from retraining.settings import Settings
from tests.contract.vertex import PYTHON, SERVER


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of an installation whose Vertex AI runs on this machine."""
    server = f"{sys.executable} {Path(__file__).parent / 'health.py'}"
    config = Config(
        tmp_path_factory.mktemp("vertex"),
        images=[f"{PYTHON}={sys.executable}", f"{SERVER}={server}"],
        max_parallel_jobs=4,
        deploy_limit_s=10,
        random_seed=7,
    )
    with VertexServer(config) as running:
        yield Settings(
            project="acme",
            region="us-central1",
            state_bucket="state",
            artifact_bucket="artifacts",
            dataset="retraining",
            vertex_api=running.grpc,
            monitoring_api=running.rest,
        )
