"""What every Metrics promises, in memory and on Cloud Monitoring's protocol; and what the protocol may hold."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Protocol

import pytest
from google.api_core.exceptions import GoogleAPICallError
from google.cloud.aiplatform_v1 import Endpoint, EndpointServiceClient, PredictionServiceClient
from google.protobuf import struct_pb2

from gcp.endpoints import VertexEndpoints
from gcp.metrics import CloudMetrics
from gcp.operations import VertexOperations
from gcp.registry import VertexRegistry
from gcp.vertex import connect, parent
from local.memory.metrics import Answer, MemoryMetrics
from retraining.errors import Refused, Temporary
from retraining.operations import Health
from retraining.ports import Metrics
from retraining.settings import Settings
from tests.contract.vertex import deploy_plan, fresh, until, version_plan

A, B = "1000000001", "1000000002"
HOUR = timedelta(hours=1)
NAME = "projects/acme/locations/us-central1/endpoints/7"


class Site(Protocol):
    """Metrics, and an endpoint with two deployed models."""

    endpoint: str  # resource name

    @property
    def metrics(self) -> Metrics:
        """What is asked."""

    def answer(self, deployed_id: str, *codes: int) -> None:
        """Let a deployed model answer requests with these HTTP statuses."""


def seen(site: Site, start: timedelta = -HOUR, end: timedelta = HOUR) -> dict[str, Health]:
    """The endpoint's health from ``start`` to ``end``, beside now."""
    now = datetime.now(UTC)
    return site.metrics.health(site.endpoint, now + start, now + end)


class MetricsContract:
    """Facts about any Metrics."""

    def test_nobody_has_answered(self, site: Site) -> None:
        assert seen(site) == {}

    def test_answers_are_counted_by_deployed_model(self, site: Site) -> None:
        site.answer(A, 200, 200, 200)
        site.answer(B, 200)

        assert {name: (one.requests, one.errors) for name, one in seen(site).items()} == {A: (3, 0), B: (1, 0)}

    def test_whatever_is_not_2xx_is_an_error(self, site: Site) -> None:
        site.answer(A, 200, 400, 429, 503)

        assert (seen(site)[A].requests, seen(site)[A].errors) == (4, 3)

    def test_every_answer_is_timed(self, site: Site) -> None:
        site.answer(A, 200, 500)
        timed = seen(site)[A].latencies

        assert timed.total == 2
        assert timed.slower(60_000) == 0
        assert (timed.quantile(0.99) or 0) < 60_000

    def test_a_window_before_the_first_answer_is_empty(self, site: Site) -> None:
        site.answer(A, 200)

        assert seen(site, -3 * HOUR, -2 * HOUR) == {}

    def test_another_endpoint_has_its_own_answers(self, site: Site) -> None:
        site.answer(A, 200)
        other = f"{site.endpoint.rpartition('/')[0]}/123"

        assert site.metrics.health(other, datetime.now(UTC) - HOUR, datetime.now(UTC) + HOUR) == {}


class MemorySite:
    """Metrics in this process."""

    def __init__(self) -> None:
        self.metrics: MemoryMetrics = MemoryMetrics()
        self.endpoint = NAME

    def answer(self, deployed_id: str, *codes: int) -> None:
        for code in codes:
            self.metrics.add(Answer(self.endpoint, deployed_id, datetime.now(UTC), code, 5.0))


class CloudSite:
    """What the local Vertex AI says of itself."""

    def __init__(self, settings: Settings, version: str) -> None:
        self.metrics = CloudMetrics(settings)
        self._predictions = connect(PredictionServiceClient, settings)
        self._endpoints, self._name = VertexEndpoints(settings), fresh("measured")
        operations = VertexOperations(settings)
        client = connect(EndpointServiceClient, settings)
        made = client.create_endpoint(parent=parent(settings), endpoint=Endpoint(display_name=self._name))
        until(lambda: operations.view(made.operation.name).done)
        for deployed_id in (A, B):
            operation = self._endpoints.deploy(deploy_plan(self._name, version, deployed_id))
            until(lambda name=operation: operations.view(name).done)  # type: ignore[misc]
        view = self._endpoints.view(self._name)
        assert view is not None
        self.endpoint = view.name

    def answer(self, deployed_id: str, *codes: int) -> None:
        view = self._endpoints.view(self._name)
        assert view is not None
        self._endpoints.set_traffic(self._name, {deployed_id: 100}, view.etag)
        for code in codes:
            with suppress(GoogleAPICallError):
                instance = struct_pb2.Value(number_value=code)
                self._predictions.predict(endpoint=self.endpoint, instances=[instance], timeout=10)


class TestMemoryMetrics(MetricsContract):
    """The promises in memory."""

    @pytest.fixture
    def site(self) -> MemorySite:
        return MemorySite()


@pytest.fixture(scope="module")
def version(cloud: Settings) -> str:
    """A version that answers as it is told."""
    registry, operations = VertexRegistry(cloud), VertexOperations(cloud)
    operation = registry.upload(version_plan("measured", "run-measured"))
    until(lambda: operations.view(operation).done)
    found = registry.find("measured", "run-measured")
    assert found is not None
    return found.name


class TestCloudMetrics(MetricsContract):
    """The promises on Cloud Monitoring's protocol."""

    @pytest.fixture
    def site(self, cloud: Settings, version: str) -> CloudSite:
        return CloudSite(cloud, version)

    def test_what_is_too_young_to_be_known_is_left_out(self, site: CloudSite) -> None:
        """Points of one model may be seen minutes before those of the other."""
        site.answer(A, 200)

        assert seen(site, -HOUR, timedelta(0)) == {}


# What Google may answer --------------------------------------------------------------------


class Google:
    """A server that answers each metric with prepared content."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.status = 200
        self.asked: list[str] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.asked.append(self.path)
                found: Any = next((text for name, text in owner.answers.items() if name in self.path), {})
                body = found.encode() if isinstance(found, str) else json.dumps(found).encode()
                self.send_response(owner.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Write no log."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        address = f"http://127.0.0.1:{self.server.server_address[1]}"
        base = Settings("acme", "us-central1", "state", "artifacts", "retraining")
        self.metrics = CloudMetrics(replace(base, monitoring_api=address))

    def health(self) -> dict[str, Health]:
        """An hour of the endpoint."""
        now = datetime.now(UTC)
        return self.metrics.health(NAME, now - HOUR, now)


@pytest.fixture
def google() -> Iterator[Google]:
    """A server that says what a test wants."""
    made = Google()
    yield made
    made.server.shutdown()
    made.server.server_close()


def series(value: dict[str, Any], **labels: str) -> dict[str, Any]:
    """One series with one point."""
    return {"metric": {"labels": {"deployed_model_id": A} | labels}, "points": [{"value": value}]}


def test_classes_of_codes_are_understood(google: Google) -> None:
    """Google's page shows codes as 2xx and 5xx."""
    codes = [series({"int64Value": str(n)}, response_code=code) for code, n in (("2xx", 90), ("5xx", 10))]
    google.answers["response_count"] = {"timeSeries": codes}

    assert google.health() == {A: Health(100, 10)}


@pytest.mark.parametrize(
    ("options", "bounds"),
    [
        ({"exponentialBuckets": {"numFiniteBuckets": 2, "growthFactor": 10, "scale": 1}}, (1.0, 10.0, 100.0)),
        ({"linearBuckets": {"numFiniteBuckets": 2, "width": 50, "offset": 0}}, (0.0, 50.0, 100.0)),
        ({"explicitBuckets": {"bounds": [1, 10, 100]}}, (1.0, 10.0, 100.0)),
    ],
)
def test_every_kind_of_bucket_is_read(google: Google, options: dict[str, Any], bounds: tuple[float, ...]) -> None:
    """Counts at the end that are 0 may be missing."""
    google.answers["response_count"] = {"timeSeries": [series({"int64Value": "5"}, response_code="200")]}
    value = {"distributionValue": {"count": "5", "bucketOptions": options, "bucketCounts": ["0", "3", "2"]}}
    google.answers["prediction_latencies"] = {"timeSeries": [series(value)]}
    timed = google.health()[A].latencies

    assert (timed.bounds, timed.counts) == (bounds, (0, 3, 2, 0))


def test_a_look_takes_two_calls(google: Google) -> None:
    """One for each metric, whatever the length of the window."""
    google.health()

    assert len(google.asked) == 2


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (503, {}, Temporary),
        (429, {}, Temporary),
        (403, {"error": {"message": "no right"}}, Refused),
        (200, "not JSON", Temporary),
        (200, "[]", Refused),
        (200, {"timeSeries": [{"metric": {}}]}, Refused),
        (200, {"timeSeries": [series({"doubleValue": 1}, response_code="200")]}, Refused),
        (200, {"nextPageToken": "again"}, Refused),
    ],
)
def test_what_nobody_can_read_is_no_number(
    google: Google, status: int, answer: Any, error: type[Exception]
) -> None:
    google.status, google.answers["response_count"] = status, answer

    with pytest.raises(error):
        google.health()


def test_an_unreachable_server_is_temporary(google: Google) -> None:
    google.server.shutdown()
    google.server.server_close()

    with pytest.raises(Temporary):
        google.health()
