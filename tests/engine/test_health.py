"""What is told about open work, over the engines' own runs."""

from datetime import timedelta

import pytest

from local.stack.resources import load_resources
from retraining import names
from retraining.health import SLACK, is_overdue, rollouts_health, run_limit, runs_health
from retraining.records import ModelState, Money, RunState
from retraining.run_machine import RunView, next_step
from retraining.state import read_run
from retraining.triggers import Kind
from retraining.views import DeployPlan
from tests.engine.cloud import Cloud
from tests.unit.build import DAY, NOW, SPECS

SPEC = SPECS["flights"]
WAITS = (RunState.WAITING, RunState.VALIDATING, RunState.LAUNCHING, RunState.AWAITING_APPROVAL, RunState.ELIGIBLE)


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


def test_nothing_open_is_told_as_zeros(cloud: Cloud) -> None:
    runs, rollouts = runs_health(cloud.runs), rollouts_health(cloud.rollouts)

    assert (runs.open, runs.overdue, runs.oldest, runs.money) == (0, (), timedelta(), 0)
    assert (rollouts.open, rollouts.overdue, rollouts.orphans) == (0, (), 0)


def test_an_ordinary_life_is_never_overdue(cloud: Cloud) -> None:
    """From the trigger to the promotion, at every tick."""
    cloud.trigger(kind=Kind.MANUAL)
    seen = []
    for _ in range(100):
        cloud.tick()
        runs, rollouts = runs_health(cloud.runs), rollouts_health(cloud.rollouts)
        seen.append((runs.overdue, rollouts.overdue, rollouts.orphans))

    assert set(seen) == {((), (), 0)}


def test_an_open_run_has_an_age_and_money(cloud: Cloud) -> None:
    cloud.trigger(kind=Kind.MANUAL)
    cloud.tick()
    cloud.tick()
    cloud.tick()

    seen = runs_health(cloud.runs)

    assert seen.open == 1
    assert seen.oldest > timedelta()
    assert seen.money > 0


def test_a_run_whose_engine_stands_still_becomes_overdue(cloud: Cloud) -> None:
    """Nobody ticks for a month: the watcher says so without the engine's help."""
    cloud.trigger(kind=Kind.MANUAL)
    cloud.tick()
    cloud.tick()
    cloud.now += 45 * DAY

    assert len(runs_health(cloud.runs).overdue) == 1


def test_a_record_that_cannot_be_read_counts_as_overdue(cloud: Cloud) -> None:
    cloud.store.create(names.active_path("flights-broken"), "{}")
    cloud.store.create(names.run_path("flights-broken"), "not a record")

    assert runs_health(cloud.runs).overdue == ("flights-broken",)


def test_a_rollout_whose_engine_stands_still_becomes_overdue(cloud: Cloud) -> None:
    cloud.trigger(kind=Kind.MANUAL)
    while not cloud.store.list("rolling/"):
        cloud.tick()
    cloud.now += 60 * DAY

    assert rollouts_health(cloud.rollouts).overdue == ("flights",)


def test_a_second_model_on_an_idle_endpoint_is_an_orphan(cloud: Cloud) -> None:
    """Somebody deployed it by hand, or a rollout left it behind."""
    cloud.trigger(kind=Kind.MANUAL)
    cloud.settle()
    before = rollouts_health(cloud.rollouts).orphans
    serving = cloud.endpoints.view("flights")
    assert serving is not None
    version, machine = next(iter(serving.deployed.values())), SPEC.machines.serving
    cloud.operations.end(
        cloud.endpoints.deploy(DeployPlan("flights", "2000000002", version, "by hand", machine, ""))
    )

    assert (before, rollouts_health(cloud.rollouts).orphans) == (0, 1)


@pytest.mark.parametrize("state", WAITS)
def test_a_state_that_waits_ends_before_it_counts_as_overdue(cloud: Cloud, state: RunState) -> None:
    """The watcher's limit is the machine's own: past it, the machine moves on if it is asked at all."""
    cloud.trigger(kind=Kind.MANUAL)
    cloud.tick()
    (path,) = cloud.store.list("active/")
    found = read_run(cloud.store, path.removeprefix("active/").removesuffix(".json"))
    assert found is not None
    late = NOW + run_limit(state, SPEC) + SLACK + timedelta(seconds=1)
    run = found[0].but(state=state, entered=NOW, opened=NOW)
    view = RunView(
        now=late, state=ModelState(model="flights"), money=Money(model="flights", month="202605"), published=True
    )

    step = next_step(run, SPEC, view)

    assert is_overdue(run, SPEC, late)
    assert getattr(step, "state", state) is not state


def test_every_metric_of_open_work_is_told(cloud: Cloud) -> None:
    """What Terraform makes a metric of is a field of the line, and a number."""
    lines = {
        "^runs$": runs_health(cloud.runs).fields(),
        "^rollouts$": rollouts_health(cloud.rollouts).fields(),
    }
    wanted = [(one.message, one.value) for one in load_resources().metrics.values() if one.value]

    assert len(wanted) == 7
    assert all(float(lines[message][str(value)]) == 0 for message, value in wanted)
