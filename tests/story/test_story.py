"""The story of each kind of run: nothing that an auditor asks for is left out."""

import pytest

from retraining import story
from retraining.records import Run
from retraining.rollouts import Phase
from retraining.triggers import Ask, Kind
from tests.engine.cloud import Cloud
from tests.unit.build import DAY, FLIGHTS, counts


@pytest.fixture
def cloud() -> Cloud:
    """A first model serves, and a month has passed."""
    made = Cloud()
    made.promoted()
    return made


def told(cloud: Cloud, run: Run | None = None) -> story.Story:
    """The story of a run, the newest unless another is named."""
    found = story.of_run(cloud.store, FLIGHTS, (run or cloud.all_runs[-1]).run_id)
    assert found is not None
    return found


def test_a_promoted_run_tells_trigger_data_comparison_and_end(cloud: Cloud) -> None:
    """Everything from the fact that asked for it to the traffic it has."""
    cloud.trigger(reason="rows arrived", key="fact")
    cloud.settle()
    found = told(cloud)

    assert (found.state, found.serves_now, found.owner) == ("promoted", True, FLIGHTS.owner)
    assert [trigger.reason for trigger in found.triggers] == ["rows arrived"]
    assert found.decision.startswith("train (")
    assert found.data_rows == counts().rows
    assert found.snapshot is not None
    assert [job.kind for job in found.jobs] == ["train", "evaluate"]
    assert found.candidate["log_loss"] < found.champion["log_loss"]
    assert found.compared_rows == 5000
    assert found.gate is not None
    assert found.gate.eligible
    assert found.outcome is not None
    assert found.outcome.result == "promoted"
    assert 0 <= found.spent <= found.reserved != 0
    assert set(found.digests) == {"model file", "data", "model"}


def test_traffic_names_every_share_the_run_had(cloud: Cloud) -> None:
    """In order, each as the endpoint answered."""
    cloud.trigger()
    cloud.settle()
    found = told(cloud)
    challenger = cloud.rollout.champion
    assert challenger is not None
    shares = [step.split.get(challenger.deployed_id, 0) for step in found.traffic]
    distinct = [share for share in dict.fromkeys(shares) if share]

    assert distinct == [5, 25, 50, 100]
    assert {step.run_id for step in found.traffic} == {found.run_id}


def test_what_serves_is_explained_with_the_run_before_it(cloud: Cloud) -> None:
    """A rollback would bring that one back."""
    first = cloud.all_runs[-1]
    cloud.trigger()
    cloud.settle()
    found = story.of_model(cloud.store, FLIGHTS)
    assert found is not None

    assert found.run_id == cloud.all_runs[-1].run_id
    assert found.previous == found.champion_run == first.run_id
    assert not told(cloud, first).serves_now


def test_a_rejected_run_tells_why_the_gate_stayed_shut(cloud: Cloud) -> None:
    """It had no traffic and no outcome of a rollout."""
    cloud.difference = 0.05
    cloud.trigger()
    cloud.settle()
    found = told(cloud)
    assert found.gate is not None

    assert found.state == "rejected"
    assert not found.gate.eligible
    assert found.gate.reasons
    assert found.candidate["log_loss"] > found.champion["log_loss"]
    assert (found.traffic, found.outcome, found.serves_now) == ((), None, False)


def test_a_blocked_run_tells_what_is_broken(cloud: Cloud) -> None:
    """No job was started, no money spent."""
    cloud.warehouse.counts["flights"] = counts(rows=0)
    cloud.trigger()
    cloud.settle()
    found = told(cloud)

    assert found.state == "blocked_data"
    assert found.data_problems
    assert (found.data_rows, found.jobs, found.snapshot, found.spent) == (0, (), None, 0.0)


def test_a_rolled_back_run_tells_who_kept_serving(cloud: Cloud) -> None:
    """Its traffic ends where it began."""
    first = cloud.all_runs[-1]
    cloud.live = 0.4
    cloud.trigger()
    cloud.settle()
    found = told(cloud)
    assert found.outcome is not None

    assert (found.state, found.outcome.result) == ("rolled_back", "rolled_back")
    assert Phase.ROLLING_BACK in [step.phase for step in found.traffic]
    assert found.champion_run == first.run_id
    assert told(cloud, first).serves_now


def test_a_skipped_run_tells_its_decision(cloud: Cloud) -> None:
    """And nothing that did not happen."""
    cloud.difference = 0.05
    cloud.trigger()
    cloud.settle()
    cloud.now += DAY / 4
    cloud.trigger(key="again", kind=Kind.SCHEDULE)
    cloud.settle()
    found = told(cloud)

    assert found.state == "skipped"
    assert found.decision.startswith("skip (cooldown): ")
    assert (found.jobs, found.gate, found.traffic) == ((), None, ())


def test_life_is_every_state_with_its_time_and_reason(cloud: Cloud) -> None:
    """Oldest first, to the last state."""
    cloud.trigger()
    cloud.settle()
    run, found = cloud.all_runs[-1], told(cloud)

    assert len(found.life) == len(run.history)
    assert list(found.life) == sorted(found.life, key=lambda line: line[:16])
    assert found.life[-1].startswith(f"{run.entered:%Y-%m-%d %H:%M}  promoted: ")


def test_a_person_who_asked_is_named(cloud: Cloud) -> None:
    """With what they asked for."""
    cloud.trigger(kind=Kind.MANUAL, ask=Ask.TRAIN, force=True, actor="ann", reason="new carrier")
    cloud.settle()
    (trigger,) = told(cloud).triggers

    assert (trigger.actor, trigger.reason, trigger.force) == ("ann", "new carrier", True)


def test_a_run_that_does_not_exist_has_no_story(cloud: Cloud) -> None:
    """None, not an empty story."""
    assert story.of_run(cloud.store, FLIGHTS, "flights-20260101-000000-0000") is None


def test_a_model_that_nothing_serves_has_no_story() -> None:
    """Before the first promotion."""
    assert story.of_model(Cloud().store, FLIGHTS) is None


def test_a_story_survives_its_json(cloud: Cloud) -> None:
    """Programs read the same facts."""
    cloud.trigger()
    cloud.settle()
    found = told(cloud)

    assert story.Story.from_json(found.to_json()) == found
