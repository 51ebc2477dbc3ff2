"""What the display is told: everything once, in order, however often it looks."""

from console.demo.watch import Watch, cause_of
from retraining.intake import direct
from retraining.records import RunState
from retraining.rollouts import MAX_HISTORY, Phase, Rollout
from retraining.state import put, read_rollout
from retraining.triggers import Kind
from tests.engine.cloud import Cloud
from tests.unit.build import DAY, FLIGHTS, HOUR, NOW, run, trigger


def watch(cloud: Cloud) -> Watch:
    """Somebody who has seen nothing yet."""
    return Watch(cloud.store, FLIGHTS)


def test_looking_often_tells_the_same_as_looking_once() -> None:
    """Nothing twice, nothing lost."""
    cloud = Cloud()
    often, found = watch(cloud), []
    cloud.trigger()
    for _ in range(30):
        cloud.tick()
        found += often.look()
    once = watch(cloud).look()

    assert sorted(line.text for line in found) == sorted(line.text for line in once)
    assert often.look() == []


def test_lines_are_in_the_order_of_events() -> None:
    """Runs and traffic together."""
    cloud = Cloud()
    cloud.promoted()
    times = [line.at for line in watch(cloud).look()]

    assert times == sorted(times)
    assert len(times) > 4


def test_a_promotion_and_its_traffic_are_told() -> None:
    """With the split that the endpoint answered."""
    cloud = Cloud()
    first = cloud.promoted()
    lines = watch(cloud).look()
    texts = [line.text for line in lines if line.kind == "traffic"]

    assert any(f"{first.run_id} (data) → promoted: " in line.text for line in lines if line.kind == "run")
    assert any("100 %]" in text for text in texts)


def test_states_in_which_nothing_happens_are_not_told() -> None:
    """Waiting is no news."""
    cloud = Cloud()
    cloud.promoted()
    texts = " ".join(line.text for line in watch(cloud).look() if line.kind == "run")

    assert "→ waiting" not in texts
    assert "→ training" in texts


def test_a_skip_is_one_line_with_its_reason_and_counted() -> None:
    """However often one looks."""
    cloud = Cloud()
    put(cloud.store, direct, "test", "runs/flights-1.json", run().move(RunState.SKIPPED, "cooldown: 3 h", NOW), "")
    eyes = watch(cloud)
    lines = eyes.look() + eyes.look()

    assert [(line.kind, line.text) for line in lines] == [("skip", "flights-1 (data) → skipped: cooldown: 3 h")]
    assert eyes.skipped == 1


def test_new_steps_are_told_when_the_record_forgets_old_ones() -> None:
    """The history has a limit, and a year may have more steps."""
    cloud = Cloud()
    eyes = watch(cloud)
    put(
        cloud.store, direct, "test", "rollouts/flights.json", full(Rollout(endpoint="flights", model="flights")), ""
    )
    eyes.look()
    record, version = read_rollout(cloud.store, "flights", "flights")
    later = record.move(Phase.STEP, "one more", NOW + 90 * DAY)
    put(cloud.store, direct, "test", "rollouts/flights.json", later, version)

    assert [line.text for line in eyes.look()] == [": step: one more"]


def full(record: Rollout) -> Rollout:
    """The record with as many steps as it keeps."""
    for number in range(MAX_HISTORY):
        record = record.move(Phase.STEP, f"step {number}", NOW + number * HOUR)
    return record


def test_a_run_is_named_with_every_kind_of_cause_once() -> None:
    """In the order in which they came."""
    causes = (trigger(Kind.DRIFT, key="1"), trigger(Kind.DATA, key="2"), trigger(Kind.DRIFT, key="3"))

    assert cause_of(run(causes=causes)) == "flights-1 (drift+data)"
