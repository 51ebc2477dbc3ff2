"""Promises that searches, simulated years or mutants found without a test of their own."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from local.memory.jobs import MemoryJobs
from local.memory.store import MemoryStore
from retraining import names, rollout_loop, run_effects, run_loop
from retraining.budget import EVALUATION_TIMEOUT
from retraining.errors import Conflict, Temporary
from retraining.intake import direct
from retraining.job_machine import Seen, job_step
from retraining.observe import observe
from retraining.operate import cancel, roll_back
from retraining.records import JobRef, ModelState, RunState
from retraining.rollouts import Phase
from retraining.state import put, read_money, read_state
from retraining.triggers import Kind
from retraining.views import EndpointView, JobState, JobView
from tests.engine.cloud import Cloud
from tests.unit.build import DAY, FLIGHTS, HOUR, NOW, run


@pytest.mark.xfail(strict=True, reason="observe judges the patience at one time and decide at a later one")
def test_rows_that_were_not_counted_are_not_few() -> None:
    """The debounce ended while a tick was reading the world, found by a simulated year: it had not counted the
    new rows, as the run seemed to have no turn yet, and then skipped the run because none were new."""
    cloud = Cloud()
    cloud.promoted()
    cloud.now += 10 * DAY
    cloud.new_rows()
    cloud.trigger(key="fact", kind=Kind.DRIFT)
    run_loop.tick(cloud.runs)
    waiting = cloud.all_runs[-1]
    over = waiting.opened + FLIGHTS.policy.debounce
    times = iter((over - timedelta(seconds=1),))  # then it is over
    run_loop.reconcile(replace(cloud.runs, now=lambda: next(times, over)), waiting.run_id)

    assert cloud.all_runs[-1].state is not RunState.SKIPPED, cloud.all_runs[-1].history[-1].reason


@pytest.mark.xfail(strict=True, reason="a job's time counts from its intention, not from its creation")
def test_a_job_that_could_be_created_late_has_its_whole_time() -> None:
    """Found by a simulated year: Vertex AI took no evaluation for some hours after the intention, less than the six
    that are allowed, and what it then took was cancelled at once."""
    ref = JobRef(kind="evaluate", attempt=1, intended=NOW - 5 * HOUR, name="jobs/1")
    job = JobView("jobs/1", "evaluate", JobState.RUNNING, {"attempt": "1"}, created=NOW)
    step = job_step("evaluate", run(RunState.EVALUATING, jobs=(ref,)), Seen(NOW, (job,)), EVALUATION_TIMEOUT)

    assert step.wait == "the evaluate job is running"


class SlowJobs(MemoryJobs):
    """Jobs that are still there for a while after they were cancelled, as Vertex AI's are."""

    cancels = 0

    def cancel(self, name: str) -> None:
        """See Jobs."""
        self.cancels += 1


@pytest.mark.xfail(strict=True, reason="a tick repeats a cancel until its steps are used up")
def test_one_tick_asks_a_job_once_to_stop() -> None:
    """And does not fill the audit while the job stops."""
    cloud = Cloud()
    cloud.jobs = jobs = SlowJobs(lambda: cloud.now)
    cloud.runs = replace(cloud.runs, jobs=jobs)
    cloud.trigger(kind=Kind.MANUAL, actor="ann")
    run_loop.tick(cloud.runs)
    cancel(cloud.store, cloud.all_runs[-1].run_id, "ann", cloud.now)
    run_loop.tick(cloud.runs)

    assert jobs.cancels == 1


class Crash(BaseException):
    """The process dies here. No handler of ours may catch it."""


class Dying:
    """Performs effects; once it is armed, the process dies before or after the n-th of them."""

    def __init__(self) -> None:
        self.left, self.mode = 0, ""

    def __call__(self, name: str, act: Callable[[], object]) -> object:
        """See Effect."""
        self.left -= 1
        if self.left != 0:
            return act()
        if self.mode == "after":
            act()
        raise Crash(name)


class Meanwhile:
    """An effect during which something else happens, once: before the effect of this name."""

    def __init__(self, name: str) -> None:
        self._name, self.act = name, None

    act: Callable[[], object] | None

    def __call__(self, name: str, act: Callable[[], object]) -> object:
        """See Effect."""
        if name == self._name and self.act is not None:
            meanwhile, self.act = self.act, None
            meanwhile()
        return act()


def until(cloud: Cloud, phase: Phase) -> None:
    """Tick until the second model's rollout has come so far."""
    for _ in range(100):
        if cloud.rollout.sequence == 2 and cloud.rollout.phase is phase:
            return
        cloud.tick()
    raise AssertionError(f"it never came to {phase.value}")


def second(cloud: Cloud, phase: Phase) -> Cloud:
    """A champion serves; the rollout of a second model has come so far."""
    cloud.promoted()
    cloud.trigger(key="second")
    until(cloud, phase)
    return cloud


def advance_to(cloud: Cloud, phase: Phase) -> None:
    """One step after the other, until the record is in this phase."""
    for _ in range(20):
        if cloud.rollout.phase is phase:
            return
        rollout_loop.advance(cloud.rollouts, FLIGHTS)
    raise AssertionError(f"it never came to {phase.value}")


def end_operations(cloud: Cloud) -> None:
    """All that is being deployed is there now."""
    for operation in cloud.operations.running():
        cloud.operations.end(operation)


def test_traffic_that_moved_under_a_tick_is_not_overwritten() -> None:
    """A person was faster, between the look at the endpoint and the request."""
    meanwhile = Meanwhile("set traffic")
    cloud = second(Cloud(effect=meanwhile), Phase.DEPLOYING)
    end_operations(cloud)
    advance_to(cloud, Phase.STEP)
    record = cloud.rollout
    assert record.champion is not None
    assert record.challenger is not None
    by_hand = {record.champion.deployed_id: 60, record.challenger.deployed_id: 40}

    def person() -> None:
        view = cloud.endpoints.view("flights")
        assert view is not None
        cloud.endpoints.set_traffic("flights", by_hand, view.etag)

    meanwhile.act = person
    with pytest.raises(Conflict):
        rollout_loop.reconcile(cloud.rollouts, FLIGHTS)

    assert cloud.split == by_hand


class Beside:
    """Endpoints beside whose next look something else happens."""

    def __init__(self, endpoints: Any, act: Callable[[], object]) -> None:
        self._endpoints, self._act = endpoints, act

    def view(self, endpoint: str) -> EndpointView | None:
        """See Endpoints."""
        seen: EndpointView | None = self._endpoints.view(endpoint)
        self._act()
        return seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._endpoints, name)


def test_a_record_that_moved_while_the_endpoint_was_read_moves_nothing() -> None:
    """Somebody asked for a rollback in between: the challenger gets no traffic any more."""
    cloud = second(Cloud(), Phase.DEPLOYING)
    end_operations(cloud)
    advance_to(cloud, Phase.STEP)
    assert rollout_loop.advance(cloud.rollouts, FLIGHTS)  # the split is intended; the next step sets it
    before = cloud.split
    asked = Beside(cloud.endpoints, lambda: roll_back(cloud.store, FLIGHTS, "ann", "no", cloud.now))
    with pytest.raises(Conflict):
        rollout_loop.advance(replace(cloud.rollouts, endpoints=asked), FLIGHTS)

    assert cloud.split == before


def test_an_endpoint_seen_before_its_record_moves_nothing() -> None:
    """The tick saw the endpoint as it was before the challenger came. Meanwhile it came, took traffic, and is
    being taken back: what was seen says that nothing is left to do."""
    cloud = second(Cloud(), Phase.DEPLOYING)
    left = []

    def others() -> None:
        end_operations(cloud)
        advance_to(cloud, Phase.STEP)
        for _ in range(2):
            rollout_loop.advance(cloud.rollouts, FLIGHTS)
        roll_back(cloud.store, FLIGHTS, "ann", "no", cloud.now)
        advance_to(cloud, Phase.ROLLING_BACK)
        left.append(cloud.rollout)

    late = replace(cloud.rollouts, endpoints=Beside(cloud.endpoints, others))
    with pytest.raises(Conflict):
        rollout_loop.advance(late, FLIGHTS)

    assert [cloud.rollout] == left


def test_a_split_whose_request_was_lost_is_set_again() -> None:
    """What was asked for is not what is: the endpoint is read back."""
    meanwhile = Meanwhile("set traffic")
    cloud = second(Cloud(effect=meanwhile), Phase.DEPLOYING)
    end_operations(cloud)

    def lost() -> None:
        raise Temporary("no answer")

    meanwhile.act = lost
    with pytest.raises(Temporary):
        rollout_loop.reconcile(cloud.rollouts, FLIGHTS)
    rollout_loop.reconcile(cloud.rollouts, FLIGHTS)
    challenger = cloud.rollout.challenger
    assert challenger is not None

    assert cloud.split[challenger.deployed_id] == FLIGHTS.rollout.steps[0]


@pytest.mark.parametrize("mode", ["before", "after"])
@pytest.mark.parametrize("at", range(1, 9))
def test_a_fact_told_once_is_answered_wherever_the_tick_dies(at: int, mode: str) -> None:
    """It was acknowledged, so nobody tells it again."""
    dying = Dying()
    cloud = Cloud(effect=dying)
    cloud.trigger(key="fact")
    dying.left, dying.mode = at, mode
    with pytest.raises(Crash):
        cloud.settle()
    cloud.settle()

    assert [cause.key for answered in cloud.all_runs for cause in answered.causes] == ["fact"]


def test_a_tick_that_stalled_writes_over_nobody() -> None:
    """Its lease may be over; the version it read tells."""
    store, path = MemoryStore(), names.model_path("flights")
    version = put(store, direct, "first", path, ModelState(model="flights"), "")
    put(store, direct, "faster", path, ModelState(model="flights", failures=1), version)
    with pytest.raises(Conflict):
        put(store, direct, "stalled", path, ModelState(model="flights", failures=9), version)

    assert read_state(store, "flights")[0].failures == 1


def test_the_cooldown_begins_with_the_launch() -> None:
    """Not with the end of the rollout, which takes days."""
    cloud = Cloud()
    promoted = cloud.promoted()

    assert read_state(cloud.store, "flights")[0].launches == (promoted.jobs[0].intended,)


def test_money_that_is_settled_twice_is_spent_once() -> None:
    """A tick that stalled may settle again."""
    cloud = Cloud()
    promoted = cloud.promoted()
    long = promoted.but(jobs=tuple(job.but(seconds=600.0) for job in promoted.jobs))
    spent = []
    for _ in range(2):
        run_effects.settle(cloud.runs, FLIGHTS, long, "", observe(cloud.runs, FLIGHTS, long), None)
        spent.append(read_money(cloud.store, "flights", promoted.opened)[0].spent[promoted.run_id])

    assert spent[0] == spent[1] > 0
