"""The model server by HTTP, as Vertex AI asks it."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers import free_port
from tests.trainer import jobs

HEALTH, PREDICT = "/v1/health", "/v1/predict"
ROW = {"amount": 60.0, "items": 2, "express": True, "shop": "north", "country": "CH", "order_id": "order-1"}


@contextlib.contextmanager
def server(model: str) -> Iterator[http.client.HTTPConnection]:
    port = free_port()
    env = {
        "AIP_STORAGE_URI": model,
        "AIP_HTTP_PORT": str(port),
        "AIP_HEALTH_ROUTE": HEALTH,
        "AIP_PREDICT_ROUTE": PREDICT,
    }
    command = jobs.command("trainer.serve", "--host=127.0.0.1")
    with subprocess.Popen(command, cwd=jobs.ROOT, env=os.environ | env) as process:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            wait(port, process)
            yield connection
        finally:
            connection.close()
            process.terminate()


def wait(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(1200):
        assert process.poll() is None
        with (
            contextlib.suppress(OSError),
            contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as probe,
        ):
            if get(probe, HEALTH)[0] == 200:
                return
        time.sleep(0.05)
    pytest.fail("the server is not healthy after a minute")


def get(connection: http.client.HTTPConnection, path: str) -> tuple[int, Any]:
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def post(connection: http.client.HTTPConnection, body: Any, path: str = PREDICT) -> tuple[int, Any]:
    connection.request("POST", path, body if isinstance(body, str) else json.dumps(body))
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


@pytest.fixture(scope="module")
def served(binary: jobs.Trained) -> Iterator[http.client.HTTPConnection]:
    with server(binary.model) as connection:
        yield connection


def test_one_answer_per_instance(served: http.client.HTTPConnection) -> None:
    status, content = post(served, {"instances": [ROW, ROW | {"amount": 5.0}]})
    first, second = content["predictions"]

    assert status == 200
    assert set(first) == {"score"}
    assert 0 <= second["score"] < first["score"] <= 1


def test_golden_rows_are_answered_as_in_training(served: http.client.HTTPConnection, binary: jobs.Trained) -> None:
    golden = binary.report("golden.json")
    _, content = post(served, {"instances": golden["rows"]})

    assert [one["score"] for one in content["predictions"]] == pytest.approx(golden["answers"], abs=1e-5)


def test_missing_and_null_are_the_same(served: http.client.HTTPConnection) -> None:
    absent = {name: value for name, value in ROW.items() if name not in ("amount", "shop")}
    _, content = post(served, {"instances": [absent, ROW | {"amount": None, "shop": None}]})
    first, second = content["predictions"]

    assert first == second


def test_connection_is_kept(served: http.client.HTTPConnection) -> None:
    post(served, {"instances": [ROW]})
    before = served.sock
    post(served, {"instances": ["wrong"]})

    assert served.sock is before is not None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"instances": [ROW, ROW | {"amount": "much"}]}, "instance 1: amount: expected a number, got 'much'"),
        ({"instances": [ROW | {"shop": 7}]}, "instance 0: shop: expected text, got 7"),
        ({"instances": [ROW | {"items": [1]}]}, "instance 0: items: expected a number, got a list"),
        (
            {"instances": [ROW | {"items": 10**400}]},
            "instance 0: items: expected a number that a computer can hold",
        ),
        ({"instances": [[1, 2]]}, "instance 0: expected an object, got a list"),
        ({"instances": []}, "at least one instance"),
        ({"rows": [ROW]}, 'expected {"instances"'),
        ([ROW], 'expected {"instances"'),
        ('{"instances": [', "not JSON"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_bad_request_says_what_is_wrong(served: http.client.HTTPConnection, body: Any, said: str) -> None:
    status, content = post(served, body)

    assert status == 400
    assert said in content["error"]
    assert post(served, {"instances": [ROW]})[0] == 200


def test_unknown_routes(served: http.client.HTTPConnection) -> None:
    assert get(served, "/elsewhere")[0] == 404
    assert post(served, {"instances": [ROW]}, "/elsewhere")[0] == 404


def test_request_without_a_length_is_refused(served: http.client.HTTPConnection) -> None:
    with socket.create_connection((served.host, served.port), timeout=10) as raw:
        raw.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode())
        answer = raw.makefile("rb").read()  # ends, because the server closes

    assert answer.startswith(b"HTTP/1.1 411 ")


def test_one_row_is_answered_in_milliseconds(served: http.client.HTTPConnection) -> None:
    times = []
    for _ in range(100):
        began = time.perf_counter()
        post(served, {"instances": [ROW]})
        times.append(time.perf_counter() - began)

    assert sorted(times)[50] < 0.02


def test_classes_are_text(multiclass: jobs.Trained) -> None:
    with server(multiclass.model) as connection:
        _, content = post(connection, {"instances": [ROW]})

    assert content["predictions"][0]["classes"] == ["low", "mid", "top"]
    assert sum(content["predictions"][0]["scores"]) == pytest.approx(1, abs=1e-5)


def test_model_that_is_not_there_ends_the_server() -> None:
    env = {"AIP_STORAGE_URI": "/nowhere", "AIP_HTTP_PORT": str(free_port())}
    ended = jobs.run("trainer.serve", "--host=127.0.0.1", env=env)

    assert ended.returncode == 2
    assert "/nowhere cannot be served" in ended.stdout


def test_contract_must_name_a_model() -> None:
    ended = jobs.run("trainer.serve", env={"AIP_STORAGE_URI": ""})

    assert ended.returncode == 2
    assert "AIP_STORAGE_URI: expected the model's folder, got nothing" in ended.stdout
