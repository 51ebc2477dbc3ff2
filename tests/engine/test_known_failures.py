"""What other systems for progressive delivery got wrong, told again on this engine.

The numbers are issues of argoproj/argo-rollouts. Each test says in one sentence what happened there.
"""

from dataclasses import replace
from typing import Any

import pytest

from retraining import rollout_loop
from retraining.errors import Conflict, Refused, RetrainingError
from retraining.records import RunState
from retraining.rollouts import Ask, Phase
from retraining.state import put, read_rollout
from retraining.views import ArmCounts, EndpointView, OperationView
from tests.engine.cloud import Cloud

ENDS = 400  # ticks, more than a month: by then everything has ended


class Told:
    """An endpoint that notes every split it is told, and refuses what it is to refuse."""

    def __init__(self, port: Any, *refuses: str) -> None:
        self.port, self.refuses = port, refuses
        self.splits: list[dict[str, int]] = []

    def __getattr__(self, name: str) -> Any:
        if name in self.refuses:
            return self._refuse
        return getattr(self.port, name)

    def set_traffic(self, endpoint: str, split: dict[str, int], etag: str) -> None:
        """See Endpoints."""
        if "set_traffic" in self.refuses:
            self._refuse()
        self.port.set_traffic(endpoint, split, etag)
        self.splits.append(split)

    def _refuse(self, *_: object) -> Any:
        raise Refused("no capacity in this region")


@pytest.fixture
def cloud() -> Cloud:
    """A champion serves; a better challenger is on its way."""
    cloud = Cloud()
    cloud.promoted()
    cloud.trigger(key="second")
    return cloud


def through(cloud: Cloud, *refuses: str) -> Told:
    """Put a witness before the endpoint."""
    told = Told(cloud.endpoints, *refuses)
    cloud.rollouts = replace(cloud.rollouts, endpoints=told)
    return told


def until(cloud: Cloud, phase: Phase, share: int | None = None) -> None:
    """Tick until the rollout is in this phase, with this share for the challenger."""
    for _ in range(ENDS):
        if cloud.rollout.phase is phase and (share is None or share in challengers(cloud)):
            return
        cloud.tick()
    raise AssertionError(f"never {phase}: {cloud.rollout.phase}, {cloud.reports[-1:]}")


def challengers(cloud: Cloud) -> tuple[int, ...]:
    """The challenger's share, when there is one."""
    challenger = cloud.rollout.challenger
    return (cloud.split.get(challenger.deployed_id, 0),) if challenger else ()


def take_back(cloud: Cloud) -> None:
    """A person asks for the rollback."""
    record, version = read_rollout(cloud.store, "flights", "flights")
    wish = Ask.model_validate({"action": "roll_back", "by": "ann", "reason": "complaints", "at": cloud.now})
    put(cloud.store, cloud.effect, "ask", "rollouts/flights.json", record.but(ask=wish), version)


def test_4841_what_is_taken_back_returns_to_no_traffic(cloud: Cloud) -> None:
    """There an aborted canary kept its weight: here all traffic is the champion's within two ticks."""
    champion = cloud.rollout.champion
    until(cloud, Phase.STEP, 25)
    take_back(cloud)
    cloud.tick()
    cloud.tick()
    assert champion is not None

    assert cloud.split == {champion.deployed_id: 100}


def test_1665_no_weight_rises_once_it_is_taken_back(cloud: Cloud) -> None:
    """There an aborted rollout went on to raise weights: here not even a tick that had decided to do so can."""
    until(cloud, Phase.STEP, 25)
    told = through(cloud)
    stalled: list[Any] = []

    def stall(name: str, act: Any) -> object:
        if name == "set traffic" and not stalled:
            stalled.append(act)
            raise Conflict("this process goes no further")
        return act()

    cloud.effect = stall
    while not stalled:
        cloud.tick()
    take_back(cloud)
    cloud.tick()
    with pytest.raises(RetrainingError):
        stalled[0]()  # what was decided before the rollback now reaches the endpoint
    cloud.settle(ENDS)
    champion = cloud.rollout.champion
    assert champion is not None

    assert told.splits == [{champion.deployed_id: 100}]
    assert cloud.split == {champion.deployed_id: 100}


def test_2050_the_champion_stays_while_the_challenger_lacks_anything(cloud: Cloud) -> None:
    """There the stable version was scaled down while the canary lacked pods: here it stays until the soak is over,
    and the challenger has everything."""
    champion = cloud.rollout.champion
    assert champion is not None
    told = through(cloud)
    gone_at: list[tuple[Phase, dict[str, int]]] = []

    def witness(name: str, act: Any) -> object:
        if name == "undeploy":
            gone_at.append((cloud.rollout.phase, cloud.split))
        return act()

    cloud.effect = witness
    cloud.settle(ENDS)
    now = cloud.rollout.champion
    assert now is not None

    assert gone_at == [(Phase.CLEANUP, {now.deployed_id: 100})]
    assert told.splits[-1] == {now.deployed_id: 100}


@pytest.mark.parametrize("call", ["deploy", "set_traffic", "undeploy"])
def test_4128_what_is_refused_whenever_it_is_tried_ends_by_its_deadline(cloud: Cloud, call: str) -> None:
    """There the progress deadline never fired: here refused deploys, splits and undeploys end, and the champion or
    the challenger has all traffic."""
    through(cloud, call)
    for _ in range(ENDS):
        cloud.tick()
        if cloud.all_runs[-1].state.ended:
            break
    champion = cloud.rollout.champion
    assert champion is not None

    expected = RunState.PROMOTED if call == "undeploy" else RunState.ROLLED_BACK
    assert cloud.all_runs[-1].state is expected
    assert cloud.split == {champion.deployed_id: 100}


def test_4128_an_upload_that_is_refused_ends_by_its_deadline(cloud: Cloud) -> None:
    """The registry refuses whenever it is asked."""
    registry = Told(cloud.registry, "upload")
    cloud.rollouts = replace(cloud.rollouts, registry=registry)
    until(cloud, Phase.REGISTERING)
    until(cloud, Phase.IDLE)
    cloud.tick()

    assert cloud.all_runs[-1].state is RunState.ROLLED_BACK


class Endless:
    """Operations that never end."""

    def view(self, name: str) -> OperationView:
        """See Operations."""
        return OperationView(done=False)


def test_4128_a_deploy_that_never_ends_ends_its_rollout(cloud: Cloud) -> None:
    """Neither on the way forth nor on the way back is it waited for without end."""
    until(cloud, Phase.DEPLOYING)
    cloud.rollouts = replace(cloud.rollouts, operations=Endless())
    challenger = cloud.rollout.challenger
    assert challenger is not None
    cloud.endpoints.deploy = lambda plan: "operations/endless"  # type: ignore[method-assign]
    until(cloud, Phase.IDLE)
    cloud.tick()

    assert cloud.all_runs[-1].state is RunState.ROLLED_BACK


def test_4128_a_job_that_never_ends_ends_its_run() -> None:
    """Not even a cancel is heard."""
    cloud = Cloud()
    cloud.trigger()
    while not cloud.jobs.all():
        cloud.tick()
    cloud.finished.update(job.name for job in cloud.jobs.all())
    cloud.runs = replace(cloud.runs, jobs=Deaf(cloud.jobs))
    for _ in range(ENDS):
        cloud.tick()
        cloud.finished.update(job.name for job in cloud.jobs.all())

    assert cloud.all_runs[-1].state is RunState.FAILED


class Deaf:
    """Jobs that do not stop when they are asked to."""

    def __init__(self, port: Any) -> None:
        self._port = port

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    def cancel(self, name: str) -> None:
        """See Jobs."""


class BadChampion(Cloud):
    """Whose champion answers nothing that is a number, while the challenger is sound."""

    def _requests(self) -> None:
        super()._requests()
        champion = self.rollout.champion
        if champion and self.rollout.challenger:
            mute = ArmCounts(rows=50_000, invalid=50_000)
            self.warehouse.arm_counts["flights"][champion.deployed_id] = mute


def test_1774_a_bad_champion_does_not_block_a_good_challenger() -> None:
    """There nothing could be rolled out while the stable version was unhealthy: here that is a reason to go on."""
    cloud = BadChampion()
    first = cloud.promoted()
    cloud.trigger(key="second")
    cloud.settle(ENDS)
    champion = cloud.rollout.champion
    assert champion is not None

    assert cloud.all_runs[-1].state is RunState.PROMOTED
    assert champion.run_id != first.run_id


def test_4612_no_traffic_before_the_target_is_ready(cloud: Cloud) -> None:
    """There a canary sized for 5 % got 70 %: here a split names only what is listed as deployed, and shares rise
    by the steps."""
    seen: list[tuple[dict[str, int], EndpointView]] = []
    told = through(cloud)
    plain = told.set_traffic

    def witness(endpoint: str, split: dict[str, int], etag: str) -> None:
        view = cloud.endpoints.view(endpoint)
        assert view is not None
        seen.append((split, view))
        plain(endpoint, split, etag)

    told.set_traffic = witness  # type: ignore[method-assign]
    cloud.settle(ENDS)

    assert all(split.keys() <= view.deployed.keys() for split, view in seen)
    assert [min(split.values()) for split, _ in seen] == [5, 25, 50, 100]


def test_4612_a_target_that_is_gone_gets_no_traffic(cloud: Cloud) -> None:
    """Taken away by hand between its deploy and its first share, it holds the rollout."""
    until(cloud, Phase.DEPLOYING)
    challenger = cloud.rollout.challenger
    assert challenger is not None
    told = through(cloud)
    cloud.effect = lambda name, act: _then(act, name == "move to step", challenger.deployed_id, cloud)
    for _ in range(6):
        cloud.tick()

    assert cloud.rollout.phase is Phase.HELD
    assert told.splits == []


def _then(act: Any, now: bool, deployed_id: str, cloud: Cloud) -> object:
    done = act()
    if now:
        cloud.endpoints.undeploy("flights", deployed_id)
    return done


def test_3078_what_was_taken_back_does_not_come_again(cloud: Cloud) -> None:
    """There an aborted rollout flapped between its versions: here the split changes once, and never again."""
    until(cloud, Phase.STEP, 25)
    told = through(cloud)
    take_back(cloud)
    cloud.settle(ENDS)
    for _ in range(50):
        cloud.tick()
    champion = cloud.rollout.champion
    assert champion is not None

    assert told.splits == [{champion.deployed_id: 100}]
    assert cloud.all_runs[-1].state is RunState.ROLLED_BACK


def test_2522_two_controllers_do_no_more_than_one(cloud: Cloud) -> None:
    """There two controllers fought over one rollout: here a second one that acts between any two effects of the
    first changes nothing of what the endpoint is told."""
    told = through(cloud)
    inside: list[str] = []

    def between(name: str, act: Any) -> object:
        if not inside:
            inside.append(name)
            rollout_loop.tick(cloud.rollouts, cloud.reports.append)
            inside.pop()
        return act()

    cloud.effect = between
    cloud.settle(ENDS)
    champion = cloud.rollout.champion
    view = cloud.endpoints.view("flights")
    assert champion is not None
    assert view is not None

    assert list(dict.fromkeys(split.get(champion.deployed_id) for split in told.splits)) == [5, 25, 50, 100]
    assert cloud.all_runs[-1].state is RunState.PROMOTED
    assert set(view.deployed) == {champion.deployed_id}
