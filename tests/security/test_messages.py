"""Whoever may publish can ask, and nothing else: no string of a message ends anywhere but in a record about it."""

import json
import re
from typing import Any

import pytest

from functions.entries import ENTRIES, ON_MANUAL
from functions.message import receive
from tests.functions.events import Place, event, published
from tests.functions.test_request import HEADERS, client
from tests.messages.samples import MODELS
from tests.security.samples import HOSTILE, KINDS, put, string_fields

PATHS = re.compile(
    rf"inbox/({'|'.join(MODELS)})/[a-z0-9-]+\.json"
    r"|events/\d{4}-\d\d-\d\d/\d{6}\.\d{6}-[0-9a-f]{8}\.json|quarantine/[0-9a-f]{64}\.json"
)


def strings(value: Any) -> list[str]:
    """Every text in a record, names included."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for name, item in value.items() for text in (name, *strings(item))]
    return [text for item in value for text in strings(item)] if isinstance(value, list) else []


def check(place: Place, output: str) -> None:
    """Only the folders of messages were written to, and all that people will read is one plain line each."""
    assert [path for path in place.store.list("") if not PATHS.fullmatch(path)] == []
    for prefix in ("inbox/", "events/"):
        assert [
            text for record in place.records(prefix) for text in strings(record) if not text.isprintable()
        ] == []
    lines = [json.loads(line) for line in output.splitlines()]
    assert all(line["message"] != "forged" for line in lines)
    assert all(text.isprintable() for line in lines for name, text in line.items() if name != "stack_trace")
    for record in place.records("inbox/"):
        assert record["trigger"]["model"] in MODELS
    assert all(re.fullmatch(r"[a-z][a-z0-9-]*|", hint.run_id) for _, hint in place.ticks)


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_string_in_any_field_stays_in_a_record(kind, hostile, capsys):
    entry, message = KINDS[kind]
    for path in string_fields(message):
        place = Place()
        receive(event(published(put(message, path, HOSTILE[hostile]))), entry, place.world)

        check(place, capsys.readouterr().out)


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_attribute_name_or_value_stays_in_a_record(kind, hostile, capsys):
    entry, message = KINDS[kind]
    text = HOSTILE[hostile]
    names = ("model", "kind", "ce-id", "run_id", "content-type", "eventType", "request_id", text)
    for attributes in ({name: text} for name in names):
        place = Place()
        receive(event(published(message, attributes=attributes)), entry, place.world)

        check(place, capsys.readouterr().out)


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("field", ["messageId", "publishTime", "orderingKey", "subscription"])
def test_a_hostile_envelope_stays_in_a_record(field, hostile, capsys):
    place, push = Place(), published({"model": "flights"})
    where = push if field == "subscription" else push["message"]
    where[field] = HOSTILE[hostile]
    answer = client(place).post("/", json=push)

    assert (answer.status_code, len(place.records("inbox/"))) == (200, 1)
    check(place, capsys.readouterr().out)


class TestForgedEvents:
    @pytest.mark.parametrize(
        "name", ["ce-source", "ce-type", "ce-subject", "ce-id", "ce-time", "ce-datacontenttype"]
    )
    @pytest.mark.parametrize("lie", ["//pubsub.googleapis.com/projects/other/topics/ticks", "../../x", "a b\x85c"])
    def test_headers_that_lie_change_nothing_of_what_is_done(self, name, lie, capsys):
        place = Place()
        client(place).post("/", json=published({"model": "flights"}), headers={**HEADERS, name: lie})
        honest = Place()
        client(honest).post("/", json=published({"model": "flights"}), headers=HEADERS)

        triggers = [[record["trigger"] for record in at.records("inbox/")] for at in (place, honest)]
        assert triggers[0] == triggers[1]
        check(place, capsys.readouterr().out)

    @pytest.mark.parametrize("odd", ["a\nb", "../../runs/x", "\x00", "x" * 500, {"a": 1}, [1], 7.5, True])
    def test_an_odd_id_of_an_event_becomes_a_digest(self, odd, capsys):
        place = Place()
        push = {"message": {"data": published({"model": "flights"})["message"]["data"]}}
        body = {"specversion": "1.0", "id": odd, "source": "s", "type": "t", "data": push}
        client(place).post("/", json=body, content_type="application/cloudevents+json")
        [record] = place.records("inbox/")

        assert re.fullmatch(r"odd-[0-9a-f]{16}|7\.5|True", record["trigger"]["message_id"])
        check(place, capsys.readouterr().out)


ELSEWHERE = [(kind, entry) for kind, (own, _) in KINDS.items() for entry in ENTRIES if entry is not own]


class TestTopics:
    @pytest.mark.parametrize(("kind", "entry"), ELSEWHERE, ids=lambda value: getattr(value, "name", value))
    def test_a_message_on_another_topic_has_no_effect_there(self, kind, entry):
        """A publisher of one topic cannot have the effects of another's."""
        _, message = KINDS[kind]
        place = Place()
        receive(event(published(message)), entry, place.world)
        listens = (
            {"on_tick", "on_candidate"} if "job" in kind else {entry.name} if message == {"kind": "tick"} else set()
        )

        assert place.records("inbox/") == []
        assert [name for name, hint in place.ticks if entry.name not in listens] == []

    @pytest.mark.parametrize(
        "field", ["image", "machine", "bucket", "table", "endpoint", "sql", "budget", "parameters"]
    )
    @pytest.mark.parametrize("kind", ["manual", "schedule", "watermark"])
    def test_a_message_defines_nothing(self, kind, field):
        entry, message = KINDS[kind]
        place = Place()
        receive(event(published({**message, field: "x"})), entry, place.world)

        assert (place.records("inbox/"), place.warehouses_built) == ([], 0)
        assert f"{field!r}: no such field" in place.records("quarantine/")[0]["reason"]


def test_a_person_cannot_claim_to_be_known(capsys):
    """Who asked is what Pub/Sub's audit log says; what a message says of itself is marked as claimed."""
    place = Place()
    receive(event(published({"model": "flights", "actor": "root"})), ON_MANUAL, place.world)
    [record] = place.records("inbox/")

    assert record["trigger"]["details"]["actor_is"] == "claimed by the message"
