"""The whole loop in memory: triggers in, runs and rollouts to their ends."""

import pytest

from retraining.records import RunState
from retraining.reports import Manifest
from retraining.rollouts import Ask, Phase
from retraining.state import put, read_rollout
from retraining.triggers import Ask as Wish
from retraining.triggers import Kind
from retraining.views import JobState, Trial
from tests.engine.cloud import Cloud
from tests.unit.build import DAY, counts


@pytest.fixture
def cloud() -> Cloud:
    """A cloud in which nothing serves yet."""
    return Cloud()


def test_the_first_model_takes_all_traffic(cloud: Cloud) -> None:
    """There is nobody to compare it with, or to share traffic with."""
    first = cloud.promoted()

    assert first.state is RunState.PROMOTED
    assert list(cloud.split.values()) == [100]


def test_a_better_candidate_takes_over_step_by_step(cloud: Cloud) -> None:
    """Every share of the model file is read back from the endpoint before the next."""
    cloud.promoted()
    cloud.trigger()
    cloud.settle()
    challenger = cloud.rollout.champion
    assert challenger is not None

    shares = [step.split.get(challenger.deployed_id) for step in cloud.rollout.history if step.split]
    seen = list(dict.fromkeys(share for share in shares if share))

    assert cloud.all_runs[-1].state is RunState.PROMOTED
    assert seen == [5, 25, 50, 100]


def test_the_old_champion_is_gone_after_the_soak(cloud: Cloud) -> None:
    """And remembered, so that a person can go back."""
    first = cloud.promoted()
    cloud.trigger()
    cloud.settle()
    view = cloud.endpoints.view("flights")
    assert view is not None
    assert cloud.rollout.previous is not None

    assert len(view.deployed) == 1
    assert cloud.rollout.previous.run_id == first.run_id


def test_a_worse_candidate_is_rejected(cloud: Cloud) -> None:
    """It never meets the endpoint."""
    cloud.promoted()
    cloud.difference = 0.05
    cloud.trigger()
    cloud.settle()

    assert cloud.all_runs[-1].state is RunState.REJECTED
    assert cloud.rollout.sequence == 1


def test_a_harmful_challenger_is_rolled_back(cloud: Cloud) -> None:
    """It passed the gate, and harms live requests."""
    first = cloud.promoted()
    cloud.live = 0.4
    cloud.trigger()
    cloud.settle()
    assert cloud.rollout.champion is not None

    assert cloud.all_runs[-1].state is RunState.ROLLED_BACK
    assert cloud.rollout.champion.run_id == first.run_id
    assert cloud.split == {cloud.rollout.champion.deployed_id: 100}


def test_a_broken_feed_trains_nothing(cloud: Cloud) -> None:
    """And the run says what is broken."""
    cloud.promoted()
    jobs = len(cloud.jobs.all())
    cloud.warehouse.counts["flights"] = counts(rows=0)
    cloud.trigger()
    cloud.settle()

    assert cloud.all_runs[-1].state is RunState.BLOCKED_DATA
    assert len(cloud.jobs.all()) == jobs


def test_a_missing_table_blocks_the_run(cloud: Cloud) -> None:
    """Asking again would not help."""
    del cloud.warehouse.counts["flights"]
    cloud.trigger()
    cloud.settle()

    assert cloud.all_runs[-1].state is RunState.BLOCKED_DATA


def test_a_trigger_in_the_cooldown_is_skipped_with_its_reason(cloud: Cloud) -> None:
    """Every accepted trigger ends in a run or a recorded reason."""
    cloud.promoted()
    cloud.difference = 0.05  # rejected at once, so that the cooldown is not over
    cloud.trigger()
    cloud.settle()
    cloud.now += DAY / 4
    cloud.trigger(key="again")
    cloud.settle()
    last = cloud.all_runs[-1]
    assert last.decision is not None

    assert (last.state, last.decision.code) == (RunState.SKIPPED, "cooldown")


def test_triggers_that_arrive_together_share_a_run(cloud: Cloud) -> None:
    """Three facts, one training."""
    for number in range(3):
        cloud.trigger(key=f"fact-{number}")
    cloud.settle()

    assert [len(run.causes) for run in cloud.all_runs] == [3]


def test_the_same_fact_told_again_changes_nothing(cloud: Cloud) -> None:
    """Before, during and after its run."""
    for _ in range(3):
        cloud.trigger(key="fact")
        cloud.tick()
    cloud.settle()
    cloud.trigger(key="fact")
    cloud.tick()

    assert len(cloud.all_runs) == 1


def test_triggers_during_a_run_wait_for_the_next(cloud: Cloud) -> None:
    """One run of a model at a time."""
    cloud.trigger(key="one")
    cloud.tick()
    cloud.tick()
    cloud.trigger(key="two")
    cloud.tick()
    cloud.tick()
    states = [run.state for run in cloud.all_runs]

    assert states[1] is RunState.WAITING


GOOD = Trial(id="2", state="SUCCEEDED", parameters={"batch_size": 2048.0}, metrics={"val_log_loss": 0.14})


def test_a_tuning_trains_with_the_best_trial(cloud: Cloud) -> None:
    """And later runs keep what it found."""
    cloud.promoted()
    cloud.trials = (GOOD,)
    cloud.trigger(kind=Kind.MANUAL, ask=Wish.TUNE)
    cloud.settle()
    kinds = [job.kind for job in cloud.all_runs[-1].jobs]
    cloud.now += 30 * DAY
    cloud.new_rows()
    cloud.trigger()
    cloud.settle()

    assert kinds == ["tune", "train", "evaluate"]
    assert cloud.all_runs[-1].parameters == {"batch_size": "2048"}


def test_a_tuning_without_a_good_trial_fails(cloud: Cloud) -> None:
    """With the number of trials in the reason."""
    cloud.promoted()
    cloud.trials = (GOOD.but(state="INFEASIBLE"), GOOD.but(state="INFEASIBLE"))
    cloud.trigger(kind=Kind.MANUAL, ask=Wish.TUNE)
    cloud.settle()

    assert cloud.all_runs[-1].history[-1].reason == "all 2 trials failed"


def test_a_failing_training_is_tried_twice(cloud: Cloud) -> None:
    """Then the run fails, and counts as a failure for the next cooldown."""
    cloud.train_state = JobState.FAILED
    cloud.trigger()
    cloud.settle()

    assert cloud.all_runs[-1].state is RunState.FAILED
    assert [job.attempt for job in cloud.all_runs[-1].jobs] == [1, 2]


def test_a_deploy_that_fails_twice_ends_the_rollout(cloud: Cloud) -> None:
    """The champion never noticed."""
    first = cloud.promoted()
    cloud.deploy_error = "no quota"
    cloud.trigger()
    cloud.settle()
    assert cloud.rollout.champion is not None

    assert cloud.all_runs[-1].state is RunState.ROLLED_BACK
    assert cloud.rollout.champion.run_id == first.run_id


def until(cloud: Cloud, phase: Phase) -> None:
    """Tick until the rollout is in this phase."""
    for _ in range(60):
        if cloud.rollout.phase is phase:
            return
        cloud.tick()
    raise AssertionError(f"never {phase}, but {cloud.rollout.phase}")


def test_a_split_set_by_hand_holds_the_rollout(cloud: Cloud) -> None:
    """What a person did stays."""
    cloud.promoted()
    cloud.trigger()
    until(cloud, Phase.STEP)
    cloud.tick()
    view = cloud.endpoints.view("flights")
    assert view is not None
    by_hand = dict(zip(view.deployed, (60, 40), strict=True))
    cloud.endpoints.set_traffic("flights", by_hand, view.etag)
    for _ in range(20):
        cloud.tick()

    assert cloud.rollout.phase is Phase.HELD
    assert cloud.split == by_hand


def ask(cloud: Cloud, action: str) -> None:
    """A person asks for something."""
    record, version = read_rollout(cloud.store, "flights", "flights")
    wish = Ask.model_validate({"action": action, "by": "ann", "reason": "complaints", "at": cloud.now})
    cloud.store.create(f"rolling/flights/{record.sequence + 1}.json", "{}")
    put(cloud.store, cloud.effect, "ask", "rollouts/flights.json", record.but(ask=wish), version)


def test_a_person_takes_a_rollout_back(cloud: Cloud) -> None:
    """Within two ticks, without any statistics."""
    cloud.promoted()
    cloud.trigger()
    until(cloud, Phase.STEP)
    cloud.tick()
    ask(cloud, "roll_back")
    cloud.tick()
    cloud.tick()
    assert cloud.rollout.champion is not None

    assert cloud.split == {cloud.rollout.champion.deployed_id: 100}


def test_a_person_goes_back_after_the_promotion(cloud: Cloud) -> None:
    """To the version that served before."""
    first = cloud.promoted()
    cloud.trigger()
    cloud.settle()
    ask(cloud, "roll_back")
    for _ in range(10):
        cloud.tick()
    assert cloud.rollout.champion is not None

    assert cloud.rollout.champion.run_id == first.run_id
    assert cloud.split == {cloud.rollout.champion.deployed_id: 100}


def test_money_is_reserved_then_settled(cloud: Cloud) -> None:
    """What was reserved and not spent is free again."""
    run = cloud.promoted()
    stored = cloud.store.read("budget/flights/202605.json")
    assert stored is not None

    assert run.reserved > 0
    assert f'"spent":{{"{run.run_id}":' in stored.body


def test_a_report_of_other_rows_fails_the_run(cloud: Cloud) -> None:
    """The manifest must name the snapshot that was frozen."""
    cloud.trigger()
    for _ in range(3):
        cloud.tick()
    run = cloud.all_runs[-1]
    uri = f"gs://artifacts/runs/{run.run_id}/report/manifest.json"
    forged = Manifest(
        run_id=run.run_id,
        files={},
        digest="x",
        spec_digest="s",
        data_digest="other",
        code_digest="c",
        parameters={},
        versions={},
        seed=1,
    )
    cloud.artifacts.write(uri, forged.to_json().encode())
    cloud.finished.update(job.name for job in cloud.jobs.all())
    for job in cloud.jobs.all():
        cloud.jobs.finish(job.name, JobState.SUCCEEDED)
    for _ in range(3):
        cloud.tick()

    assert cloud.all_runs[-1].state is RunState.FAILED


def test_nothing_open_means_nothing_read(cloud: Cloud) -> None:
    """A finished run costs later ticks nothing: its markers are gone."""
    cloud.promoted()

    assert [cloud.store.list(prefix) for prefix in ("inbox/", "active/", "rolling/", "candidates/")] == [[]] * 4
