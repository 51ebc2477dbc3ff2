"""The host of functions: paths, signatures, and how it starts and stops."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from local.servers.functions import FunctionsHost

SOURCE = """
import os
import functions_framework

calls = []

@functions_framework.http
def hello(request):
    return f"hello {request.path} {os.environ['WHO']}"

@functions_framework.http
def talk(request):
    print("x" * 200_000)
    return "done"

@functions_framework.cloud_event
def on_event(event):
    calls.append(event["id"])
    if event.data["message"].get("data") == "fail":
        raise ValueError("as asked")
"""
EVENT = {
    "ce-id": "1",
    "ce-specversion": "1.0",
    "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
    "ce-source": "//pubsub.googleapis.com/projects/p/topics/t",
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "main.py"
    path.write_text(SOURCE)
    return path


@pytest.fixture(scope="module")
def host(source: Path) -> Iterator[FunctionsHost]:
    with FunctionsHost(source, ["hello", "on_event", "talk"], {"WHO": "you"}) as found:
        yield found


@pytest.mark.parametrize(("path", "seen"), [("/hello", "/"), ("/hello/", "/"), ("/hello/a/b", "/a/b")])
def test_a_function_answers_below_its_name(host: FunctionsHost, path: str, seen: str) -> None:
    answer = requests.get(host.url + path, timeout=5, allow_redirects=False)

    assert (answer.status_code, answer.text) == (200, f"hello {seen} you")


@pytest.mark.parametrize("path", ["/on_event", "/on_event/"])
def test_a_cloud_event_is_taken_with_and_without_the_slash(host: FunctionsHost, path: str) -> None:
    body = {"message": {"messageId": "1"}}

    answer = requests.post(host.url + path, json=body, headers=EVENT, timeout=5, allow_redirects=False)

    assert answer.status_code == 200


def test_an_exception_in_a_function_is_a_500(host: FunctionsHost) -> None:
    body = {"message": {"messageId": "1", "data": "fail"}}

    answer = requests.post(f"{host.url}/on_event", json=body, headers=EVENT, timeout=5)

    assert answer.status_code == 500


def test_an_unknown_function_is_not_found(host: FunctionsHost) -> None:
    answer = requests.post(f"{host.url}/nothing", timeout=5)

    assert answer.status_code == 404
    assert answer.json() == {"error": "no function 'nothing'", "targets": ["hello", "on_event", "talk"]}


def test_health_names_the_functions(host: FunctionsHost) -> None:
    answer = requests.get(f"{host.url}/healthz", timeout=5)

    assert answer.json() == {"targets": ["hello", "on_event", "talk"]}


def test_a_connection_stays_open_between_requests(host: FunctionsHost) -> None:
    with requests.Session() as session:
        first = session.get(f"{host.url}/hello", timeout=5)
        second = session.get(f"{host.url}/hello", timeout=5)

    assert "close" not in (first.headers.get("connection"), second.headers.get("connection"))


def test_a_function_may_print_as_much_as_it_likes(host: FunctionsHost) -> None:
    answer = requests.get(f"{host.url}/talk", timeout=5)

    assert answer.text == "done"


def test_a_missing_function_ends_the_host(source: Path) -> None:
    with pytest.raises(RuntimeError, match="before it served"), FunctionsHost(source, ["absent"]):
        pass


def test_the_process_says_where_it_listens_and_stops_on_sigterm(source: Path) -> None:
    command = [sys.executable, "-m", "local.servers.functions", "--source", str(source), "--target", "hello"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        process.terminate()
        code = process.wait(timeout=10)

    assert ready["url"].startswith("http://127.0.0.1:")
    assert code == 0
