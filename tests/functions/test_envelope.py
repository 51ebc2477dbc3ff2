"""Every shape in which a message reaches a function becomes the same message."""

import base64
import json
from datetime import UTC, datetime

import pytest

from functions.envelope import Message, read, unwrap
from retraining.errors import BadMessage
from tests.functions.events import NOW, encoded, event, published
from tests.messages.samples import sample

TIME = datetime(2026, 1, 31, 3, 0, 42, 109000, tzinfo=UTC)
BODY = {"model": "flights"}


def message(data: object, **more: str) -> Message:
    return read(unwrap(event(data, **more), lambda: NOW), 64 * 1024)


def test_a_message_of_pubsub():
    found = message(published(BODY, attributes={"a": "b"}))

    assert found == Message("m-1", TIME, BODY, {"a": "b"})


@pytest.mark.parametrize(
    ("more", "payload", "attributes"),
    [
        ({"attributes": {"kind": "tick"}}, {}, {"kind": "tick"}),
        ({"data": "", "attributes": {"kind": "tick"}}, {}, {"kind": "tick"}),
        ({"data": encoded(BODY), "attributes": ...}, BODY, {}),
        ({"data": encoded(BODY), "attributes": None}, BODY, {}),
        ({"data": encoded(json.dumps(json.dumps(BODY)))}, BODY, {}),
        ({"data": encoded("project.dataset.table")}, "project.dataset.table", {}),
        ({"data": encoded([1])}, [1], {}),
        ({"data": encoded("3")}, 3, {}),
        ({"data": encoded(BODY).rstrip("=")}, BODY, {}),
        ({"data": base64.urlsafe_b64encode(b'{"a": "\xc3\xbf\xc3\xbe?>"}').decode()}, {"a": "\xff\xfe?>"}, {}),
        ({"@type": "type.googleapis.com/google.pubsub.v1.PubsubMessage", "data": encoded(BODY)}, BODY, {}),
    ],
    ids=[
        "no data", "empty data", "no attributes", "null attributes", "encoded twice", "plain text", "array",
        "number",
        "no padding", "url-safe", "with @type",
    ],
)  # fmt: skip
def test_what_may_be_absent_or_differ(more, payload, attributes):
    found = message(published(**more))

    assert (found.payload, found.attributes) == (payload, attributes)


def test_an_event_without_any_data_is_an_empty_message():
    assert message(None) == Message("e-1", datetime(2026, 1, 31, 3, 0, 43, tzinfo=UTC), {}, {})


@pytest.mark.parametrize(
    "more",
    [
        {"messageId": "m-7", "message_id": "m-7", "publishTime": ..., "publish_time": "2026-01-31T03:00:42.109Z"},
        {"messageId": ..., "message_id": "m-7"},
    ],
    ids=["both", "snake case"],
)
def test_both_spellings_of_id_and_time_are_read(more):
    found = message(published(BODY, **more))

    assert (found.id, found.published) == ("m-7", TIME)


def test_the_captured_push_with_both_spellings_is_read():
    push = sample("push_both_spellings")
    push["message"]["data"] = encoded(sample("transfer_script"))
    found = message(push)

    assert found.id == "14775877918276049"
    assert found.payload == sample("transfer_script")
    assert found.published == datetime(2025, 5, 2, 3, 41, 51, 345000, tzinfo=UTC)


def test_googles_own_example_is_plain_text():
    assert message(sample("event_structured")["data"]).payload == "test message 3"


def test_bytes_that_happen_to_be_text_are_text_and_no_parser_takes_them():
    assert message(sample("push_binary")).payload == "\x01\x02\x03\x04"


def test_without_ids_and_times_the_events_own_are_used():
    found = message(published(BODY, messageId=..., publishTime="once"))

    assert (found.id, found.published) == ("e-1", datetime(2026, 1, 31, 3, 0, 43, tzinfo=UTC))


def test_without_any_time_it_is_now():
    found = message(published(BODY, publishTime=...), time="once")

    assert found.published == NOW


def test_the_older_background_shape_is_read():
    found = message({"data": encoded(BODY), "attributes": {"a": "b"}})

    assert (found.id, found.payload, found.attributes) == ("e-1", BODY, {"a": "b"})


def test_an_audit_entry_without_pubsub_is_its_own_payload():
    found = read(unwrap(event(sample("audit_table_change")), lambda: NOW), 64 * 1024)

    assert (found.id, found.payload) == ("e-1", sample("audit_table_change"))


def test_a_cloud_event_in_attributes_gives_its_own_id_and_time():
    attributes = {"ce-id": "c-1", "ce-type": "t", "ce-source": "s", "ce-specversion": "1.0", "kind": "x"}
    found = message(published(BODY, attributes={**attributes, "ce-time": "2026-01-31T02:00:00Z"}))

    assert found == Message("c-1", datetime(2026, 1, 31, 2, 0, tzinfo=UTC), BODY, {"kind": "x"})


@pytest.mark.parametrize(
    "inside",
    [{"data": BODY}, {"data_base64": encoded(BODY)}],
    ids=["data", "data_base64"],
)
def test_a_cloud_event_as_body_is_opened(inside):
    body = {"specversion": "1.0", "id": "c-1", "type": "t", "source": "s", "time": "2026-01-31T02:00:00Z", **inside}
    attributes = {"content-type": "application/cloudevents+json; charset=utf-8"}
    found = message(published(body, attributes=attributes))

    assert found == Message("c-1", datetime(2026, 1, 31, 2, 0, tzinfo=UTC), BODY, {})


def test_a_cloud_event_as_body_may_have_no_data():
    attributes = {"content-type": "application/cloudevents+json"}

    assert message(published({"specversion": "1.0"}, attributes=attributes)).payload == {}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (published(b"\x01\x02\xff\x04"), "body: expected UTF-8 text"),
        (published(data="%%%"), "message.data: expected base64 text"),
        (published(data=7), "message.data: expected base64 text, got a number 7"),
        (published(data={"model": "flights"}), "message.data: expected base64 text, got an object"),
        (published(BODY, attributes=[]), "attributes: expected an object, got an array"),
        (published(BODY, attributes={"a": 1}), "attributes.a: expected text, got a number 1"),
        (published('{"a": 1, "a": 2}'), "given twice"),
        (published('{"a": NaN}'), "finite"),
        (published("[" * 60_000), "nested too deeply"),
        (published("x" * (64 * 1024 + 1)), "body: expected at most 65536 bytes"),
        (published("x" * 10_000_000), "body: expected at most 65536 bytes, got about"),
        (["message"], "event data: expected an object such as"),
        ("text", "event data: expected an object such as"),
        (5, "event data: expected an object such as"),
        ({"a": float("nan")}, "finite"),
        ({"a": "\ud800"}, "half a character"),
        (published([1], attributes={"content-type": "application/cloudevents+json"}), "expected a JSON object"),
    ],
    ids=[
        "not text", "not base64", "number", "object", "attributes array", "attribute number", "twice", "nan",
        "deep", "too long", "ten megabytes", "array", "text", "direct number", "direct nan", "direct surrogate",
        "structured array",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_the_reason(data, why):
    with pytest.raises(BadMessage, match=why):
        message(data)


def test_bytes_that_are_no_json_are_read_like_a_body():
    assert message(b'{"a": 1}').payload == {"a": 1}


def deep(levels: int) -> dict[str, object]:
    value: dict[str, object] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


def test_a_direct_event_that_is_too_deep_is_refused_and_can_still_be_put_aside():
    envelope = unwrap(event(deep(100_000)), lambda: NOW)

    assert b"nested too deeply" in envelope.identity()
    with pytest.raises(BadMessage, match="nested too deeply"):
        read(envelope, 10_000_000)


@pytest.mark.parametrize(
    ("data", "start"),
    [
        (published("y" * 5000), b"y" * 1024),
        (published(data="%"), b""),
        (published(data=5), b"5"),
        (published(), b""),
        ({"a": "b"}, b"{'a': 'b'}"),
    ],
    ids=["long", "not base64", "number", "nothing", "direct"],
)
def test_the_preview_is_at_most_a_kilobyte(data, start):
    assert unwrap(event(data), lambda: NOW).preview()[:1025] == start
