"""What a tick that stalled does after everything has ended: nothing of it stays."""

from datetime import timedelta

from retraining import rollout_loop, run_loop
from retraining.records import RunState
from retraining.rollouts import Phase
from retraining.state import read_run, write_run
from retraining.triggers import Kind
from retraining.views import DeployPlan, JobState
from tests.engine.cloud import Cloud
from tests.unit.build import FLIGHTS


def test_a_deploy_after_the_end_of_its_rollout_is_swept() -> None:
    """A tick read that the challenger is to be deployed, stalled while others gave the rollout up, and then
    deployed it: found by searching every order of events."""
    cloud = Cloud()
    first = cloud.promoted()
    cloud.deploy_error = "no capacity"
    cloud.trigger(key="second")
    while cloud.rollout.sequence < 2 or cloud.rollout.phase is not Phase.IDLE:
        cloud.tick()
    cloud.now += timedelta(minutes=1)
    rollout_loop.tick(cloud.rollouts)  # an ordinary one, which finds nothing to do
    champion = cloud.rollout.champion
    assert champion is not None
    late = DeployPlan(
        "flights", cloud.rollout.retired[-1], champion.version, "late", FLIGHTS.machines.serving, "",
    )  # fmt: skip
    cloud.now += timedelta(minutes=9)
    deploying = cloud.endpoints.deploy(late)
    cloud.now += timedelta(minutes=50)
    cloud.operations.end(deploying)

    rollout_loop.tick(cloud.rollouts)

    endpoint = cloud.endpoints.view("flights")
    assert endpoint is not None
    assert champion.run_id == first.run_id
    assert set(endpoint.deployed) == {champion.deployed_id}


def test_a_job_created_after_the_end_of_its_run_is_cancelled() -> None:
    """A tick read that a job is to be created, stalled while a person cancelled the run, and then created it."""
    cloud = Cloud()
    cloud.trigger(kind=Kind.MANUAL)
    while not cloud.jobs.all():
        cloud.tick()
    (job,) = cloud.jobs.all()
    plan = cloud.jobs.plan(job.name)
    (run,) = cloud.all_runs
    desk = read_run(cloud.store, run.run_id)
    assert desk is not None
    write_run(cloud.runs, "cancel", desk[0].but(cancelled_by="ann"), desk[1])
    run_loop.tick(cloud.runs)
    cloud.now += timedelta(minutes=9)
    late = cloud.jobs.launch(plan)

    run_loop.tick(cloud.runs)
    told = cloud.jobs.view(late.name)
    cloud.now += timedelta(minutes=9)
    run_loop.tick(cloud.runs)

    assert cloud.all_runs[-1].state is RunState.CANCELLED
    assert told is not None
    assert told.state is JobState.CANCELLED
    assert cloud.store.list("active/") == []
