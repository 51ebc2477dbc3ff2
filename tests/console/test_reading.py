"""status, runs, explain and events: what people and programs are told."""

import json
from datetime import UTC, datetime

import pytest

from retraining import names
from retraining.audit import record_event
from retraining.records import ModelState, Pause
from tests.console import records
from tests.console.conftest import Desk
from tests.unit.build import HOUR, NOW


@pytest.fixture
def busy(desk: Desk) -> Desk:
    """An installation with a champion, a run in training, a skipped one, a pause and an incident."""
    for run in (records.promoted(), records.training(), records.skipped()):
        desk.put_run(run)
    desk.put(names.rollout_path("flights"), records.serving())
    pause = Pause(by="ann", reason="audit [/until] Friday", at=NOW)
    desk.put(names.model_path("flights"), ModelState(model="flights", active_run=records.NEW, paused=pause))
    desk.put(names.incident_path("flights"), records.incident())
    now = datetime.now(UTC)
    desk.put(names.budget_path("flights", now), records.money(f"{now:%Y%m}"))
    return desk


def test_status_of_an_empty_installation_names_every_model(desk: Desk) -> None:
    """Nothing serves, and that is no error."""
    result = desk.type("status")

    assert result.exit_code == 0
    assert "flights" in result.output
    assert "bikes" in result.output
    assert "nothing yet" in result.output


def test_status_says_who_serves_what_runs_and_why_nothing_starts(busy: Desk) -> None:
    """Brackets in what people wrote are printed as they are."""
    result = busy.type("status", "flights")

    assert result.exit_code == 0
    assert records.OLD in result.output
    assert f"{records.NEW} training since" in result.output
    assert "by ann since 2026-05-04T12:00:00+00:00: audit [/until] Friday" in result.output
    assert "cooldown: [/x] 3 h are [bold]left" in result.output
    assert "drift since" in result.output
    assert "bikes" not in result.output


def test_status_as_json_has_the_same_facts(busy: Desk) -> None:
    """A program reads money as numbers."""
    (told,) = json.loads(busy.type("status", "flights", "--json").stdout)

    assert told["champion"] == records.OLD
    assert told["rollout"]["split"] == {"1000000001": 100}
    assert (told["budget"]["spent"], told["budget"]["committed"]) == (0.5, 2.0)


def test_runs_are_listed_newest_first(busy: Desk) -> None:
    """Each with its end and its reason."""
    result = busy.type("runs")
    places = [result.output.index(run) for run in (records.WAITS, records.NEW, records.OLD)]

    assert places == sorted(places)
    assert "[/x] 3 h are [bold]left" in result.output
    assert "data+drift" in result.output


def test_run_ids_are_whole_on_a_narrow_terminal(busy: Desk) -> None:
    """So that they can be copied into the next command."""
    result = busy.type("runs", COLUMNS="70")

    assert records.NEW in result.output


def test_runs_can_be_picked_by_state_and_number(busy: Desk) -> None:
    """As JSON, oldest facts last."""
    newest = json.loads(busy.type("runs", "flights", "--last", "2", "--json").stdout)
    ended = json.loads(busy.type("runs", "--state", "promoted", "--json").stdout)

    assert [line["run"] for line in newest] == [records.WAITS, records.NEW]
    assert [line["run"] for line in ended] == [records.OLD]


def test_a_state_that_does_not_exist_is_refused(desk: Desk) -> None:
    """An empty list would look like an answer."""
    result = desk.type("runs", "--state", "finished")

    assert result.exit_code == 2
    assert "promoted" in result.output


def test_no_runs_is_said_in_words(desk: Desk) -> None:
    """An empty table would look like a fault."""
    assert desk.type("runs", "flights").output == "no runs\n"


def test_explain_of_a_model_is_the_story_of_its_champion(busy: Desk) -> None:
    """From trigger to traffic, and what a rollback would bring back."""
    result = busy.type("explain", "flights")

    assert result.exit_code == 0
    for fact in (
        f"{records.OLD}  flights",
        "serves now",
        "schedule: it is Monday",
        "train (schedule): it was time",
        "units = 64",
        "there is no champion",
        "0.5000 spent of 2.00 reserved",
        "a rollback would bring back flights-20260301-120000-0000",
    ):
        assert fact in result.output


def test_explain_as_json_is_the_whole_story(busy: Desk) -> None:
    """A run by its id."""
    told = json.loads(busy.type("explain", records.OLD, "--json").stdout)

    assert told["state"] == "promoted"
    assert told["serves_now"] is True
    assert told["candidate"]["log_loss"] == pytest.approx(0.159)


def test_explain_of_something_unknown_names_the_models(desk: Desk) -> None:
    """On the error output, with exit code 1."""
    result = desk.type("explain", "flihgts")

    assert result.exit_code == 1
    assert "expected a run, or one of the models bikes, flights" in result.stderr


def test_explain_before_the_first_promotion_says_so(desk: Desk) -> None:
    """There is no story to tell."""
    result = desk.type("explain", "flights")

    assert (result.exit_code, result.stderr) == (1, "retrain: flights: no model serves yet\n")


def test_events_are_the_end_of_the_audit_oldest_first(desk: Desk) -> None:
    """The last two of three, of one model."""
    for number, model in enumerate(("flights", "bikes", "flights", "flights")):
        record_event(desk.store, NOW + number * HOUR, f"step {number}", model, by="ann", empty="")

    told = json.loads(desk.type("events", "flights", "--last", "2", "--json").stdout)
    lines = desk.type("events", "flights", "--last", "1").output

    assert [event["what"] for event in told] == ["step 2", "step 3"]
    assert lines == "2026-05-04 15:00 flights - step 3 by=ann\n"


@pytest.mark.parametrize("command", ["status", "runs", "events"])
def test_a_command_that_asks_about_an_unknown_model_ends_with_1(desk: Desk, command: str) -> None:
    """And names the models there are."""
    result = desk.type(command, "flihgts")

    assert result.exit_code == 1
    assert result.stderr == "retrain: model 'flihgts': expected one of bikes, flights\n"


def test_a_record_of_another_version_is_named(desk: Desk) -> None:
    """No traceback."""
    desk.store.create(names.run_path("flights-x"), '{"run_id": 7}')
    result = desk.type("explain", "flights-x")

    assert result.exit_code == 1
    assert result.stderr.startswith("retrain: ")
    assert "Traceback" not in result.output
