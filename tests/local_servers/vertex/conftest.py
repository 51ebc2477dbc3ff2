"""One local Vertex AI for all tests of a session, and the real clients that talk to it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform, storage
from vertexkit import IMAGES, PROJECT, REGION, Clients, Rows

from local.servers.vertex import Config, VertexServer
from tests.servers import bigquery, gcs

__all__ = ["bigquery", "gcs"]


@pytest.fixture(scope="session")
def bucket(gcs: str) -> Iterator[Any]:
    """The bucket gs://stage, where every client of this session looks for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", gcs)
        client = storage.Client(project=PROJECT, credentials=AnonymousCredentials())
        yield client.create_bucket("stage")


@pytest.fixture(scope="session")
def rows() -> Rows:
    """What the session's server has logged, by table."""
    return Rows()


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder of the session's server."""
    return tmp_path_factory.mktemp("vertex")


@pytest.fixture(scope="session")
def vertex(state: Path, rows: Rows, bucket: Any) -> Iterator[VertexServer]:
    """The session's server."""
    config = Config(
        state, IMAGES, PROJECT, REGION, max_parallel_jobs=4, deploy_limit_s=5, random_seed=7, record=state / "calls"
    )
    with VertexServer(config, rows) as server:
        yield server


@pytest.fixture(scope="session")
def clients(vertex: VertexServer) -> Clients:
    """The GAPIC clients over gRPC."""
    return Clients.connect(vertex, "grpc")


@pytest.fixture(scope="session", params=["grpc", "rest"])
def both(vertex: VertexServer, request: pytest.FixtureRequest) -> Clients:
    """The GAPIC clients, over gRPC and over REST."""
    return Clients.connect(vertex, request.param)


@pytest.fixture
def sdk(vertex: VertexServer) -> Any:
    """The high-level SDK over REST."""
    aiplatform.init(
        project=PROJECT,
        location=REGION,
        api_endpoint=vertex.rest,
        api_transport="rest",
        credentials=AnonymousCredentials(),
        staging_bucket="gs://stage",
    )
    return aiplatform
