"""retrain quarantine: what people see of messages that could not be read, and how one is tried again."""

import base64
import json
from typing import Any

import pytest

from functions.entries import ENTRIES
from functions.message import receive
from functions.world import World
from retraining.intake import Intake
from retraining.settings import Settings
from tests.console.conftest import Desk
from tests.functions.events import NOW, event, published
from tests.messages.samples import MODELS

ON = {entry.name: entry for entry in ENTRIES}


def nothing(*_: object) -> Any:
    raise AssertionError("nobody asked for this")


def arrive(desk: Desk, entry: str, data: object) -> str:
    """A message comes to the real entry point; the id of the record in which it was put aside."""
    settings = Settings("test-project", "us-central1", "state", "artifacts", "retraining")
    world = World(settings, Intake(MODELS, desk.store, lambda: NOW), nothing, nothing, nothing, nothing)
    before = set(desk.store.list("quarantine/"))
    receive(event(data), ON[entry], world)
    [path] = set(desk.store.list("quarantine/")) - before
    return path.removeprefix("quarantine/").removesuffix(".json")


def test_an_empty_quarantine_is_no_error(desk: Desk) -> None:
    result = desk.type("quarantine")

    assert (result.exit_code, result.output.strip()) == (0, "no messages are put aside")


def test_the_list_says_when_where_and_why(desk: Desk) -> None:
    found = arrive(desk, "on_manual", published({"model": "trains"}))
    result = desk.type("quarantine")

    assert result.exit_code == 0
    assert found[:12] in result.output
    assert "on_manual" in result.output
    assert "expected one of ['bikes', 'flights'], got 'trains'" in result.output


def test_one_message_is_shown_with_its_body(desk: Desk) -> None:
    found = arrive(desk, "on_manual", published({"model": "trains"}, attributes={"by": "ann"}))
    result = desk.type("quarantine", found[:8])

    assert result.exit_code == 0
    assert '{"model": "trains"}' in result.output
    assert "'by': 'ann'" in result.output
    assert "possible" in result.output


def test_what_a_terminal_would_obey_is_not_printed(desk: Desk) -> None:
    """A message's sender is a stranger."""
    found = arrive(desk, "on_manual", published('{"model": "\x1b[2J\u202e"'))
    result = desk.type("quarantine", found)

    assert "\x1b" not in result.output
    assert "\u202e" not in result.output


def test_json_has_the_whole_record(desk: Desk) -> None:
    found = arrive(desk, "on_manual", published({"model": "trains"}))
    told = json.loads(desk.type("quarantine", found, "--json").stdout)

    assert told["id"] == found
    assert base64.b64decode(told["again"]["data"]) == b'{"model": "trains"}'


def test_again_publishes_the_same_body_and_attributes_where_they_came_from(desk: Desk) -> None:
    found = arrive(desk, "on_manual", published({"model": "trains"}))
    result = desk.type("quarantine", found[:10], "--again", "--by", "ann")

    assert result.exit_code == 0
    assert "published to retrain-requests" in result.output
    assert desk.messages("retrain-requests") == [{"model": "trains"}]


def test_again_is_recorded_with_who_asked(desk: Desk) -> None:
    found = arrive(desk, "on_tick", published({"kind": "tock"}))
    desk.type("quarantine", found, "--again", "--by", "ann")
    [told] = [one for one in desk.events() if one["what"] == "message published again"]

    assert told["details"] == {"path": f"quarantine/{found}.json", "actor": "ann", "topic": "ticks"}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (published({"model": "x" * 1100}), "not all of it was kept"),
        (published({"model": 1}, attributes={"by": "ann" * 500}), "not all of it was kept"),
        (published(b"\xff\xfe"), "not all of it was kept"),
        ({"message": {"data": 7}}, "not all of it was kept"),
    ],
    ids=["long body", "long attributes", "no text", "no body"],
)
def test_what_was_not_kept_whole_is_not_sent_again(desk: Desk, data: object, why: str) -> None:
    result = desk.type("quarantine", arrive(desk, "on_manual", data), "--again")

    assert result.exit_code == 1
    assert why in result.output
    assert desk.messages("retrain-requests") == []


def test_an_unknown_or_unclear_id_is_named(desk: Desk) -> None:
    result = desk.type("quarantine", "abc123")

    assert result.exit_code == 1
    assert "'abc123': expected the id of one message, got that of 0" in result.output


def test_again_without_an_id_is_refused(desk: Desk) -> None:
    result = desk.type("quarantine", "--again")

    assert result.exit_code == 2
    assert "--again: expected the id of a message" in result.output
