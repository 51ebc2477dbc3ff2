"""Promises that searches, simulated years or mutants found without a test of their own."""

from dataclasses import replace
from datetime import timedelta

import pytest

from local.memory.jobs import MemoryJobs
from retraining import run_loop
from retraining.budget import EVALUATION_TIMEOUT
from retraining.job_machine import Seen, job_step
from retraining.operate import cancel
from retraining.records import JobRef, RunState
from retraining.triggers import Kind
from retraining.views import JobState, JobView
from tests.engine.cloud import Cloud
from tests.unit.build import DAY, FLIGHTS, HOUR, NOW, run


@pytest.mark.xfail(strict=True, reason="observe judges the patience at one time and decide at a later one")
def test_rows_that_were_not_counted_are_not_few() -> None:
    """The debounce ended while a tick was reading the world, found by a simulated year: the tick had not counted the
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


@pytest.mark.xfail(strict=True, reason="the time limit of a job counts from the intention, not from its creation")
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
