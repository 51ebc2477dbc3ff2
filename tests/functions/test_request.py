"""Requests of any shape through the framework's own application: the status, the silence, and what was written."""

import json

import flask
import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.entries import ENTRIES, ON_DATA, ON_MANUAL
from functions.message import Entry
from functions.request import longest, respond
from functions.world import World
from retraining.errors import BadConfig, Conflict, Temporary
from tests.functions.events import PUBLISHED, PUBSUB, BrokenStore, Place, encoded, published

TOKEN = "Bearer eyJ0b3AtdGFzdGUtc2VjcmV0"
HEADERS = {"ce-id": "e-1", "ce-source": "//s", "ce-specversion": "1.0", "ce-type": PUBSUB, "ce-time": PUBLISHED}
ASK = {"model": "flights", "request_id": "r-1"}


def client(place: Place, entry: Entry = ON_MANUAL) -> FlaskClient:
    """A client of an application with one entry point, which reads what the framework leaves unread."""
    app = flask.Flask("edge")
    app.add_url_rule(
        "/",
        view_func=lambda: respond(flask.request, entry, lambda: place.world),
        endpoint="run",
        methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        provide_automatic_options=False,
    )

    @app.after_request
    def rest(answer: flask.Response) -> flask.Response:
        flask.request.get_data()
        return answer

    return app.test_client()


def reasons(place: Place) -> list[str]:
    return [record["reason"] for record in place.records("quarantine/")]


class TestUnreadable:
    @pytest.mark.parametrize(
        ("body", "headers", "why"),
        [
            (b"", {}, "request: expected a Pub/Sub push"),
            (b"hello", {}, "request: expected a Pub/Sub push"),
            (b"\xff\xfe\x00", {}, "body: expected UTF-8 text"),
            (b"[" * 100_000, HEADERS, "body: nested too deeply"),
            (b'{"message": ' + b'{"a": ' * 150 + b"1" + b"}" * 150 + b"}", {}, "body: nested too deeply"),
            (b'{"message": {}, "message": {}}', {}, "body: field 'message' is given twice"),
            (b'{"message": {"data": NaN}}', {}, "body: expected finite numbers, got NaN"),
            (b'{"message": {"messageId": ' + b"9" * 5000 + b"}}", {}, "body: expected whole numbers"),
            (b'{"message": null}', {}, "request: expected a Pub/Sub push"),
            (b'{"message": ["a"]}', {}, "request: expected a Pub/Sub push"),
            (b'{"model": "flights"}', {}, "request: expected a Pub/Sub push"),
            (b"[]", {"content-type": "application/cloudevents+json"}, "request: expected one CloudEvent"),
            (b"[{}]", {"content-type": "application/cloudevents-batch+json"}, "request: expected one CloudEvent"),
            (b'{"specversion": "1", "data_base64": 5}', {"content-type": "application/cloudevents+json"}, "base64"),
            (b'{"specversion": "1.0", "source": 5}', {"content-type": "application/cloudevents+json"}, "source"),
        ],
        ids=[
            "empty", "text", "not text", "deep", "rather deep", "twice", "nan", "digits", "null", "array message",
            "bare", "array event", "batch", "number as base64", "number as source",
        ],
    )  # fmt: skip
    def test_is_put_aside_with_the_reason_and_acknowledged(self, body, headers, why):
        place = Place()
        answer = client(place).post("/", data=body, headers={**headers, "Authorization": TOKEN})

        assert (answer.status_code, answer.data) == (200, b"")
        assert why in reasons(place)[0]

    @pytest.mark.parametrize("entry", [ON_MANUAL, ON_DATA], ids=lambda entry: entry.name)
    def test_a_request_over_the_limit_is_not_parsed(self, entry):
        place, most = Place(), longest(entry)
        answer = client(place, entry).post("/", data=b"[" * (most + 1))

        assert answer.status_code == 200
        assert reasons(place) == [f"request: expected at most {most} bytes, got {most + 1}"]

    def test_the_longest_message_with_the_most_attributes_is_read(self):
        place = Place()
        body = b'{"model": "flights", "reason": "' + b"x" * (ON_MANUAL.max_bytes - 35) + b'"}'
        push = published(body, attributes={f"{number:0256}": "v" * 1024 for number in range(100)})
        answer = client(place).post("/", json=push)

        assert answer.status_code == 200
        assert reasons(place) == [f"reason: expected at most 500 characters, got {ON_MANUAL.max_bytes - 35}"]

    def test_of_a_request_over_the_limit_a_kilobyte_is_kept(self):
        place = Place()
        client(place).post("/", data=b"y" * 5_000_000)
        [record] = place.records("quarantine/")

        assert record["body"] == "y" * 1024

    def test_the_same_unreadable_request_again_is_put_aside_once(self):
        place = Place()
        for _ in range(2):
            client(place).post("/", data=b"nonsense")

        assert len(reasons(place)) == 1


class TestAnswers:
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
    def test_a_probe_is_answered_and_does_nothing(self, entry, method):
        place = Place()
        answer = client(place, entry).open("/", method=method, json=published(ASK))

        assert (answer.status_code, answer.data) == (200, b"")
        assert (place.store.list(""), place.ticks) == ([], [])

    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
    def test_another_method_is_not_allowed(self, method):
        place = Place()
        answer = client(place).open("/", method=method, json=published(ASK))

        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, POST")
        assert place.store.list("") == []

    @pytest.mark.parametrize("error", [Temporary("down"), Conflict("lost")], ids=repr)
    def test_what_may_pass_asks_for_another_delivery_without_a_word(self, error):
        place = Place(BrokenStore("inbox/", error=error))
        answer = client(place).post("/", json=published(ASK), headers={"Authorization": TOKEN})

        assert (answer.status_code, answer.data) == (503, b"")

    def test_an_unreadable_request_that_cannot_be_put_aside_comes_again(self):
        place = Place(BrokenStore("quarantine/"))

        assert client(place).post("/", data=b"nonsense").status_code == 503

    def test_an_installation_that_cannot_start_asks_for_another_delivery_and_tells_only_the_log(self, capsys):
        def world() -> World:
            raise BadConfig("RETRAIN_PROJECT: expected a project id")

        app = flask.Flask("edge")
        app.add_url_rule("/", view_func=lambda: respond(flask.request, ON_MANUAL, world), methods=["POST"])
        answer = app.test_client().post("/", json=published(ASK))

        assert (answer.status_code, answer.data) == (503, b"")
        line = json.loads(capsys.readouterr().out)
        assert line["message"] == "on_manual cannot work: BadConfig: RETRAIN_PROJECT: expected a project id"

    def test_subscription_and_topic_are_logged(self, capsys):
        client(Place()).post(
            "/", json=published(ASK), headers={**HEADERS, "ce-source": "//pubsub.googleapis.com/t"}
        )
        line = json.loads(capsys.readouterr().out)

        assert (line["subscription"], line["topic"]) == ("projects/shop-prod/subscriptions/s", "t")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
MESSAGE = st.fixed_dictionaries(
    {},
    optional={
        "data": st.text() | st.binary().map(encoded) | JSON.map(lambda value: encoded(json.dumps(value))) | JSON,
        "attributes": JSON | st.dictionaries(st.text(), st.text(), max_size=3),
        "messageId": JSON,
        "publishTime": JSON,
    },
)
BODY = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=100).map(lambda text: text.encode(errors="replace")),
    st.one_of(
        JSON,
        MESSAGE.map(lambda message: {"message": message, "subscription": "s"}),
        st.fixed_dictionaries({"context": JSON, "data": MESSAGE | JSON}),
        st.fixed_dictionaries({"specversion": JSON}, optional={"data": MESSAGE | JSON, "id": JSON, "source": JSON}),
    ).map(lambda value: json.dumps(value).encode()),
)
VALUE = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40)
KINDS = st.sampled_from(["application/json", "application/cloudevents+json", "text/plain", "multipart/form-data"])
HEADER = st.dictionaries(
    st.sampled_from(["ce-id", "ce-type", "ce-source", "ce-time", "ce-specversion", "traceparent", "x-other"]), VALUE
)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
@given(body=BODY, headers=HEADER, kind=KINDS | VALUE)
@settings(max_examples=150, deadline=None)
def test_no_request_of_any_shape_fails_or_learns_anything(entry, body, headers, kind):
    place = Place()
    answer = client(place, entry).post(
        "/", data=body, headers={**headers, "Authorization": TOKEN}, content_type=kind
    )

    assert (answer.status_code, answer.data) == (200, b"")
    assert TOKEN not in str(answer.headers)
    assert all(TOKEN not in str(record) for record in place.records(""))
    assert all(record["error"] == "BadMessage" for record in place.records("quarantine/"))
