"""Answers that are rare: each is told from the others as the adapter says, over the real clients."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import pytest
from google.cloud import aiplatform_v1 as vertex
from google.cloud import scheduler_v1 as scheduler

from gcp.bigquery import ATTEMPTS, BigQuery, Query
from gcp.bigquery import connect as connect_bigquery
from gcp.endpoints import VertexEndpoints
from gcp.google_rest import connect as connect_rest
from gcp.installation import Installation
from gcp.sql import Sql
from gcp.storage import connect as connect_storage
from gcp.store import GcsStore
from retraining.errors import BadRecord, Exists, Refused
from retraining.settings import Settings
from retraining.views import DeployPlan
from tests.unit.build import FLIGHTS

SETTINGS = Settings("p", "r", "state", "artifacts", "retraining")


@dataclass
class Service:
    """A web server that answers from a list: the first entry whose method and path fit."""

    answers: list[tuple[str, str, int, bytes]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    address: str = ""

    def says(self, method: str, path: str, status: int, body: object) -> None:
        """Answer requests whose path holds ``path``, a pattern."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers.append((method, path, status, content))

    def answer(self, method: str, path: str) -> tuple[int, bytes]:
        """Status and body for a request."""
        self.asked.append(f"{method} {path}")
        for wanted, pattern, status, body in self.answers:
            if wanted == method and re.search(pattern, path):
                return status, body
        return 404, b'{"error": {"code": 404, "message": "nothing here"}}'


@pytest.fixture
def service() -> Iterator[Service]:
    """The server, on a free port."""
    told = Service()

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, body = told.answer(self.command, self.path)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("x-goog-generation", "7")
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self._do()

        def do_POST(self) -> None:
            self._do()

        def log_message(self, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        told.address = f"http://127.0.0.1:{server.server_address[1]}"
        yield told
        server.shutdown()


def test_a_record_that_is_no_text_is_a_bad_record(service: Service) -> None:
    """Nobody can read it, however often it is read."""
    service.says("GET", "runs", 200, b"\xff\xfe")
    store = GcsStore(connect_storage("p", service.address), "state", patience_s=1)

    with pytest.raises(BadRecord, match=r"record runs/x\.json: expected UTF-8 text"):
        store.read("runs/x.json")


# BigQuery --------------------------------------------------------------------------------

QUERY = Query(Sql("SELECT 1"), "retraining", "counting", run_id="flights-1")
DATASET = {"datasetReference": {"projectId": "p", "datasetId": "retraining"}, "location": "US"}


def bigquery(service: Service) -> BigQuery:
    service.says("GET", "/datasets/retraining", 200, DATASET)
    return BigQuery(connect_bigquery("p", service.address))


def test_a_statement_that_is_wrong_is_refused_in_the_service_s_words(service: Service) -> None:
    """No job of its id is there, so it was not another request for the same work."""
    database = bigquery(service)
    service.says("POST", "/jobs", 400, {"error": {"code": 400, "message": "Unrecognized name: ontme"}})

    with pytest.raises(Refused, match=r"starting counting was refused.*Unrecognized name: ontme"):
        database.rows(QUERY)


def test_a_statement_that_failed_for_others_is_tried_under_the_next_id(service: Service) -> None:
    """A failed job keeps its id for ever; after some of them somebody must look."""
    database = bigquery(service)
    failed = {
        "jobReference": {"projectId": "p", "jobId": "j", "location": "US"},
        "configuration": {"jobType": "QUERY", "query": {"query": "SELECT 1"}},
        "status": {"state": "DONE", "errorResult": {"reason": "backendError", "message": "disk on fire"}},
    }
    service.says("POST", "/jobs", 409, {"error": {"code": 409, "message": "Already Exists: Job p:US.j"}})
    service.says("GET", "/jobs/|/queries/", 200, failed)

    with pytest.raises(Refused, match=f"counting of flights-1: failed {ATTEMPTS} times"):
        database.rows(QUERY)
    assert sum(line.startswith("POST") for line in service.asked) == ATTEMPTS


def test_a_dataset_that_is_not_there_is_none(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor says what to do about it."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", service.address)

    assert Installation(SETTINGS, patience_s=5).dataset("nowhere") is None


# Cloud Scheduler -------------------------------------------------------------------------


def test_a_message_that_is_no_json_is_shown_as_it_is() -> None:
    """Somebody else's job may publish anything."""
    job = scheduler.Job(name="projects/p/locations/r/jobs/odd", pubsub_target={"topic_name": "t", "data": b"hello"})
    server = grpc.server(ThreadPoolExecutor(1))
    listed = _method(
        lambda request, context: scheduler.ListJobsResponse(jobs=[job]),
        scheduler.ListJobsRequest,
        scheduler.ListJobsResponse,
    )
    service = "google.cloud.scheduler.v1.CloudScheduler"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"ListJobs": listed}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    found = Installation(SETTINGS, f"127.0.0.1:{port}", patience_s=5).jobs()
    server.stop(None)

    assert [one.body for one in found.values()] == ["hello"]


# Google's services over REST -------------------------------------------------------------


def test_an_answer_that_is_no_json_is_said(service: Service) -> None:
    """A proxy in between, for example, that wants somebody to log in."""
    service.says("GET", "services", 200, b"<html>please log in</html>")

    with pytest.raises(Refused, match="expected JSON, got '<html>please log in"):
        connect_rest("p", "us-central1", service.address).enabled_apis()


def test_a_refusal_that_is_no_json_is_quoted(service: Service) -> None:
    """Its first words say more than its code alone."""
    service.says("GET", "services", 403, b"<html>not from here</html>")

    with pytest.raises(Refused, match="403 <html>not from here"):
        connect_rest("p", "us-central1", service.address).enabled_apis()


# Vertex AI -------------------------------------------------------------------------------

SERVICE = "google.cloud.aiplatform.v1.EndpointService"
OLD, NEW = (f"projects/p/locations/r/endpoints/{number}" for number in (1, 2))
PLAN = DeployPlan(
    "flights", "1000000001", "projects/p/locations/r/models/m@1", "flights-1", FLIGHTS.machines.serving, ""
)


@dataclass
class Region:
    """Endpoints of a region: one of the name flights, which may be replaced, and which refuses to deploy."""

    name: str = OLD
    holds: tuple[str, ...] = ()
    got: list[str] = field(default_factory=list)

    def endpoint(self) -> vertex.Endpoint:
        """The endpoint there is."""
        models = [vertex.DeployedModel(id=key, model="projects/p/locations/r/models/m@1") for key in self.holds]
        return vertex.Endpoint(name=self.name, display_name="flights", etag="e", deployed_models=models)

    def list(self, request: Any, context: grpc.ServicerContext) -> Any:
        """ListEndpoints."""
        return vertex.ListEndpointsResponse(endpoints=[self.endpoint()])

    def get(self, request: Any, context: grpc.ServicerContext) -> Any:
        """GetEndpoint."""
        self.got.append(request.name)
        if request.name != self.name:
            context.abort(grpc.StatusCode.NOT_FOUND, "there is none")
        return self.endpoint()

    def deploy(self, request: Any, context: grpc.ServicerContext) -> Any:
        """DeployModel."""
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "this machine type is not for you")


@pytest.fixture
def region() -> Region:
    return Region()


@pytest.fixture
def endpoints(region: Region) -> Iterator[VertexEndpoints]:
    """The adapter over the region."""
    server = grpc.server(ThreadPoolExecutor(2))
    methods = {
        "ListEndpoints": _method(region.list, vertex.ListEndpointsRequest, vertex.ListEndpointsResponse),
        "GetEndpoint": _method(region.get, vertex.GetEndpointRequest, vertex.Endpoint),
        "DeployModel": _method(region.deploy, vertex.DeployModelRequest, vertex.Endpoint),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield VertexEndpoints(Settings("p", "r", "state", "artifacts", "retraining", vertex_api=f"127.0.0.1:{port}"))
    server.stop(None)


def _method(act: Callable[..., Any], request: Any, answer: Any) -> grpc.RpcMethodHandler:
    return grpc.unary_unary_rpc_method_handler(act, request.deserialize, answer.serialize)


def test_a_refused_deploy_of_what_is_there_exists(endpoints: VertexEndpoints, region: Region) -> None:
    """Whatever code a repeated id is answered with, the endpoint settles what it means."""
    region.holds = (PLAN.deployed_id,)

    with pytest.raises(Exists, match="1000000001 is deployed already"):
        endpoints.deploy(PLAN)


def test_a_refused_deploy_of_what_is_not_there_is_a_refusal(endpoints: VertexEndpoints) -> None:
    """In the service's own words."""
    with pytest.raises(Refused, match="this machine type is not for you"):
        endpoints.deploy(PLAN)


def test_an_endpoint_that_was_replaced_is_found_again(endpoints: VertexEndpoints, region: Region) -> None:
    """Its name was remembered from an earlier look."""
    endpoints.view("flights")
    region.name = NEW
    found = endpoints.view("flights")
    assert found is not None

    assert found.name == NEW
    assert region.got == [OLD]
