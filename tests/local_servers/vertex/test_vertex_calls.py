"""Both doors parse strictly, refuse by name, list by pages, and fail when a test asks them to."""

import json
from itertools import chain
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
from google.api_core import exceptions
from google.cloud import aiplatform_v1 as v1
from google.longrunning import operations_pb2
from vertexkit import IMAGES, PARENT, PROJECT, REGION, Clients, Rows, deployed, finish, python_job

from local.servers.vertex import Config, VertexServer


def post(vertex: VertexServer, path: str, body: Any) -> requests.Response:
    """POST ``body`` as JSON."""
    return requests.post(f"{vertex.rest}{path}", json=body, timeout=10)


def error(response: requests.Response) -> tuple[int, str, str]:
    """(HTTP status, status, message) of a refusal."""
    content = response.json()["error"]
    assert content["code"] == response.status_code
    return content["code"], content["status"], content["message"]


class TestParsing:
    def test_an_unknown_field_is_refused_by_name(self, vertex: VertexServer) -> None:
        code, status, message = error(post(vertex, f"/v1/{PARENT}/customJobs", {"jobSpec": {"nonsense": 1}}))

        assert (code, status) == (400, "INVALID_ARGUMENT")
        assert 'CustomJobSpec" has no field named "nonsense"' in message

    def test_a_wrong_type_is_refused(self, vertex: VertexServer) -> None:
        body = {"jobSpec": {"workerPoolSpecs": [{"replicaCount": "one"}]}}

        assert error(post(vertex, f"/v1/{PARENT}/customJobs", body))[:2] == (400, "INVALID_ARGUMENT")

    @pytest.mark.parametrize("body", ["{", "[]", "7"])
    def test_what_is_no_object_is_refused(self, vertex: VertexServer, body: str) -> None:
        response = requests.post(f"{vertex.rest}/v1/{PARENT}/customJobs", data=body, timeout=10)

        assert error(response)[:2] == (400, "INVALID_ARGUMENT")

    def test_enums_are_words_unless_numbers_are_asked_for(self, vertex: VertexServer, clients: Clients) -> None:
        name = clients.run(python_job("pass")).name
        words = requests.get(f"{vertex.rest}/v1/{name}", timeout=10).json()
        numbers = requests.get(f"{vertex.rest}/v1/{name}?$alt=json;enum-encoding=int", timeout=10).json()

        assert (words["state"], numbers["state"]) == ("JOB_STATE_SUCCEEDED", 4)


class TestUnknownMethods:
    def test_rest_names_the_method(self, vertex: VertexServer) -> None:
        code, status, message = error(post(vertex, f"/v1/{PARENT}/tensorboards", {"displayName": "t"}))

        assert (code, status) == (501, "UNIMPLEMENTED")
        assert "TensorboardService/CreateTensorboard" in message

    def test_rest_names_a_path_that_no_service_has(self, vertex: VertexServer) -> None:
        code, status, message = error(requests.get(f"{vertex.rest}/v1/{PARENT}/nonsense", timeout=10))

        assert (code, status) == (501, "UNIMPLEMENTED")
        assert f"GET /v1/{PARENT}/nonsense" in message

    @pytest.mark.parametrize(
        "path", ["/google.cloud.aiplatform.v1.IndexService/GetIndex", "/nobody.Nowhere/Nothing"]
    )
    def test_grpc_names_the_method(self, vertex: VertexServer, path: str) -> None:
        with grpc.insecure_channel(vertex.grpc) as channel:
            call = channel.unary_unary(path)
            with pytest.raises(grpc.RpcError) as caught:
                call(b"")

        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
        assert path[1:] in caught.value.details()


class TestPlaces:
    def test_another_project_is_denied(self, both: Clients) -> None:
        with pytest.raises(exceptions.Forbidden, match="other"):
            both.jobs.create_custom_job(parent=f"projects/other/locations/{REGION}", custom_job=python_job("pass"))

    def test_another_location_is_refused(self, both: Clients) -> None:
        with pytest.raises(exceptions.BadRequest, match="europe-west1"):
            both.endpoints.get_endpoint(name=f"projects/{PROJECT}/locations/europe-west1/endpoints/1")


class TestLists:
    def test_pages_follow_each_other(self, both: Clients) -> None:
        for number in range(5):
            both.endpoint(display_name=f"page-{number}", labels={"page": "yes"})
        request = v1.ListEndpointsRequest(parent=PARENT, filter="labels.page=yes", page_size=2)
        pages = [[e.name for e in page.endpoints] for page in both.endpoints.list_endpoints(request=request).pages]
        names = list(chain.from_iterable(pages))
        for name in names:
            finish(both.endpoints.delete_endpoint(name=name))

        assert [len(page) for page in pages] == [2, 2, 1]
        assert len(set(names)) == 5

    def test_the_newest_come_first(self, clients: Clients) -> None:
        names = [clients.endpoint(labels={"order": "new"}) for _ in range(3)]
        request = {"parent": PARENT, "filter": "labels.order:*"}

        assert [e.name for e in clients.endpoints.list_endpoints(request=request)] == names[::-1]
        request["order_by"] = "create_time"
        assert [e.name for e in clients.endpoints.list_endpoints(request=request)] == names

    def test_jobs_are_found_by_state(self, both: Clients) -> None:
        name = both.run(python_job("raise SystemExit(1)") | {"labels": {"found": "by-state"}}).name
        terms = ['state="JOB_STATE_FAILED"', 'labels.found="by-state"']
        request = {"parent": PARENT, "filter": " AND ".join(terms)}

        assert name in [job.name for job in both.jobs.list_custom_jobs(request=request)]
        request["filter"] = request["filter"].replace("FAILED", "RUNNING")
        assert not list(both.jobs.list_custom_jobs(request=request))

    @pytest.mark.parametrize(
        "text",
        ['display_name>"a"', "nonsense=1", 'state="ON_FIRE"', "labels.a=b OR labels.c=d", "display_name=", "("],
    )
    def test_an_unknown_filter_is_refused_by_name(self, both: Clients, text: str) -> None:
        with pytest.raises(exceptions.BadRequest) as caught:
            list(both.jobs.list_custom_jobs(request={"parent": PARENT, "filter": text}))

        assert repr(text) in caught.value.message

    def test_a_foreign_page_token_is_refused(self, both: Clients) -> None:
        with pytest.raises(exceptions.BadRequest, match="page_token"):
            both.jobs.list_custom_jobs(request={"parent": PARENT, "page_token": "nonsense"})


class TestOperations:
    def test_an_operation_can_be_read_listed_and_deleted(self, both: Clients) -> None:
        name = both.endpoints.create_endpoint(parent=PARENT, endpoint={"display_name": "e"}).operation.name
        client = both.endpoints

        assert client.get_operation(operations_pb2.GetOperationRequest(name=name)).done
        listed = client.list_operations(operations_pb2.ListOperationsRequest(name=name.partition("/operations")[0]))
        assert [operation.name for operation in listed.operations] == [name]
        client.delete_operation(operations_pb2.DeleteOperationRequest(name=name))
        with pytest.raises(exceptions.NotFound):
            client.get_operation(operations_pb2.GetOperationRequest(name=name))

    def test_waiting_returns_when_the_operation_is_done(self, vertex: VertexServer, clients: Clients) -> None:
        operation = clients.endpoints.deploy_model(
            endpoint=clients.endpoint(), deployed_model=deployed(clients.model().model)
        ).operation

        assert not operation.done
        assert post(vertex, f"/v1/{operation.name}:wait", {"timeout": "10s"}).json()["done"] is True

    @pytest.mark.parametrize("prefix", ["/ui/", "/v1/"])
    def test_an_operation_has_both_poll_paths(self, vertex: VertexServer, clients: Clients, prefix: str) -> None:
        name = clients.endpoints.create_endpoint(parent=PARENT, endpoint={"display_name": "e"}).operation.name

        assert requests.get(f"{vertex.rest}{prefix}{name}", timeout=10).json()["done"] is True


class TestAdmin:
    def test_the_server_says_that_it_is_healthy(self, vertex: VertexServer) -> None:
        assert requests.get(f"{vertex.rest}/healthz", timeout=10).status_code == 200

    def test_a_call_fails_as_often_as_it_was_asked_to(self, vertex: VertexServer, clients: Clients) -> None:
        post(vertex, "/admin/faults", {"method": "GetDataset", "mode": "unavailable", "times": 2})
        for _ in range(2):
            assert requests.get(f"{vertex.rest}/v1/{PARENT}/datasets/1", timeout=10).status_code == 503

        assert requests.get(f"{vertex.rest}/v1/{PARENT}/datasets/1", timeout=10).status_code == 404

    def test_a_lost_answer_has_had_its_effect(self, vertex: VertexServer, clients: Clients) -> None:
        post(vertex, "/admin/faults", {"method": "CreateCustomJob", "mode": "lost_answer", "times": 1})
        with pytest.raises(exceptions.ServiceUnavailable, match="answer was lost"):
            clients.jobs.create_custom_job(parent=PARENT, custom_job=python_job("pass") | {"display_name": "lost"})

        request = {"parent": PARENT, "filter": 'display_name="lost"'}
        assert len(list(clients.jobs.list_custom_jobs(request=request))) == 1

    def test_not_found_has_no_effect(self, vertex: VertexServer, clients: Clients) -> None:
        post(vertex, "/admin/faults", {"method": "CreateCustomJob", "mode": "not_found", "times": 1})
        with pytest.raises(exceptions.NotFound):
            clients.jobs.create_custom_job(parent=PARENT, custom_job=python_job("pass") | {"display_name": "none"})

        assert not list(clients.jobs.list_custom_jobs(request={"parent": PARENT, "filter": "display_name=none"}))

    def test_waiting_faults_are_shown(self, vertex: VertexServer) -> None:
        fault = {"method": "GetStudy", "mode": "not_found", "times": 3}
        post(vertex, "/admin/faults", fault)

        assert fault in requests.get(f"{vertex.rest}/admin/faults", timeout=10).json()["faults"]

    @pytest.mark.parametrize(
        "fault", [{}, {"method": "X", "mode": "explode"}, {"method": "X", "mode": "not_found", "times": 0}]
    )
    def test_a_malformed_fault_is_refused(self, vertex: VertexServer, fault: dict[str, Any]) -> None:
        assert error(post(vertex, "/admin/faults", fault))[:2] == (400, "INVALID_ARGUMENT")

    def test_every_call_is_recorded(self, clients: Clients, state: Path) -> None:
        clients.endpoint()
        lines = [json.loads(line) for line in (state / "calls").read_text().splitlines()]

        assert lines[-1].keys() == {"time", "method"}
        assert "google.cloud.aiplatform.v1.EndpointService.CreateEndpoint" in {line["method"] for line in lines}


def test_times_come_from_the_system_s_clock_or_the_one_that_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRAIN_CLOCK", "2013-01-01T00:00:00+00:00*1@0")
    with VertexServer(Config(tmp_path, IMAGES), Rows()) as server:
        clients = Clients.connect(server, "grpc")
        created = clients.endpoints.get_endpoint(name=clients.endpoint()).create_time

    assert created.year > 2060
