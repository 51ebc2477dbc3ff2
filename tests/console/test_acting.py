"""trigger, pause, resume, rollback, approve and cancel: what they write and publish, and who is recorded."""

import pytest

from retraining import names
from retraining.records import RunState
from retraining.rollouts import Phase
from tests.console import records
from tests.console.conftest import Desk
from tests.servers import free_port
from tests.unit.build import run

BY = ("--by", "ann")
WHY = ("--reason", "complaints [/x] from the desk")


def test_trigger_publishes_what_anybody_may_publish(desk: Desk) -> None:
    """And asks for a tick, so that nobody waits for the next regular one."""
    words = ("--action", "tune", "--force", "--request-id", "r-1", *BY, *WHY)
    result = desk.type("trigger", "flights", *words)

    assert result.exit_code == 0
    assert "asked, request r-1" in result.output
    assert desk.messages("retrain-requests") == [
        {
            "model": "flights",
            "action": "tune",
            "force": True,
            "dry_run": False,
            "reason": WHY[1],
            "request_id": "r-1",
            "actor": "ann",
        }
    ]
    assert desk.messages("ticks") == [{"kind": "tick"}]


@pytest.mark.parametrize(
    ("words", "said"), [(("--request-id", "my request!"), "request_id"), (("--reason", "x" * 501), "reason")]
)
def test_what_nobody_would_accept_is_not_published(desk: Desk, words: tuple[str, str], said: str) -> None:
    """The person hears it here; behind the topic it would only be put aside."""
    result = desk.type("trigger", "flights", *words)

    assert result.exit_code == 2
    assert result.stderr.startswith(f"retrain: {said}: expected")
    assert desk.messages("retrain-requests") == []


def test_each_trigger_is_a_request_of_its_own(desk: Desk) -> None:
    """Unless an id is given."""
    desk.type("trigger", "flights")
    desk.type("trigger", "flights")
    requests = {message["request_id"] for message in desk.messages("retrain-requests")}

    assert len(requests) == 2


def test_trigger_says_which_topic_is_missing(desk: Desk) -> None:
    """Asking again would not help."""
    result = desk.type("trigger", "flights", RETRAIN_MANUAL_TOPIC="nowhere")

    assert result.exit_code == 1
    assert "topics/nowhere" in result.stderr


def test_an_action_that_does_not_exist_is_refused(desk: Desk) -> None:
    """Nothing is published."""
    result = desk.type("trigger", "flights", "--action", "retrain")

    assert result.exit_code == 2
    assert desk.messages("retrain-requests") == []


def test_pause_and_resume_are_records_with_who_and_why(desk: Desk) -> None:
    """Both are in the audit."""
    desk.type("pause", "flights", *BY, *WHY)
    paused = desk.body(names.model_path("flights"))["paused"]
    result = desk.type("resume", "flights", *BY)
    events = [(event["what"], event["details"]["by"]) for event in desk.events()]

    assert (paused["by"], paused["reason"]) == ("ann", WHY[1])
    assert result.output == "flights: the pause is over\n"
    assert desk.body(names.model_path("flights"))["paused"] is None
    assert events == [("paused", "ann"), ("resumed", "ann")]


def test_resume_without_a_pause_is_refused(desk: Desk) -> None:
    """With what was expected."""
    result = desk.type("resume", "flights")

    assert result.exit_code == 1
    assert "expected a pause or a held rollout, found neither" in result.stderr


def test_rollback_writes_the_wish_and_asks_for_a_tick(desk: Desk) -> None:
    """After a promotion it names the run that comes back."""
    desk.put(names.rollout_path("flights"), records.serving())
    result = desk.type("rollback", "flights", *BY, *WHY)
    wish = desk.body(names.rollout_path("flights"))["ask"]

    assert result.exit_code == 0
    assert "flights-20260301-120000-0000 is deployed again" in result.output
    assert (wish["action"], wish["by"], wish["reason"]) == ("roll_back", "ann", WHY[1])
    assert desk.store.read(names.rolling_path("flights", 3)) is not None
    assert desk.messages("ticks") == [{"kind": "tick"}]


def test_a_rollback_stands_without_a_tick_of_its_own(desk: Desk) -> None:
    """The wish is recorded: the next regular tick does it, and a second wish might go back twice."""
    desk.put(names.rollout_path("flights"), records.serving())
    result = desk.type("rollback", "flights", RETRAIN_TICKS_TOPIC="nowhere")

    assert result.exit_code == 0
    assert "waits for the next regular tick" in result.stderr
    assert desk.body(names.rollout_path("flights"))["ask"] is not None


def test_rollback_without_an_earlier_version_is_refused(desk: Desk) -> None:
    """Nothing is written."""
    desk.put(names.rollout_path("flights"), records.serving().but(previous=None, phase=Phase.IDLE))
    result = desk.type("rollback", "flights")

    assert result.exit_code == 1
    assert "expected a previous version to return to, found none" in result.stderr
    assert desk.body(names.rollout_path("flights"))["ask"] is None


def test_approve_records_who_said_yes(desk: Desk) -> None:
    """In the run itself."""
    desk.put_run(run(RunState.AWAITING_APPROVAL))
    result = desk.type("approve", "flights-1", *BY)

    assert result.output == "flights-1 is approved\n"
    assert desk.body("runs/flights-1.json")["approved_by"] == "ann"


def test_approve_of_a_run_that_does_not_wait_is_refused(desk: Desk) -> None:
    """With the state it is in."""
    desk.put_run(run(RunState.TRAINING))
    result = desk.type("approve", "flights-1")

    assert (result.exit_code, "it is training" in result.stderr) == (1, True)


def test_cancel_records_who_stopped_the_run(desk: Desk) -> None:
    """The next tick cancels its jobs."""
    desk.put_run(run(RunState.TRAINING))
    result = desk.type("cancel", "flights-1", *BY)

    assert result.output == "flights-1 is being cancelled\n"
    assert desk.body("runs/flights-1.json")["cancelled_by"] == "ann"


@pytest.mark.parametrize("command", ["approve", "cancel"])
def test_a_run_that_does_not_exist_is_named(desk: Desk, command: str) -> None:
    """Exit code 1, one line."""
    result = desk.type(command, "flights-9")

    assert (result.exit_code, result.stderr) == (1, "retrain: run flights-9: there is none of this name\n")


@pytest.mark.parametrize("command", ["trigger", "pause", "resume", "rollback"])
def test_a_command_that_changes_an_unknown_model_ends_with_1(desk: Desk, command: str) -> None:
    """Nothing is written, nothing is published."""
    result = desk.type(command, "flihgts")

    assert result.exit_code == 1
    assert result.stderr == "retrain: model 'flihgts': expected one of bikes, flights\n"
    assert desk.store.list("") == []
    assert desk.messages("retrain-requests") == []


def test_without_a_name_the_user_is_recorded(desk: Desk) -> None:
    """As the machine knows them."""
    desk.type("pause", "flights", LOGNAME="berta")

    assert desk.body(names.model_path("flights"))["paused"]["by"] == "berta"


def test_an_unreachable_pubsub_ends_a_trigger_with_3(desk: Desk) -> None:
    """Not one command waits for ever."""
    result = desk.type("trigger", "flights", PUBSUB_EMULATOR_HOST=f"127.0.0.1:{free_port()}")

    assert result.exit_code == 3
    assert result.stderr.startswith("retrain: try again: publishing to ")
