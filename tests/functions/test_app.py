"""The real framework, the real wiring and a Storage server: a request in, a status and records out."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from functions_framework import create_app

from functions import wiring
from functions.entries import ENTRIES
from gcp.storage import connect
from gcp.store import GcsStore
from retraining.errors import BadConfig
from tests.functions.events import AUDIT, PUBLISHED, PUBSUB, encoded, published
from tests.messages.samples import JOB_KEY, PROJECT, sample

# The framework asks for the time in a way that Python no longer likes.
pytestmark = pytest.mark.filterwarnings(r"ignore:datetime.datetime.utcnow\(\) is deprecated:DeprecationWarning")

MAIN = Path(__file__).parents[2] / "functions" / "main.py"
SETTINGS = {
    "RETRAIN_PROJECT": PROJECT,
    "RETRAIN_REGION": "us-central1",
    "RETRAIN_STATE_BUCKET": "edge-state",
    "RETRAIN_ARTIFACT_BUCKET": "edge-artifacts",
    "RETRAIN_DATASET": "retraining",
}
HEADERS = {
    "ce-id": "e-1",
    "ce-source": "//pubsub.googleapis.com/projects/shop-prod/topics/t",
    "ce-specversion": "1.0",
    "ce-type": PUBSUB,
    "ce-time": PUBLISHED,
}


@pytest.fixture(scope="module")
def store(gcs: str) -> Iterator[GcsStore]:
    """The records of an installation whose address only the environment knows."""
    client = connect(PROJECT, gcs)
    client.create_bucket(SETTINGS["RETRAIN_STATE_BUCKET"])
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("STORAGE_EMULATOR_HOST", gcs)
        environment.setenv("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:9")  # built by a tick and asked nothing
        for name, value in {**SETTINGS, "RETRAIN_VERTEX_API": "127.0.0.1:9"}.items():
            environment.setenv(name, value)
        wiring.process_world.cache_clear()
        yield GcsStore(client, SETTINGS["RETRAIN_STATE_BUCKET"])
    wiring.process_world.cache_clear()


@pytest.fixture(scope="module")
def apps(store: GcsStore) -> dict[str, FlaskClient]:
    """A client for each entry point's own application."""
    return {entry.name: create_app(entry.name, str(MAIN)).test_client() for entry in ENTRIES}


def inbox(store: GcsStore, key: str) -> list[dict[str, object]]:
    bodies = [store.read(path) for path in store.list("inbox/")]
    found = [json.loads(stored.body)["trigger"] for stored in bodies if stored is not None]
    return [trigger for trigger in found if trigger["key"] == key]


def asked(request: str) -> dict[str, str]:
    return {"model": "flights", "request_id": request}


class TestShapes:
    def test_headers_and_body_as_eventarc_sends_them(self, apps, store):
        answer = apps["on_manual"].post("/", json=published(asked("binary")), headers=HEADERS)

        assert (answer.status_code, answer.data) == (200, b"")
        assert len(inbox(store, "manual|binary")) == 1

    def test_a_structured_event(self, apps, store):
        body = {**{name[3:]: value for name, value in HEADERS.items()}, "data": published(asked("structured"))}
        answer = apps["on_manual"].post("/", json=body, content_type="application/cloudevents+json")

        assert answer.status_code == 200
        assert len(inbox(store, "manual|structured")) == 1

    def test_a_raw_push_without_headers(self, apps, store):
        answer = apps["on_manual"].post("/", json=published(asked("raw")))

        assert answer.status_code == 200
        assert inbox(store, "manual|raw")[0]["message_id"] == "m-1"

    def test_a_raw_push_with_both_spellings(self, apps, store):
        push = published(asked("doubled"), message_id="m-1", publish_time=PUBLISHED)
        answer = apps["on_manual"].post("/projects/shop-prod/topics/t", json=push)

        assert answer.status_code == 200
        assert len(inbox(store, "manual|doubled")) == 1

    def test_the_older_background_shape(self, apps, store):
        context = {"eventId": "m-9", "timestamp": PUBLISHED, "eventType": "google.pubsub.topic.publish"}
        resource = {"service": "pubsub.googleapis.com", "name": "projects/p/topics/t", "type": "t"}
        body = {"context": {**context, "resource": resource}, "data": {"data": encoded(asked("background"))}}
        answer = apps["on_manual"].post("/", json=body)

        assert answer.status_code == 200
        assert inbox(store, "manual|background")[0]["message_id"] == "m-9"

    def test_attributes_alone_as_eventarc_sends_them(self, apps, store):
        push = published(attributes=asked("attributes"))
        answer = apps["on_manual"].post("/", json=push, headers=HEADERS)

        assert answer.status_code == 200
        assert len(inbox(store, "manual|attributes")) == 1

    @pytest.mark.parametrize("missing", ["messageId", "publishTime"])
    def test_a_raw_push_without_id_or_time(self, apps, store, missing):
        key = f"without-{missing.lower()}"
        answer = apps["on_manual"].post("/", json=published(asked(key), **{missing: ...}))

        assert answer.status_code == 200
        assert len(inbox(store, f"manual|{key}")) == 1

    def test_a_raw_push_of_attributes_alone(self, apps, store):
        answer = apps["on_manual"].post("/", json=published(attributes=asked("raw-attributes")))

        assert answer.status_code == 200
        assert len(inbox(store, "manual|raw-attributes")) == 1

    def test_a_structured_event_with_its_data_in_base64(self, apps, store):
        attributes = {name[3:]: value for name, value in HEADERS.items()}
        body = {**attributes, "data_base64": encoded(published(asked("base64")))}
        answer = apps["on_manual"].post("/", json=body, content_type="application/cloudevents+json; charset=utf-8")

        assert answer.status_code == 200
        assert len(inbox(store, "manual|base64")) == 1

    def test_an_audit_entry_without_pubsub(self, apps, store):
        headers = {**HEADERS, "ce-type": AUDIT, "ce-methodname": "google.cloud.bigquery.v2.JobService.InsertJob"}
        answer = apps["on_data"].post("/", json=sample("audit_table_change"), headers=headers)

        assert answer.status_code == 200
        assert len(inbox(store, JOB_KEY)) == 1


class TestAnswers:
    @pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
    @pytest.mark.parametrize(
        "body",
        [b"\x01\xff", b"[" * 50_000, b'{"a": 1, "a": 2}', b"[1]", b"x" * 10_000_000],
        ids=["not text", "deep", "twice", "array", "ten megabytes"],
    )
    def test_a_bad_message_is_acknowledged_and_put_aside(self, apps, store, entry, body):
        before = len(store.list("quarantine/"))
        push = {"message": {"data": base64.b64encode(body).decode(), "messageId": entry.name}}
        answer = apps[entry.name].post("/", json=push, headers=HEADERS)

        assert answer.status_code == 200
        assert len(store.list("quarantine/")) >= max(before, 1)

    @pytest.mark.parametrize(
        ("body", "headers"),
        [
            (b"no json", {}),
            (b"[" * 100_000, HEADERS),
            (b"x" * 5_000_000, HEADERS),
            (b'{"model": "flights"}', {}),
            (b"{}", {"content-type": "application/cloudevents+json"}),
        ],
        ids=["text", "deep", "long", "bare", "no event"],
    )
    def test_an_unreadable_request_is_acknowledged_and_nothing_of_it_comes_back(self, apps, store, body, headers):
        answer = apps["on_tick"].post("/", data=body, headers={**headers, "Authorization": "Bearer secret"})

        assert (answer.status_code, answer.data) == (200, b"")
        assert "secret" not in str(answer.headers)

    def test_the_record_of_a_bad_message_names_reason_and_entry_point(self, apps, store):
        seen = set(store.list("quarantine/"))
        apps["on_schedule"].post("/", json=published({"model": "flights", "sql": "x"}), headers=HEADERS)
        [path] = set(store.list("quarantine/")) - seen
        stored = store.read(path)

        assert stored is not None
        assert json.loads(stored.body)["reason"].startswith("'sql': no such field")
        assert json.loads(stored.body)["entry"] == "on_schedule"

    def test_the_same_fact_twice_is_one_trigger(self, apps, store):
        for message_id in ("m-1", "m-2"):
            push = published(asked("twice"), messageId=message_id)
            assert apps["on_manual"].post("/", json=push, headers=HEADERS).status_code == 200

        assert len(inbox(store, "manual|twice")) == 1

    def test_a_tick_without_work_is_done(self, apps, store, capsys):
        for path in store.list("inbox/"):
            store.delete(path)
        answer = apps["on_tick"].post("/", json=published({"kind": "tick"}), headers=HEADERS)

        assert answer.status_code == 200
        assert '"message": "tick done"' in capsys.readouterr().out


class TestWiring:
    def test_a_store_that_is_gone_brings_the_message_back(self, store, gcs, monkeypatch):
        monkeypatch.setenv("RETRAIN_STATE_BUCKET", "no-such-bucket")
        wiring.process_world.cache_clear()
        answer = create_app("on_manual", str(MAIN)).test_client().post("/", json=published("x"), headers=HEADERS)
        wiring.process_world.cache_clear()

        assert (answer.status_code, answer.data) == (503, b"")

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"RETRAIN_PROJECT": "NO"}, "RETRAIN_PROJECT: expected a project id"),
            ({"RETRAIN_MODELS": "nowhere"}, "RETRAIN_MODELS: expected a folder with model files, got 'nowhere'"),
            ({"RETRAIN_MODELS": "docs"}, "expected at least one model file"),
        ],
        ids=["project", "no folder", "no models"],
    )
    def test_a_wrong_setting_is_named(self, change, why, gcs, monkeypatch):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs)

        with pytest.raises(BadConfig, match=why):
            wiring.build({**SETTINGS, **change})
