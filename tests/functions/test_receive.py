"""Only a fault of our own store or a lost race brings a message back."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.entries import ENTRIES, ON_MANUAL
from functions.message import Answer, Entry, receive
from retraining.errors import BadConfig, BadRecord, Conflict, Exists, Permanent, Refused, Temporary
from tests.functions.events import BrokenStore, Place, event, published

SECRET = "do-not-log-this"
ASK = {"model": "flights", "request_id": "r-1"}


def raising(error):
    def handle(world, message):
        raise error

    return Entry("on_test", handle)


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_good_message_is_written_down_and_acknowledged(capsys):
    place = Place()
    receive(event(published(ASK)), ON_MANUAL, place.world)

    [parked] = place.records("inbox/")
    assert parked["trigger"]["key"] == "manual|r-1"
    assert [line["message"] for line in lines(capsys)] == ["trigger accepted"]


def test_the_same_fact_again_changes_nothing(capsys):
    place = Place()
    for message_id in ("m-1", "m-2"):
        receive(event(published(ASK, messageId=message_id)), ON_MANUAL, place.world)

    assert len(place.records("inbox/")) == 1
    assert len(place.records("events/")) == 1
    assert [line["message"] for line in lines(capsys)] == ["trigger accepted", "nothing new"]


def test_a_bad_message_is_put_aside_with_all_that_explains_it():
    place = Place()
    receive(event(published({"model": "flights", "image": SECRET * 200})), ON_MANUAL, place.world)

    [record] = place.records("quarantine/")
    assert record["reason"].startswith("'image': no such field; allowed are model, action")
    assert (record["entry"], record["message_id"], record["error"]) == ("on_manual", "m-1", "BadMessage")
    assert record["at"] == "2026-01-31T03:01:00+00:00"
    assert record["body"].startswith('{"model": "flights"')
    assert len(record["body"]) == 1024


def test_a_bad_message_leaves_an_audit_entry():
    place = Place()
    receive(event(published("flights")), ON_MANUAL, place.world)

    [audit] = place.records("events/")
    assert audit["what"] == "message put aside"
    assert audit["details"]["entry"] == "on_manual"
    assert audit["details"]["path"].startswith("quarantine/")


def test_a_bad_message_that_comes_again_is_put_aside_once():
    place = Place()
    for message_id in ("m-1", "m-2"):
        receive(event(published("flights", messageId=message_id)), ON_MANUAL, place.world)

    assert len(place.records("quarantine/")) == 1


def test_different_bad_attributes_are_different_bad_messages():
    place = Place()
    for name in ("a", "b"):
        receive(event(published(attributes={"model": name})), ON_MANUAL, place.world)

    assert len(place.records("quarantine/")) == 2


@pytest.mark.parametrize("error", [Temporary("down"), Conflict("lost"), Exists("there")], ids=repr)
def test_a_fault_that_may_pass_brings_the_message_back(error, capsys):
    place = Place()
    with pytest.raises(type(error)):
        receive(event(published(ASK)), raising(error), place.world)

    assert place.records("quarantine/") == []
    assert [line["severity"] for line in lines(capsys)] == ["WARNING"]


@pytest.mark.parametrize(
    "error", [Refused("no"), BadRecord("odd"), BadConfig("wrong"), Permanent("never")], ids=repr
)
def test_a_fault_that_stays_is_told_and_acknowledged(error, capsys):
    place = Place()
    receive(event(published(ASK)), raising(error), place.world)

    assert [entry["what"] for entry in place.records("events/")] == ["message failed"]
    assert place.records("quarantine/") == []
    assert [line["severity"] for line in lines(capsys)] == ["ERROR"]


@pytest.mark.parametrize("error", [KeyError("x"), RecursionError(), ZeroDivisionError(), OSError("disk")], ids=repr)
def test_a_defect_of_ours_is_told_and_the_message_kept_for_people(error, capsys):
    place = Place()
    receive(event(published(ASK)), raising(error), place.world)

    [record] = place.records("quarantine/")
    assert record["error"] == type(error).__name__
    first, _ = lines(capsys)
    assert (first["severity"], first["message"]) == ("ERROR", f"unexpected {type(error).__name__} in on_test")
    assert "test_receive.py" in first["stack_trace"]


@pytest.mark.parametrize("error", [Temporary("down"), Refused("no right to write"), KeyError("bug")], ids=repr)
def test_a_quarantine_that_cannot_be_written_brings_the_message_back(error):
    place = Place(BrokenStore("quarantine/", error=error))

    with pytest.raises(Temporary, match=r"quarantine/.* could not be written"):
        receive(event(published("flights")), ON_MANUAL, place.world)


def test_an_inbox_that_cannot_be_written_brings_the_message_back():
    place = Place(BrokenStore("inbox/"))

    with pytest.raises(Temporary):
        receive(event(published(ASK)), ON_MANUAL, place.world)


def test_an_audit_that_cannot_be_written_loses_no_trigger():
    place = Place(BrokenStore("events/"))
    receive(event(published(ASK)), ON_MANUAL, place.world)

    assert len(place.records("inbox/")) == 1


def test_log_lines_name_the_facts_and_the_trace(capsys):
    trace = "0af7651916cd43dd8448eb211c80319c"
    parent = f"00-{trace}-b7ad6b7169203331-01"
    receive(event(published(ASK), trace=parent), ON_MANUAL, Place().world)

    [line] = lines(capsys)
    assert line == {
        "severity": "INFO",
        "message": "trigger accepted",
        "model": "flights",
        "trigger": "manual|r-1",
        "entry": "on_manual",
        "message_id": "m-1",
        "logging.googleapis.com/trace": f"projects/shop-prod/traces/{trace}",
    }


@pytest.mark.parametrize(
    "body",
    [{"model": "flights", "reason": SECRET}, {"model": "flights", "table": SECRET}, f'{{"model": "{SECRET}'],
    ids=["accepted", "refused", "unreadable"],
)
def test_log_lines_never_hold_the_body(body, capsys):
    receive(event(published(body)), ON_MANUAL, Place().world)

    assert SECRET not in capsys.readouterr().out


def test_a_defects_text_is_not_logged_because_it_may_hold_the_body(capsys):
    receive(event(published(ASK)), raising(KeyError(SECRET)), Place().world)

    assert SECRET not in capsys.readouterr().out


def test_an_answer_is_one_log_line(capsys):
    entry = Entry("on_test", lambda world, message: Answer("done\nand dusted"))
    receive(event(published(ASK)), entry, Place().world)

    assert len(capsys.readouterr().out.splitlines()) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
MESSAGES = st.fixed_dictionaries(
    {}, optional={"data": st.text() | st.binary().map(lambda b: published(b)["message"]["data"]) | JSON,
                  "attributes": JSON | st.dictionaries(st.text(), st.text(), max_size=3),
                  "messageId": JSON, "publishTime": JSON}
)  # fmt: skip


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
@given(data=MESSAGES.map(lambda message: {"message": message}) | JSON)
@settings(max_examples=120, deadline=None)
def test_no_event_of_any_shape_raises(entry, data):
    place = Place()
    receive(event(data), entry, place.world)

    assert all(record["error"] == "BadMessage" for record in place.records("quarantine/"))
