"""Every reason to skip a run, and every way to launch one."""

from datetime import timedelta
from typing import Any

import pytest

from retraining.incidents import Incident
from retraining.policy import Situation, cooldown, decide, features_digest
from retraining.records import ModelState, Pause
from retraining.triggers import Ask, Kind
from retraining.views import Watermark
from tests.unit.build import DAY, FLIGHTS, HOUR, NOW, money, run, state, trigger

SEEN = NOW - 10 * DAY  # what the last run has seen
PAUSE = Pause(by="ann", reason="audit", at=NOW - DAY)


def situation(known: ModelState | None = None, **changes: Any) -> Situation:
    """A champion serves, the last launch was long ago, and many rows are new."""
    values: dict[str, Any] = {
        "now": NOW,
        "state": known or state(watermark=SEEN, launches=(SEEN,)),
        "money": money(),
        "has_champion": True,
        "watermark": Watermark(newest=NOW - HOUR, new_rows=50_000),
    }
    return Situation(**(values | changes))


RECENT = state(watermark=SEEN, launches=(NOW - DAY,))
BUSY = state(watermark=SEEN, launches=(NOW - 4 * HOUR, NOW - 3 * HOUR))
FEW = Watermark(newest=NOW, new_rows=12)
SPENT = money(spent={"old": 39.9})
MANUAL = (trigger(Kind.MANUAL),)
FORCED = (trigger(Kind.MANUAL, force=True),)
BROKEN = Incident(
    incident_id="flights-1",
    model="flights",
    kind="data",
    opened=NOW - DAY,
    features={"delay": 2.0},
    windows=(NOW - DAY,),
    baseline_id="run-1",
    why="delay: every value is the same",
)
OLD_FACT = (trigger(Kind.DRIFT, at=SEEN - DAY),)


@pytest.mark.parametrize(
    ("causes", "around", "code"),
    [
        pytest.param(None, situation(state(paused=PAUSE)), "paused", id="paused"),
        pytest.param(FORCED, situation(state(paused=PAUSE)), "paused", id="a pause also holds for people"),
        pytest.param(None, situation(incident=BROKEN), "broken_feed", id="the live feed is broken"),
        pytest.param(
            MANUAL, situation(incident=BROKEN), "broken_feed", id="a broken feed also stops people who do not force"
        ),
        pytest.param(None, situation(RECENT), "cooldown", id="cooling down"),
        pytest.param(OLD_FACT, situation(), "already_answered", id="older than the last snapshot"),
        pytest.param(None, situation(watermark=FEW), "too_few_new_rows", id="too few new rows"),
        pytest.param(
            (trigger(Kind.DRIFT),), situation(watermark=FEW), "too_few_new_rows", id="too few to learn the drift"
        ),
        pytest.param(
            None,
            situation(watermark=FEW.but(new_rows=19_999)),
            "too_few_new_rows",
            id="too few to ask by themselves",
        ),
        pytest.param(MANUAL, situation(BUSY), "storm", id="too many launches in a day"),
        pytest.param(None, situation(money=SPENT), "budget", id="no money left"),
        pytest.param(FORCED, situation(money=SPENT), "budget", id="nobody may force the budget"),
        pytest.param((trigger(dry_run=True),), situation(), "dry_run", id="dry run"),
    ],
)
def test_a_skip_has_its_code(causes: Any, around: Situation, code: str) -> None:
    """Each reason to skip is told apart by its code."""
    waiting = run(causes=causes) if causes else run()

    decision = decide(FLIGHTS, waiting, around)

    assert (decision.action, decision.code) == ("skip", code)


@pytest.mark.parametrize(
    ("causes", "around", "action", "code"),
    [
        pytest.param(None, situation(), "train", "data", id="new data trains"),
        pytest.param((trigger(Kind.SCHEDULE),), situation(), "train", "schedule", id="a schedule trains"),
        pytest.param((trigger(Kind.DRIFT),), situation(), "train", "drift", id="drift trains"),
        pytest.param(
            (trigger(Kind.DRIFT),),
            situation(watermark=FEW.but(new_rows=2000)),
            "train",
            "drift",
            id="drift needs fewer new rows than data alone",
        ),
        pytest.param(MANUAL, situation(RECENT), "train", "manual", id="people override the cooldown"),
        pytest.param(MANUAL, situation(watermark=FEW), "train", "manual", id="people override the row count"),
        pytest.param(FORCED, situation(BUSY), "train", "manual", id="force overrides the storm limit"),
        pytest.param(FORCED, situation(incident=BROKEN), "train", "manual", id="force overrides a broken feed"),
        pytest.param(
            None, situation(incident=BROKEN.but(kind="drift")), "train", "data", id="a changed world is trained on"
        ),
        pytest.param(
            None, situation(incident=BROKEN.but(closed=NOW)), "train", "data", id="the feed is whole again"
        ),
        pytest.param(
            None,
            situation(incident=BROKEN.but(opened=NOW - 20 * DAY, windows=(NOW - 15 * DAY,))),
            "train",
            "data",
            id="nobody looked at the feed for two weeks",
        ),
        pytest.param((trigger(Kind.MANUAL, ask=Ask.TUNE),), situation(), "tune", "manual", id="asked to tune"),
        pytest.param(
            None, situation(state(watermark=SEEN, runs_since_tuning=10)), "tune", "data", id="tuning is due"
        ),
        pytest.param(
            None, situation(state(watermark=SEEN, features_digest="old")), "tune", "data", id="features changed"
        ),
        pytest.param(
            (trigger(Kind.MANUAL, ask=Ask.TRAIN),),
            situation(state(runs_since_tuning=99)),
            "train",
            "manual",
            id="asked to train only",
        ),
        pytest.param(None, situation(state(), has_champion=False), "train", "first_run", id="first run"),
    ],
)
def test_a_launch_has_its_action_and_code(causes: Any, around: Situation, action: str, code: str) -> None:
    """What launches, and as what."""
    waiting = run(causes=causes) if causes else run()

    decision = decide(FLIGHTS, waiting, around)

    assert (decision.action, decision.code) == (action, code)


def test_a_broken_feed_is_named_with_its_reason() -> None:
    """People read in the run's story which incident stopped it, and why it is open."""
    decision = decide(FLIGHTS, run(), situation(incident=BROKEN))

    assert decision.text.startswith("data incident flights-1 is open since")
    assert decision.text.endswith("delay: every value is the same")


def test_the_same_features_do_not_ask_for_tuning() -> None:
    """Only a change of the features asks for tuning."""
    known = state(watermark=SEEN, features_digest=features_digest(FLIGHTS))

    decision = decide(FLIGHTS, run(), situation(known))

    assert decision.action == "train"


@pytest.mark.parametrize(
    ("failures", "expected"),
    [(0, 3), (1, 3), (2, 6), (3, 7), (40, 7)],
)
def test_the_cooldown_doubles_with_failures(failures: int, expected: int) -> None:
    """From the second failure in a row on, up to a week."""
    assert cooldown(FLIGHTS, failures) == timedelta(days=expected)


def test_every_reason_is_a_sentence_with_its_figures() -> None:
    """People read the text, not the code."""
    decision = decide(FLIGHTS, run(), situation(watermark=FEW))

    assert decision.text == "12 labelled rows are new, fewer than 20000"
