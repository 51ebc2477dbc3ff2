"""The life of a rollout: steps, soak, return, and what a person did by hand."""

from datetime import datetime
from typing import Any

import pytest

from retraining.rollout_machine import (
    Deploy,
    Finish,
    Go,
    Note,
    Rest,
    RolloutView,
    Step,
    Traffic,
    Undeploy,
    Upload,
    desired_split,
    next_step,
)
from retraining.rollouts import Ask, Look, Phase, Rollout, Serving, Verdict
from retraining.views import EndpointView, OperationView
from tests.unit.build import DAY, FLIGHTS, HOUR, NOW

OLD = Serving(run_id="flights-0", deployed_id="1000000000", version="m@1")
NEW = Serving(run_id="flights-1", deployed_id="2000000000", version="m@2")
BOTH = {OLD.deployed_id: OLD.version, NEW.deployed_id: NEW.version}


def record(phase: Phase, confirmed: dict[str, int] | None = None, **changes: Any) -> Rollout:
    """A rollout from OLD to NEW that entered its phase an hour ago."""
    values: dict[str, Any] = {
        "endpoint": "flights",
        "model": "flights",
        "phase": phase,
        "sequence": 2,
        "champion": OLD,
        "challenger": NEW,
        "entered": NOW - HOUR,
        "confirmed": confirmed if confirmed is not None else {OLD.deployed_id: 100},
        "retired": (OLD.deployed_id, NEW.deployed_id),
    }
    return Rollout(**(values | changes))


def split(new: int) -> dict[str, int]:
    """The split that gives the challenger so many percent."""
    return {key: p for key, p in ((NEW.deployed_id, new), (OLD.deployed_id, 100 - new)) if p}


def view(
    traffic: dict[str, int] | None = None,
    deployed: dict[str, str] | None = None,
    verdict: Verdict | None = None,
    rows: int = 1000,
    now: datetime = NOW,
    **changes: Any,
) -> RolloutView:
    """An endpoint with this split; both models are deployed unless said otherwise."""
    endpoint = EndpointView(
        name="endpoints/1",
        etag="e",
        deployed=BOTH if deployed is None else deployed,
        split=split(0) if traffic is None else traffic,
    )
    look = None
    if verdict is not None:
        look = Look(at=now, verdict=verdict, reason="because", challenger_rows=rows, champion_rows=rows)
    return RolloutView(now=now, endpoint=endpoint, look=look, **changes)


def brief(step: Step) -> str:
    """A step as one word for tables."""
    match step:
        case Go(phase):
            return phase.value
        case Traffic(wanted):
            return f"traffic {wanted.get(NEW.deployed_id, 0)}"
        case Undeploy(deployed_id):
            return "undeploy new" if deployed_id == NEW.deployed_id else f"undeploy {deployed_id}"
        case Finish(result):
            return result
        case _:
            return type(step).__name__.lower()


ONLY_OLD = {OLD.deployed_id: OLD.version}
RUNNING = OperationView(done=False)
ENDED = OperationView(done=True)
BROKEN = OperationView(done=True, error="no quota")
ASK = Ask(action="roll_back", by="ann", reason="complaints", at=NOW)
RESUME = Ask(action="resume", by="ann", reason="mended", at=NOW)


@pytest.mark.parametrize(
    ("before", "around", "after"),
    [
        pytest.param(record(Phase.IDLE, challenger=None), view(deployed=ONLY_OLD), "rest", id="nothing to do"),
        pytest.param(
            record(Phase.IDLE, challenger=None),
            view(deployed=ONLY_OLD, candidate=NEW),
            "registering",
            id="a winner waits",
        ),
        pytest.param(
            record(Phase.IDLE, challenger=None), view(candidate=NEW), "undeploy new", id="an orphan is swept first"
        ),
        pytest.param(
            record(Phase.IDLE, challenger=None),
            view(traffic={}, deployed=ONLY_OLD),
            "rest",
            id="a champion without traffic is not an orphan",
        ),
        pytest.param(
            record(Phase.IDLE, challenger=None, previous=NEW, ask=ASK),
            view(deployed=ONLY_OLD),
            "registering",
            id="back to the version before",
        ),
        pytest.param(
            record(Phase.IDLE, challenger=None, ask=ASK),
            view(deployed=ONLY_OLD),
            "note",
            id="nothing to go back to",
        ),
        pytest.param(record(Phase.REGISTERING), view(deployed=ONLY_OLD), "upload", id="register"),
        pytest.param(
            record(Phase.REGISTERING, operation="op"),
            view(deployed=ONLY_OLD, operation=RUNNING),
            "rest",
            id="registering",
        ),
        pytest.param(
            record(Phase.REGISTERING, operation="op"),
            view(deployed=ONLY_OLD, operation=BROKEN),
            "rolling_back",
            id="registering failed",
        ),
        pytest.param(
            record(Phase.REGISTERING), view(deployed=ONLY_OLD, version="m@2"), "deploying", id="registered"
        ),
        pytest.param(record(Phase.DEPLOYING), view(deployed=ONLY_OLD), "deploy", id="deploy"),
        pytest.param(
            record(Phase.DEPLOYING, operation="op", attempts=1),
            view(deployed=ONLY_OLD, operation=RUNNING),
            "rest",
            id="deploying",
        ),
        pytest.param(
            record(Phase.DEPLOYING, operation="op", attempts=1, entered=NOW - DAY),
            view(deployed=ONLY_OLD, operation=RUNNING),
            "rolling_back",
            id="deploying for too long",
        ),
        pytest.param(
            record(Phase.DEPLOYING, operation="op", attempts=1),
            view(deployed=ONLY_OLD, operation=BROKEN),
            "note",
            id="deploying failed once",
        ),
        pytest.param(
            record(Phase.DEPLOYING, operation="op", attempts=2),
            view(deployed=ONLY_OLD, operation=BROKEN),
            "rolling_back",
            id="deploying failed twice",
        ),
        pytest.param(record(Phase.DEPLOYING, operation="op"), view(operation=ENDED), "step", id="deployed"),
        pytest.param(
            record(Phase.DEPLOYING, operation="op"),
            view(traffic=split(50), operation=ENDED),
            "held",
            id="the split was changed meanwhile",
        ),
        pytest.param(
            record(Phase.DEPLOYING, {}, champion=None),
            view(traffic={}, deployed={NEW.deployed_id: "m@2"}),
            "full",
            id="the first model takes all",
        ),
    ],
)
def test_up_to_the_first_step(before: Rollout, around: RolloutView, after: str) -> None:
    """Register, deploy without traffic, then begin."""
    assert brief(next_step(before, FLIGHTS, around)) == after


def at(step: int, **changes: Any) -> Rollout:
    """A rollout whose split of this step was confirmed an hour ago."""
    share = FLIGHTS.rollout.steps[step]
    return record(Phase.STEP, split(share), step=step, **changes)


LONG = NOW - DAY  # longer than step_time
TOO_LONG = NOW - 8 * DAY  # longer than step_deadline


@pytest.mark.parametrize(
    ("before", "around", "after"),
    [
        pytest.param(record(Phase.STEP), view(), "note", id="intent before traffic"),
        pytest.param(record(Phase.STEP, intended=split(5)), view(), "traffic 5", id="then traffic"),
        pytest.param(record(Phase.STEP, intended=split(5)), view(split(5)), "note", id="then it is read back"),
        pytest.param(record(Phase.STEP), view(split(7)), "held", id="a third split is a person's"),
        pytest.param(at(0), view(split(5), verdict=Verdict.NOT_WORSE), "note", id="too early"),
        pytest.param(at(0, entered=LONG), view(split(5), verdict=Verdict.NOT_WORSE), "step", id="on to 25"),
        pytest.param(
            at(0, entered=LONG), view(split(5), verdict=Verdict.NOT_WORSE, rows=3), "note", id="too few requests"
        ),
        pytest.param(
            at(0, entered=LONG), view(split(5), verdict=Verdict.INCONCLUSIVE), "step", id="small shares may go on"
        ),
        pytest.param(
            at(2, entered=LONG),
            view(split(50), verdict=Verdict.INCONCLUSIVE),
            "note",
            id="all traffic needs evidence",
        ),
        pytest.param(at(2, entered=LONG), view(split(50), verdict=Verdict.NOT_WORSE), "full", id="on to 100"),
        pytest.param(at(1, entered=LONG), view(split(25), verdict=Verdict.NO_DATA), "note", id="no data holds"),
        pytest.param(
            at(1, entered=TOO_LONG),
            view(split(25), verdict=Verdict.NO_DATA),
            "rolling_back",
            id="no data for too long",
        ),
        pytest.param(at(1), view(split(25), verdict=Verdict.WORSE), "rolling_back", id="harm"),
        pytest.param(
            at(1, ask=ASK), view(split(25), verdict=Verdict.NOT_WORSE), "rolling_back", id="a person wants it back"
        ),
        pytest.param(
            at(1), view(split(25), deployed={**BOTH, "99": "x@1"}), "held", id="somebody deployed a stranger"
        ),
        pytest.param(
            at(1), view({OLD.deployed_id: 100}, deployed=ONLY_OLD), "held", id="somebody undeployed the challenger"
        ),
    ],
)
def test_steps(before: Rollout, around: RolloutView, after: str) -> None:
    """Time and requests must both pass; harm returns at once; hands off what a person did."""
    assert brief(next_step(before, FLIGHTS, around)) == after


def test_an_undecided_step_waits_for_a_person_where_the_model_file_says_so() -> None:
    """Others go back by themselves."""
    careful = FLIGHTS.model_copy(update={"rollout": FLIGHTS.rollout.model_copy(update={"undecided": "hold"})})
    found = next_step(at(1, entered=TOO_LONG), careful, view(split(25), verdict=Verdict.NO_DATA))

    assert brief(found) == "held"


FULL = record(Phase.FULL, split(100), step=3)
BACK = record(Phase.ROLLING_BACK, split(25), step=1, reason="worse")


@pytest.mark.parametrize(
    ("before", "around", "after"),
    [
        pytest.param(FULL, view(split(100)), "rest", id="soaking"),
        pytest.param(FULL, view(split(100), verdict=Verdict.INCONCLUSIVE), "note", id="soaking, seen"),
        pytest.param(FULL, view(split(100), verdict=Verdict.WORSE), "rolling_back", id="harm while soaking"),
        pytest.param(FULL.but(entered=NOW - 2 * DAY), view(split(100)), "cleanup", id="soaked"),
        pytest.param(
            record(Phase.CLEANUP, split(100)), view(split(100)), "undeploy 1000000000", id="the champion goes"
        ),
        pytest.param(
            record(Phase.CLEANUP, split(100)),
            view(split(100), deployed={NEW.deployed_id: "m@2"}),
            "promoted",
            id="promoted",
        ),
        pytest.param(
            record(Phase.CLEANUP, split(100), intended=split(100), entered=TOO_LONG),
            view(split(50)),
            "held",
            id="a person changed the split after the soak",
        ),
        pytest.param(
            record(Phase.CLEANUP, split(50), intended=split(100)),
            view(split(50)),
            "traffic 100",
            id="the split of the cleanup is given again",
        ),
        pytest.param(
            record(Phase.CLEANUP, split(50), intended=split(100), entered=TOO_LONG),
            view(split(50)),
            "held",
            id="the endpoint does not take the split of the cleanup",
        ),
        pytest.param(
            record(Phase.CLEANUP, split(100), entered=TOO_LONG, retired=()),
            view(split(100)),
            "note",
            id="a champion that will not go is noted",
        ),
        pytest.param(
            record(Phase.CLEANUP, split(100), entered=TOO_LONG),
            view(split(100)),
            "promoted",
            id="and keeps the rollout no longer",
        ),
        pytest.param(BACK, view(split(25)), "note", id="the way back: intent"),
        pytest.param(BACK.but(intended=split(0)), view(split(25)), "traffic 0", id="the way back: traffic"),
        pytest.param(BACK.but(intended=split(0)), view(split(0)), "note", id="the way back: read back"),
        pytest.param(
            record(Phase.ROLLING_BACK, operation="op"),
            view(operation=RUNNING),
            "rest",
            id="the way back waits for a deploy under way",
        ),
        pytest.param(record(Phase.ROLLING_BACK), view(), "undeploy new", id="the way back: undeploy"),
        pytest.param(record(Phase.ROLLING_BACK), view(deployed=ONLY_OLD), "rolled_back", id="the way back: over"),
        pytest.param(BACK, view(split(60)), "held", id="the way back: a person changed it"),
        pytest.param(
            record(Phase.ROLLING_BACK, {NEW.deployed_id: 100}, champion=None),
            view({NEW.deployed_id: 100}),
            "held",
            id="no champion to return to",
        ),
        pytest.param(record(Phase.HELD, held_from=Phase.STEP), view(split(7)), "rest", id="held"),
        pytest.param(
            record(Phase.HELD, held_from=Phase.STEP, ask=RESUME), view(split(7)), "step", id="resumed by a person"
        ),
        pytest.param(
            record(Phase.HELD, held_from=Phase.STEP, ask=ASK),
            view(split(7)),
            "rolling_back",
            id="taken back by a person",
        ),
    ],
)
def test_the_end(before: Rollout, around: RolloutView, after: str) -> None:
    """Soak, clean up, or return."""
    assert brief(next_step(before, FLIGHTS, around)) == after


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("champion", [OLD, None])
@pytest.mark.parametrize("step", range(4))
def test_every_wanted_split_sums_to_100_or_is_empty(phase: Phase, champion: Serving | None, step: int) -> None:
    """And it names only the two models of the rollout."""
    wanted = desired_split(record(phase, champion=champion, step=step), FLIGHTS)

    assert sum(wanted.values()) in (0, 100)
    assert set(wanted) <= {OLD.deployed_id, NEW.deployed_id}


@pytest.mark.parametrize("phase", [p for p in Phase if p is not Phase.CLEANUP])
@pytest.mark.parametrize("traffic", range(0, 101, 5))
@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_champion_is_undeployed_in_cleanup_only(phase: Phase, traffic: int, verdict: Verdict) -> None:
    """Whatever the phase, split and verdict."""
    held_from = Phase.STEP if phase is Phase.HELD else None
    around = view(split(traffic), verdict=verdict, operation=ENDED)

    step = next_step(record(phase, split(traffic), held_from=held_from), FLIGHTS, around)

    assert step != Undeploy(OLD.deployed_id)


def test_unused_names_are_used() -> None:
    """Each kind of step can happen: none of them is dead."""
    assert {Deploy, Finish, Go, Note, Rest, Traffic, Undeploy, Upload} == {
        type(next_step(before, FLIGHTS, around))
        for before, around in (
            (record(Phase.DEPLOYING), view(deployed=ONLY_OLD)),
            (record(Phase.ROLLING_BACK), view(deployed=ONLY_OLD)),
            (record(Phase.REGISTERING), view(deployed=ONLY_OLD, version="m@2")),
            (record(Phase.STEP), view()),
            (record(Phase.IDLE, challenger=None), view(deployed=ONLY_OLD)),
            (record(Phase.STEP, intended=split(5)), view()),
            (record(Phase.ROLLING_BACK), view()),
            (record(Phase.REGISTERING), view(deployed=ONLY_OLD)),
        )
    }
