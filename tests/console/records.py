"""Records as they stand in the middle of an installation's life."""

from retraining.incidents import Incident
from retraining.records import Decision, GateResult, Money, Run, RunState
from retraining.rollouts import Phase, Rollout, Serving
from retraining.triggers import Kind
from tests.unit.build import DAY, HOUR, NOW, evaluation, run, snapshot, trigger

OLD, NEW, WAITS = "flights-20260401-120000-0001", "flights-20260504-110000-0002", "flights-20260504-120000-0003"


def promoted() -> Run:
    """A month ago, by the schedule."""
    first = run(
        run_id=OLD,
        opened=NOW - 33 * DAY,
        causes=(trigger(Kind.SCHEDULE, key="s-1", reason="it is Monday"),),
        decision=Decision(action="train", code="schedule", text="it was time", at=NOW - 33 * DAY),
        snapshot=snapshot(),
        evaluation=evaluation(),
        gate=GateResult(eligible=True, reasons=("there is no champion",)),
        champion_run="flights-20260301-120000-0000",
        parameters={"units": "64"},
        parameters_from="the model file",
        reserved=2.0,
        spent=0.5,
        manifest_digest="m1",
    )
    return first.move(RunState.PROMOTED, "it serves all requests", NOW - 32 * DAY)


def training() -> Run:
    """The one that has its turn."""
    return run(run_id=NEW, causes=(trigger(), trigger(Kind.DRIFT, key="d-1"))).move(
        RunState.TRAINING, "rows are frozen", NOW - HOUR
    )


def skipped() -> Run:
    """A trigger in the cooldown, whose reason has brackets."""
    return run(run_id=WAITS, opened=NOW).move(RunState.SKIPPED, "cooldown: [/x] 3 h are [bold]left", NOW)


def serving() -> Rollout:
    """The old run serves; before it another did."""
    champion = Serving(run_id=OLD, deployed_id="1000000001", version="m@2")
    before = Serving(run_id="flights-20260301-120000-0000", deployed_id="1000000000", version="m@1")
    record = Rollout(
        endpoint="flights",
        model="flights",
        sequence=2,
        champion=champion,
        previous=before,
        confirmed={"1000000001": 100},
    )
    return record.move(Phase.IDLE, "the rollout is over", NOW - 32 * DAY)


def incident() -> Incident:
    """Drift that is going on."""
    return Incident(
        incident_id="i1",
        model="flights",
        kind="drift",
        opened=NOW - DAY,
        features={"taxi_out": 1.4},
        windows=(NOW - DAY,),
        baseline_id=OLD,
    )


def money(month: str) -> Money:
    """Half a unit was spent, one and a half is reserved."""
    return Money(model="flights", month=month, reserved={OLD: 2.0, NEW: 1.5}, spent={OLD: 0.5})
