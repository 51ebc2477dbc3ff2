"""Each item of the checklist is found where it happened, and empty where it did not."""

from typing import Any

import pytest

from console.demo.checklist import checklist
from retraining.records import Decision, JobRef, Run, RunState
from retraining.rollouts import Phase, Rollout, Step
from retraining.triggers import Kind
from tests.engine.cloud import Cloud
from tests.unit.build import DAY, NOW, run, trigger


def trained(number: int, state: RunState = RunState.PROMOTED, code: str = "data", tuned: bool = False) -> Run:
    """The run of a day, with its training job."""
    kinds = ("tune", "train") if tuned else ("train",)
    at = NOW + number * DAY
    return made(
        number,
        state,
        jobs=tuple(JobRef.model_validate({"kind": kind, "attempt": 1, "intended": at}) for kind in kinds),
        decision=Decision(action="tune" if tuned else "train", code=code, text="so", at=at),
        causes=(trigger(Kind(code)),),
    )


def made(number: int, state: RunState, **changes: Any) -> Run:
    """The run of a day, which came to nothing."""
    at = NOW + number * DAY
    return run(run_id=f"run-{number}", opened=at, **changes).move(state, "because", at)


def stepping(*phases: Phase) -> Rollout:
    """An endpoint's history."""
    steps = tuple(Step(at=NOW, phase=phase, run_id="run-2", split={"1": 95, "2": 5}, reason="") for phase in phases)
    return Rollout(endpoint="flights", model="flights", history=steps)


NOTHING = Rollout(endpoint="flights", model="flights")
FIRST = trained(1)
CASES = {
    "a first training": (trained(2), "run-1"),
    "a schedule run": (trained(2, code="schedule"), "run-2"),
    "a new-data run": (trained(2, code="data"), "run-2"),
    "a drift run": (trained(2, code="drift"), "run-2"),
    "a manual tune": (trained(2, code="manual", tuned=True), "run-2"),
    "a rejected candidate": (trained(2, RunState.REJECTED, "schedule"), "run-2"),
    "a blocked broken feed": (made(2, RunState.BLOCKED_DATA), "run-2"),
    "a skipped trigger with its reason": (made(2, RunState.SKIPPED), "run-2: because"),
    "a promotion": (trained(2), "run-2"),
    "a rollback of a harmful challenger": (trained(2, RunState.ROLLED_BACK), "run-2"),
}


def test_a_run_that_was_asked_for_twice_shows_both() -> None:
    """Its decision names one of them."""
    both = trained(2, code="manual").but(causes=(trigger(Kind.DRIFT), trigger(Kind.MANUAL)))

    assert checklist([both, FIRST], NOTHING)["a drift run"] == "run-2"


@pytest.mark.parametrize("item", CASES)
def test_an_item_names_the_run_that_showed_it(item: str) -> None:
    """Whatever the order in which runs are read."""
    shown, where = CASES[item]

    assert checklist([shown, FIRST], NOTHING)[item] == where


@pytest.mark.parametrize("item", [*CASES, "canary steps read back from the endpoint"])
def test_an_item_that_nothing_showed_is_empty(item: str) -> None:
    """A year in which nothing happened."""
    assert checklist([], NOTHING)[item] == ""


@pytest.mark.parametrize("item", [item for item in CASES if item != "a first training"])
def test_the_first_training_shows_nothing_but_itself(item: str) -> None:
    """It had nobody to be compared with, and no traffic to share."""
    assert checklist([FIRST], NOTHING)[item] == ""


def test_steps_are_seen_only_where_the_endpoint_answered_a_split() -> None:
    """A rollout that was rolled back while it deployed has none."""
    item = "canary steps read back from the endpoint"

    assert checklist([FIRST], stepping(Phase.DEPLOYING, Phase.STEP))[item] == "run-2"
    assert checklist([FIRST], stepping(Phase.DEPLOYING, Phase.ROLLING_BACK))[item] == ""


def test_the_earliest_run_is_named() -> None:
    """Where several would do."""
    runs = [trained(number, RunState.REJECTED) for number in (4, 3, 2)]

    assert checklist(runs, NOTHING)["a rejected candidate"] == "run-2"


def test_the_cloud_in_memory_shows_what_it_did() -> None:
    """The list reads what the engines really write."""
    cloud = Cloud()
    cloud.promoted()
    cloud.trigger()
    cloud.settle()
    seen = checklist(cloud.all_runs, cloud.rollout)
    first, second = (run.run_id for run in cloud.all_runs)

    assert seen["a first training"] == first
    assert seen["a new-data run"] == seen["a promotion"] == second
    assert seen["canary steps read back from the endpoint"]
    assert seen["a rollback of a harmful challenger"] == ""
