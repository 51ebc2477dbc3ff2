"""The life of a run: every state, every way out of it."""

from datetime import timedelta
from typing import Any

import pytest

from retraining.job_machine import INTENT_LEASE
from retraining.records import Decision, JobRef, Run, RunState
from retraining.reports import Manifest
from retraining.rollouts import Outcome, Serving
from retraining.run_machine import Do, Move, RunView, Step, Wait, next_step
from retraining.triggers import Kind
from retraining.views import JobState, JobView, Trial, Watermark
from tests.unit.build import DAY, FLIGHTS, HOUR, NOW, counts, evaluation, money, run, snapshot, state, trigger

CHAMPION = Serving(run_id="flights-0", deployed_id="1234567890", version="v@1", digest="m0")
MANY = Watermark(newest=NOW - HOUR, new_rows=50_000)
MANIFEST = Manifest(
    run_id="flights-1",
    files={},
    digest="m1",
    spec_digest="s",
    data_digest="d1",
    code_digest="c",
    parameters={},
    versions={},
    seed=1,
)


def view(**changes: Any) -> RunView:
    """A quiet world in which many rows are new."""
    values: dict[str, Any] = {
        "now": NOW,
        "state": state(watermark=NOW - 10 * DAY),
        "money": money(),
        "champion": CHAMPION,
        "watermark": MANY,
    }
    return RunView(**(values | changes))


def brief(step: Step) -> str:
    """A step as one word for tables."""
    match step:
        case Wait():
            return "wait"
        case Move(target):
            return target.value
        case Do(what):
            return what


MINE = state(watermark=NOW - 10 * DAY, active_run="flights-1")
OTHER = state(active_run="flights-9")
TRAIN = Decision(action="train", code="data", text="new data", at=NOW)
TUNE = Decision(action="tune", code="manual", text="asked", at=NOW)
RESERVED = money(reserved={"flights-1": 1.0})


@pytest.mark.parametrize(
    ("before", "around", "after"),
    [
        pytest.param(run(opened=NOW), view(), "wait", id="triggers may still join"),
        pytest.param(
            run(opened=NOW, causes=(trigger(Kind.MANUAL),)), view(), "take_turn", id="people do not wait for others"
        ),
        pytest.param(run(), view(state=OTHER), "wait", id="another run has its turn"),
        pytest.param(run(), view(), "take_turn", id="it takes its turn first"),
        pytest.param(run(), view(state=MINE), "validating", id="then it begins"),
        pytest.param(run(), view(watermark=None), "skipped", id="nothing is new"),
        pytest.param(run(opened=NOW - 31 * DAY), view(state=OTHER), "expired", id="it never gets its turn"),
    ],
)
def test_waiting(before: Run, around: RunView, after: str) -> None:
    """A waiting run collects triggers, then asks for its turn."""
    assert brief(next_step(before, FLIGHTS, around)) == after


def validating(**changes: Any) -> Run:
    """A run that checks its rows."""
    return run(RunState.VALIDATING, decision=TRAIN, **changes)


@pytest.mark.parametrize(
    ("before", "around", "after"),
    [
        pytest.param(validating(), view(), "count_data", id="count first"),
        pytest.param(validating(data=counts()), view(), "take_snapshot", id="then freeze"),
        pytest.param(validating(data=counts(rows=0)), view(), "blocked_data", id="a broken feed never trains"),
        pytest.param(validating(data=counts(), snapshot=snapshot()), view(), "launching", id="frozen"),
        pytest.param(
            validating(data=counts(), snapshot=snapshot(rows={"train": 9, "eval": 0, "test": 1})),
            view(),
            "blocked_data",
            id="a split without rows",
        ),
        pytest.param(
            validating(data=counts(), snapshot=snapshot(last=NOW - 11 * DAY)),
            view(),
            "skipped",
            id="the window did not move",
        ),
        pytest.param(
            validating(data=counts(), snapshot=snapshot(last=NOW - 11 * DAY), causes=(trigger(Kind.MANUAL),)),
            view(),
            "launching",
            id="people may train on the same window",
        ),
        pytest.param(validating(entered=NOW - 2 * DAY), view(), "expired", id="too late"),
    ],
)
def test_validating(before: Run, around: RunView, after: str) -> None:
    """Rows are checked before they are frozen, and frozen before money is reserved."""
    assert brief(next_step(before, FLIGHTS, around)) == after


@pytest.mark.parametrize(
    ("decision", "around", "after"),
    [
        pytest.param(TRAIN, view(), "reserve", id="money first"),
        pytest.param(TRAIN, view(money=RESERVED), "training", id="then training"),
        pytest.param(TUNE, view(money=RESERVED), "tuning", id="or tuning"),
    ],
)
def test_launching(decision: Decision, around: RunView, after: str) -> None:
    """No job before its money is reserved."""
    before = run(RunState.LAUNCHING, decision=decision, snapshot=snapshot())

    assert brief(next_step(before, FLIGHTS, around)) == after


def test_training_takes_the_tuned_parameters() -> None:
    """Retrain with what the last promoted tuning found."""
    known = state(parameters={"batch_size": "2048"}, tuned_by="flights-0")
    before = run(RunState.LAUNCHING, decision=TRAIN, snapshot=snapshot())

    step = next_step(before, FLIGHTS, view(state=known, money=RESERVED))

    assert isinstance(step, Move)
    assert step.changes["parameters"] == {"batch_size": "2048"}


def ref(**changes: Any) -> JobRef:
    """The first attempt at training."""
    values: dict[str, Any] = {"kind": "train", "attempt": 1, "intended": NOW - HOUR, "name": "jobs/1"}
    return JobRef(**(values | changes))


def job(number: int = 1, job_state: JobState = JobState.RUNNING, attempt: int = 1, **changes: Any) -> JobView:
    """A job as Vertex AI shows it."""
    values: dict[str, Any] = {
        "name": f"jobs/{number}",
        "kind": "train",
        "state": job_state,
        "labels": {"attempt": str(attempt)},
        "created": NOW - HOUR,
    }
    return JobView(**(values | changes))


DONE = ref(state=JobState.SUCCEEDED, ended=NOW)
FAILED = ref(state=JobState.FAILED, ended=NOW)
SUCCEEDED = job(job_state=JobState.SUCCEEDED)
BROKEN = job(job_state=JobState.FAILED, error="exit 1")


@pytest.mark.parametrize(
    ("refs", "around", "after"),
    [
        pytest.param((), view(), "intend_job", id="intention first"),
        pytest.param((ref(name="", intended=NOW),), view(own_intent=True), "create_job", id="then create"),
        pytest.param((ref(name="", intended=NOW),), view(), "wait", id="another tick is creating it"),
        pytest.param(
            (ref(name="", intended=NOW - INTENT_LEASE),), view(), "create_job", id="that tick died before creating"
        ),
        pytest.param((ref(name=""),), view(jobs=(job(),)), "adopt_job", id="that tick died after creating"),
        pytest.param((ref(name="", intended=NOW - DAY),), view(), "failed", id="Vertex AI never accepts it"),
        pytest.param((ref(),), view(jobs=(job(),)), "wait", id="it runs"),
        pytest.param((ref(),), view(jobs=(job(), job(2))), "wait", id="of two jobs the fence decides"),
        pytest.param(
            (ref(),), view(jobs=(job(), job(2)), holder="1"), "cancel_job", id="who came second is cancelled"
        ),
        pytest.param(
            (ref(),), view(jobs=(job(), job(2)), holder="2"), "adopt_job", id="the fence says which one counts"
        ),
        pytest.param((ref(),), view(jobs=(SUCCEEDED,)), "note_job", id="its end is noted"),
        pytest.param((DONE,), view(jobs=(SUCCEEDED,), manifest=MANIFEST), "evaluating", id="trained"),
        pytest.param((DONE,), view(jobs=(SUCCEEDED,)), "wait", id="its report is on the way"),
        pytest.param(
            (ref(state=JobState.SUCCEEDED, ended=NOW - DAY),), view(jobs=(SUCCEEDED,)), "failed", id="no report"
        ),
        pytest.param((FAILED,), view(jobs=(BROKEN,)), "intend_job", id="a second attempt"),
        pytest.param(
            (FAILED.but(attempt=2),),
            view(jobs=(job(job_state=JobState.FAILED, attempt=2),)),
            "failed",
            id="no third attempt",
        ),
        pytest.param(
            (FAILED,),
            view(jobs=(job(job_state=JobState.FAILED, error="permanent: NaN loss"),)),
            "failed",
            id="a permanent error is not repeated",
        ),
        pytest.param((ref(intended=NOW - DAY),), view(jobs=(job(),)), "cancel_job", id="past its deadline"),
        pytest.param((ref(intended=NOW - DAY),), view(), "failed", id="gone"),
        pytest.param((ref(),), view(), "wait", id="not listed yet"),
        pytest.param(
            (DONE,),
            view(jobs=(SUCCEEDED,), manifest=MANIFEST.but(data_digest="other")),
            "failed",
            id="trained on other rows",
        ),
    ],
)
def test_training(refs: tuple[JobRef, ...], around: RunView, after: str) -> None:
    """One effective training, whatever crashes."""
    before = run(RunState.TRAINING, decision=TRAIN, snapshot=snapshot(), jobs=refs)

    assert brief(next_step(before, FLIGHTS, around)) == after


def tuning_view(*trials: Trial) -> RunView:
    """A finished tuning job with these trials."""
    return view(jobs=(job(job_state=JobState.SUCCEEDED, kind="tune", trials=trials),))


GOOD = Trial(id="1", state="SUCCEEDED", parameters={"batch_size": 2048.0}, metrics={"val_log_loss": 0.15})
BAD = Trial(id="2", state="INFEASIBLE", parameters={}, metrics={})


@pytest.mark.parametrize(
    ("trials", "after"),
    [pytest.param((GOOD, BAD), "training", id="one works"), pytest.param((BAD,), "failed", id="all fail")],
)
def test_tuning(trials: tuple[Trial, ...], after: str) -> None:
    """The best trial's parameters are trained in full; without one the run fails."""
    jobs = (ref(kind="tune", state=JobState.SUCCEEDED, ended=NOW),)
    before = run(RunState.TUNING, decision=TUNE, snapshot=snapshot(), jobs=jobs)

    assert brief(next_step(before, FLIGHTS, tuning_view(*trials))) == after


def test_a_model_file_that_no_longer_says_how_to_tune_ends_its_tuning() -> None:
    """Nobody could say what to look for."""
    before = run(RunState.TUNING, decision=TUNE, snapshot=snapshot())
    untuned = FLIGHTS.model_copy(update={"tuning": None})

    assert brief(next_step(before, untuned, tuning_view())) == "failed"


@pytest.mark.parametrize(
    ("difference", "approval", "after"),
    [
        pytest.param(-0.01, False, "eligible", id="better"),
        pytest.param(0.05, False, "rejected", id="worse"),
        pytest.param(-0.01, True, "awaiting_approval", id="better, but a person decides"),
    ],
)
def test_evaluating(difference: float, approval: bool, after: str) -> None:
    """The gate decides, or asks a person."""
    spec = FLIGHTS.model_copy(update={"gate": FLIGHTS.gate.model_copy(update={"approval": approval})})
    jobs = (ref(kind="evaluate", state=JobState.SUCCEEDED, ended=NOW),)
    before = run(RunState.EVALUATING, decision=TRAIN, snapshot=snapshot(), jobs=jobs)
    around = view(jobs=(job(job_state=JobState.SUCCEEDED, kind="evaluate"),), evaluation=evaluation(difference))

    assert brief(next_step(before, spec, around)) == after


PROMOTED = Outcome(run_id="flights-1", result="promoted", reason="soaked", at=NOW)
BACK = Outcome(run_id="flights-1", result="rolled_back", reason="worse", at=NOW)


@pytest.mark.parametrize(
    ("before", "around", "after"),
    [
        pytest.param(run(RunState.AWAITING_APPROVAL), view(), "wait", id="nobody said yes"),
        pytest.param(run(RunState.AWAITING_APPROVAL, approved_by="ann"), view(), "eligible", id="approved"),
        pytest.param(
            run(RunState.AWAITING_APPROVAL, entered=NOW - 8 * DAY), view(), "rejected", id="nobody said yes in time"
        ),
        pytest.param(run(RunState.ELIGIBLE), view(), "publish_candidate", id="queue it"),
        pytest.param(run(RunState.ELIGIBLE), view(published=True), "wait", id="queued"),
        pytest.param(run(RunState.ELIGIBLE), view(rolling=True), "rolling_out", id="its rollout began"),
        pytest.param(run(RunState.ELIGIBLE), view(outcome=PROMOTED), "promoted", id="over before it was seen"),
        pytest.param(run(RunState.ELIGIBLE, entered=NOW - 8 * DAY), view(), "expired", id="never began"),
        pytest.param(run(RunState.ROLLING_OUT), view(rolling=True), "wait", id="traffic moves"),
        pytest.param(run(RunState.ROLLING_OUT), view(outcome=BACK), "rolled_back", id="taken back"),
        pytest.param(
            run(RunState.ROLLING_OUT, entered=NOW - timedelta(days=400)), view(), "expired", id="lost its outcome"
        ),
        pytest.param(run(RunState.TRAINING, cancelled_by="ann"), view(), "cancelled", id="cancelled"),
        pytest.param(
            run(RunState.TRAINING, cancelled_by="ann"), view(jobs=(job(),)), "cancel_job", id="its job goes first"
        ),
        pytest.param(run(RunState.PROMOTED), view(money=RESERVED), "settle", id="money is settled"),
        pytest.param(run(RunState.PROMOTED), view(state=MINE), "release", id="the turn is given back"),
        pytest.param(run(RunState.PROMOTED), view(), "close", id="and the marker goes"),
    ],
)
def test_from_approval_to_the_end(before: Run, around: RunView, after: str) -> None:
    """What happens after the gate."""
    assert brief(next_step(before, FLIGHTS, around)) == after


@pytest.mark.parametrize("ended", [s for s in RunState if s.ended])
def test_an_end_never_changes(ended: RunState) -> None:
    """From an end only housekeeping follows, whatever the world shows."""
    around = view(state=MINE, money=RESERVED, rolling=True, outcome=PROMOTED, jobs=(job(),))

    assert isinstance(next_step(run(ended), FLIGHTS, around), Do)
