"""What a tick that stalled does after everything has ended: nothing of it stays."""

from datetime import timedelta

from retraining import rollout_loop
from retraining.rollouts import Phase
from retraining.views import DeployPlan
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
