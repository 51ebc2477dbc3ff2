"""What people do reaches the engines: runs stop and start, traffic returns, candidates are let through."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from local.memory.store import MemoryStore
from retraining import names, operate
from retraining.audit import AuditEvent
from retraining.errors import Conflict, Refused
from retraining.records import RunState
from retraining.rollouts import Phase
from retraining.state import put, read_run
from retraining.views import JobState, Stored
from tests.engine.cloud import Cloud
from tests.unit.build import DAY, FLIGHTS, SPECS, run

APPROVED = FLIGHTS.model_copy(update={"gate": FLIGHTS.gate.model_copy(update={"approval": True})})


@pytest.fixture
def cloud() -> Cloud:
    """A first model serves, and a month has passed."""
    made = Cloud()
    made.promoted()
    return made


def until(cloud: Cloud, reached: Callable[[], bool]) -> None:
    """Tick until something is true."""
    for _ in range(60):
        if reached():
            return
        cloud.tick()
    raise AssertionError(f"never: {[run.state for run in cloud.all_runs]}, {cloud.rollout.phase}")


def audit(cloud: Cloud) -> list[tuple[str, str]]:
    """What people did, and who."""
    found = [cloud.store.read(path) for path in cloud.store.list("events/")]
    events = [AuditEvent.from_json(stored.body) for stored in found if stored]
    return [(event.what, event.details["by"]) for event in events if event.details.get("by")]


def test_a_paused_model_trains_nothing(cloud: Cloud) -> None:
    """Its triggers are skipped with the reason."""
    jobs = len(cloud.jobs.all())
    operate.pause(cloud.store, "flights", "ann", "audit", cloud.now)
    cloud.trigger()
    cloud.settle()
    last = cloud.all_runs[-1]
    assert last.decision is not None

    assert (last.state, last.decision.code) == (RunState.SKIPPED, "paused")
    assert "ann" in last.decision.text
    assert len(cloud.jobs.all()) == jobs


def test_what_runs_goes_on_under_a_pause(cloud: Cloud) -> None:
    """A pause is about starts."""
    cloud.trigger()
    until(cloud, lambda: cloud.all_runs[-1].state is RunState.TRAINING)
    operate.pause(cloud.store, "flights", "ann", "audit", cloud.now)
    cloud.settle()

    assert cloud.all_runs[-1].state is RunState.PROMOTED


def test_a_resumed_model_trains_again(cloud: Cloud) -> None:
    """Both acts are in the audit."""
    operate.pause(cloud.store, "flights", "ann", "audit", cloud.now)
    done = operate.resume(cloud.store, FLIGHTS, "bob", "audit is over", cloud.now + DAY)
    cloud.trigger()
    cloud.settle()

    assert done == ["the pause is over"]
    assert cloud.all_runs[-1].state is RunState.PROMOTED
    assert audit(cloud)[-2:] == [("paused", "ann"), ("resumed", "bob")]


def test_nothing_to_resume_is_refused_and_not_in_the_audit(cloud: Cloud) -> None:
    """The audit holds what happened."""
    with pytest.raises(Refused, match="expected a pause or a held rollout"):
        operate.resume(cloud.store, FLIGHTS, "ann", "", cloud.now)

    assert ("resumed", "ann") not in audit(cloud)


def test_a_held_rollout_goes_on_after_a_resume(cloud: Cloud) -> None:
    """From the split that a person set by hand."""
    cloud.trigger()
    until(cloud, lambda: cloud.rollout.phase is Phase.STEP)
    cloud.tick()
    view = cloud.endpoints.view("flights")
    assert view is not None
    cloud.endpoints.set_traffic("flights", dict(zip(view.deployed, (60, 40), strict=True)), view.etag)
    until(cloud, lambda: cloud.rollout.phase is Phase.HELD)
    done = operate.resume(cloud.store, FLIGHTS, "ann", "looked at it", cloud.now)
    cloud.settle()

    assert done == ["the held rollout goes on with the next tick"]
    assert cloud.all_runs[-1].state is RunState.PROMOTED


def test_a_rollback_during_a_rollout_keeps_the_champion(cloud: Cloud) -> None:
    """And names who asked in the endpoint's history."""
    first = cloud.all_runs[-1]
    cloud.trigger()
    until(cloud, lambda: cloud.rollout.phase is Phase.STEP)
    cloud.tick()
    said = operate.roll_back(cloud.store, FLIGHTS, "ann", "complaints", cloud.now)
    cloud.settle()
    assert cloud.rollout.champion is not None

    assert said == f"traffic returns to {first.run_id}"
    assert cloud.all_runs[-1].state is RunState.ROLLED_BACK
    assert cloud.split == {cloud.rollout.champion.deployed_id: 100}
    assert cloud.rollout.champion.run_id == first.run_id
    assert "ann" in [step.by for step in cloud.rollout.history]


def test_a_rollback_after_a_promotion_reaches_the_earlier_version(cloud: Cloud) -> None:
    """It is deployed again and takes all traffic."""
    first = cloud.all_runs[-1]
    cloud.trigger()
    cloud.settle()
    said = operate.roll_back(cloud.store, FLIGHTS, "ann", "complaints", cloud.now)
    cloud.settle()
    assert cloud.rollout.champion is not None

    assert said == f"{first.run_id} is deployed again and takes all traffic"
    assert cloud.rollout.champion.run_id == first.run_id
    assert cloud.split == {cloud.rollout.champion.deployed_id: 100}


def test_a_rollback_asked_for_twice_goes_back_once(cloud: Cloud) -> None:
    """Two people at the same moment want the same."""
    first = cloud.all_runs[-1]
    cloud.trigger()
    cloud.settle()
    for by in ("ann", "bob"):
        operate.roll_back(cloud.store, FLIGHTS, by, "complaints", cloud.now)
    cloud.settle()
    assert cloud.rollout.champion is not None

    assert cloud.rollout.champion.run_id == first.run_id
    assert [what for what, _ in audit(cloud)].count("rollback asked") == 2


def test_the_first_model_has_nothing_to_go_back_to(cloud: Cloud) -> None:
    """And the record stays as it was."""
    before = cloud.rollout
    with pytest.raises(Refused, match="expected a previous version to return to, found none"):
        operate.roll_back(cloud.store, FLIGHTS, "ann", "complaints", cloud.now)

    assert cloud.rollout == before
    assert cloud.store.list("rolling/") == []


def test_a_candidate_that_waits_is_promoted_once_approved(cloud: Cloud) -> None:
    """Until then it stays where it is."""
    cloud.runs = replace(cloud.runs, models={**SPECS, "flights": APPROVED})
    cloud.trigger()
    until(cloud, lambda: cloud.all_runs[-1].state is RunState.AWAITING_APPROVAL)
    cloud.tick()
    waits = cloud.all_runs[-1]
    operate.approve(cloud.store, waits.run_id, "ann", cloud.now)
    cloud.settle()

    assert waits.state is RunState.AWAITING_APPROVAL
    assert cloud.all_runs[-1].state is RunState.PROMOTED
    assert cloud.all_runs[-1].approved_by == "ann"
    assert audit(cloud)[-1] == ("approved", "ann")


@pytest.mark.parametrize("state", [s for s in RunState if s is not RunState.AWAITING_APPROVAL])
def test_only_what_waits_can_be_approved(state: RunState) -> None:
    """A yes in advance, or too late, is refused with the state."""
    cloud = Cloud()
    put(cloud.store, cloud.effect, "test", "runs/flights-1.json", run(state), "")

    with pytest.raises(Refused, match=f"it is {state.value}"):
        operate.approve(cloud.store, "flights-1", "ann", cloud.now)


def test_a_cancelled_run_ends_and_its_jobs_are_cancelled(cloud: Cloud) -> None:
    """By the next ticks; the champion never notices."""
    first, jobs = cloud.all_runs[-1], len(cloud.jobs.all())
    cloud.trigger()
    until(cloud, lambda: len(cloud.jobs.all()) > jobs)
    cloud.finished.update(job.name for job in cloud.jobs.all())  # it runs on until somebody stops it
    operate.cancel(cloud.store, cloud.all_runs[-1].run_id, "ann", cloud.now)
    cloud.settle()
    assert cloud.rollout.champion is not None

    assert cloud.all_runs[-1].state is RunState.CANCELLED
    assert cloud.all_runs[-1].cancelled_by == "ann"
    assert JobState.CANCELLED in [job.state for job in cloud.jobs.all()]
    assert cloud.rollout.champion.run_id == first.run_id


@pytest.mark.parametrize("state", [s for s in RunState if s.ended or s is RunState.ROLLING_OUT])
def test_what_has_ended_or_rolls_out_cannot_be_cancelled(state: RunState) -> None:
    """A rollback is the way to take traffic back."""
    cloud = Cloud()
    put(cloud.store, cloud.effect, "test", "runs/flights-1.json", run(state), "")

    with pytest.raises(Refused, match=f"it is {state.value}; what rolls out"):
        operate.cancel(cloud.store, "flights-1", "ann", cloud.now)


class Contested(MemoryStore):
    """A store in which an engine writes first, so many times, whenever a person replaces a record."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def replace(self, path: str, body: str, version: str) -> str:
        """Somebody else is faster while ``times`` lasts."""
        if self.times:
            self.times -= 1
            stored = self.read(path)
            assert isinstance(stored, Stored)
            super().replace(path, stored.body.replace('"units":"0"', '"units":"64"'), version)
        return super().replace(path, body, version)


def contested(times: int) -> Contested:
    """With a run that waits for approval."""
    store = Contested(times)
    waits = run(RunState.AWAITING_APPROVAL, parameters={"units": "0"})
    put(store, lambda _, act: act(), "test", "runs/flights-1.json", waits, "")
    return store


def test_a_conflict_is_repeated_on_the_newer_record() -> None:
    """What the engine wrote in between stays."""
    store = contested(operate.ATTEMPTS - 1)
    operate.approve(store, "flights-1", "ann", Cloud().now)
    found = read_run(store, "flights-1")
    assert found is not None

    assert (found[0].approved_by, found[0].parameters) == ("ann", {"units": "64"})


def test_an_endless_conflict_is_told_and_not_in_the_audit() -> None:
    """The person asks again."""
    store = contested(operate.ATTEMPTS)
    with pytest.raises(Conflict):
        operate.approve(store, "flights-1", "ann", Cloud().now)
    found = read_run(store, "flights-1")
    assert found is not None

    assert found[0].approved_by == ""
    assert store.list("events/") == []


def test_a_lost_audit_entry_does_not_undo_the_act(capsys: pytest.CaptureFixture[str]) -> None:
    """The record holds the truth; the loss is logged."""

    class Deaf(MemoryStore):
        def create(self, path: str, body: str) -> str:
            if path.startswith("events/"):
                raise Conflict(path)
            return super().create(path, body)

    store = Deaf()
    operate.pause(store, "flights", "ann", "audit", Cloud().now)

    assert store.read(names.model_path("flights")) is not None
    assert "audit entry lost: paused flights" in capsys.readouterr().out
