"""Predictions reach the model servers by the traffic split, and their log reaches its table."""

import json
from collections import Counter
from typing import Any

import pytest
import requests
from google.api import httpbody_pb2
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery as bq
from google.protobuf import json_format, struct_pb2
from vertexkit import IMAGES, MODEL_IMAGE, PROJECT, REGION, Clients, Rows, until

from local.servers.vertex import Config, VertexServer


def value(item: Any) -> Any:
    """Plain Python as a protobuf Value."""
    return json_format.ParseDict(item, struct_pb2.Value())


def ask(clients: Clients, endpoint: str, *instances: Any, **fields: Any) -> Any:
    """Predict."""
    return clients.predictions.predict(endpoint=endpoint, instances=[value(i) for i in instances], **fields)


@pytest.fixture(scope="module")
def live(clients: Clients) -> tuple[str, str, str]:
    """(endpoint, model, deployed model) of an endpoint with one model."""
    model, endpoint = clients.model().model, clients.endpoint()
    return endpoint, model, clients.deploy(endpoint, model, {"0": 100})


class TestPredict:
    def test_predictions_come_with_their_model(self, both: Clients, live: tuple[str, str, str]) -> None:
        answer = ask(both, live[0], 1, 2.5)

        assert [dict(p)["twice"] for p in answer.predictions] == [2, 5]
        assert (answer.deployed_model_id, answer.model, answer.model_version_id) == (live[2], live[1], "1")
        assert answer.model_display_name == "doubling"

    def test_the_server_runs_in_the_serving_contract(self, clients: Clients, live: tuple[str, str, str]) -> None:
        (env,) = (dict(p) for p in ask(clients, live[0], "environment").predictions)

        assert (env["AIP_HEALTH_ROUTE"], env["AIP_PREDICT_ROUTE"]) == ("/health", "/predict")
        assert (env["AIP_STORAGE_URI"], env["AIP_DEPLOYED_MODEL_ID"]) == ("gs://stage/model", live[2])
        assert int(env["AIP_HTTP_PORT"]) > 0

    def test_without_routes_vertex_ai_s_own_are_used(self, clients: Clients) -> None:
        model, endpoint = clients.model(container_spec={"image_uri": MODEL_IMAGE}).model, clients.endpoint()
        deployed = clients.deploy(endpoint, model, {"0": 100})
        (env,) = (dict(p) for p in ask(clients, endpoint, "environment").predictions)

        route = f"/v1/endpoints/{endpoint.rpartition('/')[2]}/deployedModels/{deployed}"
        assert (env["AIP_HEALTH_ROUTE"], env["AIP_PREDICT_ROUTE"]) == (route, f"{route}:predict")

    def test_traffic_follows_the_split(self, clients: Clients, live: tuple[str, str, str]) -> None:
        endpoint = clients.endpoint()
        first = clients.deploy(endpoint, live[1], {"0": 100})
        second = clients.deploy(endpoint, live[1], {first: 75, "0": 25})
        arms = Counter(ask(clients, endpoint, 1).deployed_model_id for _ in range(400))

        assert set(arms) == {first, second}
        assert 60 <= arms[second] <= 140

    def test_the_high_level_sdk_predicts(self, sdk: Any, live: tuple[str, str, str]) -> None:
        answer = sdk.Endpoint(live[0]).predict([4])

        assert [prediction["twice"] for prediction in answer.predictions] == [8]


class TestRawPredict:
    def test_grpc_returns_the_model_s_own_answer(self, clients: Clients, live: tuple[str, str, str]) -> None:
        body = httpbody_pb2.HttpBody(content_type="application/json", data=b'{"instances": [3]}')
        answer = clients.predictions.raw_predict(endpoint=live[0], http_body=body)

        assert answer.content_type == "application/json"
        assert json.loads(answer.data) == {"predictions": [{"twice": 6, "arm": live[2]}], "parameters": None}

    def test_the_generated_rest_client_works_too(self, vertex: VertexServer, live: tuple[str, str, str]) -> None:
        body = httpbody_pb2.HttpBody(content_type="application/json", data=b'{"instances": [3]}')
        answer = Clients.connect(vertex, "rest").predictions.raw_predict(endpoint=live[0], http_body=body)

        assert json.loads(answer.data)["predictions"] == [{"twice": 6, "arm": live[2]}]

    def test_a_plain_post_is_passed_on(self, vertex: VertexServer, live: tuple[str, str, str]) -> None:
        answer = requests.post(f"{vertex.rest}/v1/{live[0]}:rawPredict", json={"instances": [3]}, timeout=10)

        assert answer.json() == {"predictions": [{"twice": 6, "arm": live[2]}], "parameters": None}

    def test_raw_traffic_follows_the_split(self, clients: Clients, live: tuple[str, str, str]) -> None:
        endpoint = clients.endpoint()
        first = clients.deploy(endpoint, live[1], {"0": 100})
        second = clients.deploy(endpoint, live[1], {first: 50, "0": 50})
        body = httpbody_pb2.HttpBody(data=b'{"instances": [1]}')
        answers = [clients.predictions.raw_predict(endpoint=endpoint, http_body=body) for _ in range(60)]

        assert {json.loads(answer.data)["predictions"][0]["arm"] for answer in answers} == {first, second}


class TestFailures:
    def test_an_endpoint_without_traffic_refuses(self, both: Clients) -> None:
        with pytest.raises(exceptions.BadRequest, match="traffic_split"):
            ask(both, both.endpoint(), 1)

    def test_no_instances_are_refused(self, both: Clients, live: tuple[str, str, str]) -> None:
        with pytest.raises(exceptions.BadRequest, match="instances"):
            ask(both, live[0])

    def test_the_server_s_refusal_keeps_its_status_and_words(
        self, both: Clients, live: tuple[str, str, str]
    ) -> None:
        with pytest.raises(exceptions.BadRequest, match="the instance is malformed"):
            ask(both, live[0], "refuse")

    def test_an_answer_without_predictions_is_an_internal_error(
        self, both: Clients, live: tuple[str, str, str]
    ) -> None:
        with pytest.raises(exceptions.InternalServerError, match="predictions"):
            ask(both, live[0], "nonsense")

    def test_a_request_beyond_the_documented_size_is_refused(
        self, clients: Clients, live: tuple[str, str, str]
    ) -> None:
        with pytest.raises(exceptions.InvalidArgument, match="1572864 bytes limit"):
            ask(clients, live[0], "x" * 1_600_000)

    def test_a_crashed_server_is_started_again(self, clients: Clients, live: tuple[str, str, str]) -> None:
        with pytest.raises(exceptions.ServiceUnavailable):
            ask(clients, live[0], "crash")

        assert ask(clients, live[0], 2).deployed_model_id == live[2]

    def test_explain_is_unimplemented_by_name(self, both: Clients, live: tuple[str, str, str]) -> None:
        with pytest.raises(exceptions.MethodNotImplemented, match="PredictionService/Explain"):
            both.predictions.explain(endpoint=live[0], instances=[value(1)])


class TestLog:
    def _endpoint(self, clients: Clients, model: str, table: str, rate: float = 1.0) -> str:
        logging = {
            "enabled": True,
            "sampling_rate": rate,
            "bigquery_destination": {"output_uri": f"bq://acme.logs.{table}"},
        }
        endpoint = clients.endpoint(predict_request_response_logging_config=logging)
        clients.deploy(endpoint, model, {"0": 100})
        return endpoint

    def test_a_row_has_one_element_for_each_instance(
        self, clients: Clients, live: tuple[str, str, str], rows: Rows
    ) -> None:
        endpoint = self._endpoint(clients, live[1], "each")
        answer = ask(clients, endpoint, 1, 2)
        until(lambda: "acme.logs.each" in rows.tables)

        (row,) = rows.tables["acme.logs.each"]
        assert (row["endpoint"], row["deployed_model_id"]) == (endpoint, answer.deployed_model_id)
        assert row["request_payload"] == ["1", "2"]
        assert [json.loads(text)["twice"] for text in row["response_payload"]] == [2, 4]

    def test_request_ids_are_numbers_and_differ(
        self, clients: Clients, live: tuple[str, str, str], rows: Rows
    ) -> None:
        endpoint = self._endpoint(clients, live[1], "ids")
        for _ in range(20):
            ask(clients, endpoint, 1)
        until(lambda: len(rows.tables.get("acme.logs.ids", [])) == 20)

        assert len({int(row["request_id"]) for row in rows.tables["acme.logs.ids"]}) == 20

    def test_a_sample_is_logged(self, clients: Clients, live: tuple[str, str, str], rows: Rows) -> None:
        endpoint = self._endpoint(clients, live[1], "sampled", 0.5)
        marker = self._endpoint(clients, live[1], "marker")
        for _ in range(200):
            ask(clients, endpoint, 1)
        ask(clients, marker, 1)
        until(lambda: "acme.logs.marker" in rows.tables)

        assert 60 <= len(rows.tables["acme.logs.sampled"]) <= 140

    def test_rows_wait_while_the_table_is_down(
        self, clients: Clients, live: tuple[str, str, str], rows: Rows
    ) -> None:
        endpoint = self._endpoint(clients, live[1], "late")
        rows.down.set()
        assert ask(clients, endpoint, 1).predictions
        rows.down.clear()
        until(lambda: "acme.logs.late" in rows.tables)

        assert len(rows.tables["acme.logs.late"]) == 1

    def test_bigquery_gets_vertex_ai_s_table(
        self, bigquery: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery)
        with VertexServer(Config(tmp_path, IMAGES, PROJECT, REGION)) as server:
            clients = Clients.connect(server, "grpc")
            endpoint = self._endpoint(clients, clients.model().model, "requests")
            ask(clients, endpoint, 1, 2)
        client = bq.Client(project=PROJECT, credentials=AnonymousCredentials())
        table = client.get_table("acme.logs.requests")
        (row,) = client.query_and_wait("select * from acme.logs.requests")

        assert [(f.name, f.field_type, f.mode) for f in table.schema] == [
            ("endpoint", "STRING", "NULLABLE"),
            ("deployed_model_id", "STRING", "NULLABLE"),
            ("logging_time", "TIMESTAMP", "NULLABLE"),
            ("request_id", "NUMERIC", "NULLABLE"),
            ("request_payload", "STRING", "REPEATED"),
            ("response_payload", "STRING", "REPEATED"),
        ]
        assert (row["endpoint"], row["request_payload"]) == (endpoint, ["1", "2"])
