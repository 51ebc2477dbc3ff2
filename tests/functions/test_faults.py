"""What goes wrong around a message: a lost race, a service that is away, a sender who hangs up."""

import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flask
import grpc
import pytest
from werkzeug.test import create_environ

from functions.entries import ON_MANUAL
from functions.request import respond
from functions.ticks import Engines
from local.memory.store import MemoryStore
from retraining import names
from retraining.errors import Conflict
from retraining.intake import Intake
from retraining.messages.hints import Hint
from retraining.records import ModelState, RunState
from retraining.settings import Settings
from tests.functions.events import Place
from tests.unit.build import NOW, SPECS, run


class Busy(MemoryStore):
    """A store in which somebody else always writes first."""

    def replace(self, path: str, body: str, version: str) -> str:
        raise Conflict(f"record {path}: expected version {version}, found another")


@pytest.fixture
def nobody() -> Iterator[str]:
    """The address of a server that can do nothing."""
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


def engines(store: MemoryStore, nobody: str, monkeypatch: pytest.MonkeyPatch) -> Engines:
    """Engines whose records lie in ``store``, and whose cloud can do nothing."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://{nobody}")
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://{nobody}")
    settings = Settings(
        "p", "r", "state", "artifacts", "retraining", vertex_api=nobody, monitoring_api=f"http://{nobody}"
    )
    return Engines(settings, Intake(SPECS, store, lambda: NOW))


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_hint_whose_run_somebody_else_moves_is_done(
    nobody: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Playing it again would only race again; the next tick looks."""
    store = Busy()
    ended = run(RunState.SKIPPED)
    store.create(names.run_path(ended.run_id), ended.to_json())
    state = ModelState(model="flights", waiting_run=ended.run_id)
    store.create(names.model_path("flights"), state.to_json())
    engines(store, nobody, monkeypatch).run_tick(Hint(run_id=ended.run_id))

    assert [line["message"] for line in lines(capsys)] == ["flights-1: somebody else is at it"]


def test_a_health_that_nobody_can_tell_does_not_fail_the_tick(
    nobody: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """There was nothing to move, and Vertex AI cannot say what is deployed."""
    engines(MemoryStore(), nobody, monkeypatch).candidate_tick(Hint())

    [line] = lines(capsys)
    assert line["message"].startswith("health of rollouts: Refused: listing endpoints was refused")


class Cut(io.RawIOBase):
    """A body of which the rest never comes."""

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        return 0


def test_a_sender_who_hangs_up_has_sent_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is put aside, and nothing is called a defect: a message cut off is sent again."""
    place, app = Place(), flask.Flask("edge")
    environ = {**create_environ("/", method="POST"), "wsgi.input": Cut(), "CONTENT_LENGTH": "100"}
    with app.request_context(environ):
        answer = respond(flask.request, ON_MANUAL, lambda: place.world)

    assert answer.status_code == 400
    assert place.records("quarantine/") == []
    assert lines(capsys) == []
