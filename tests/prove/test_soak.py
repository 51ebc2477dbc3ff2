"""Some seconds of the soak, and that its check sees what it is there to see."""

import random
from datetime import timedelta
from pathlib import Path

import pytest

from local.memory.jobs import MemoryJobs
from local.memory.store import MemoryStore
from retraining import names
from retraining.intake import Claim
from retraining.records import ModelState, Money, Run, RunState
from retraining.triggers import Kind
from tests.prove.soak import Fact, Place, check, soak
from tests.unit.build import NOW, run, trigger

KEY = "manual|0-0"
CAUSE = trigger(Kind.MANUAL, key=KEY)


def ended(run_id: str = "flights-1") -> Run:
    """A run that answers the one fact."""
    return run(run_id=run_id, causes=(CAUSE,)).move(RunState.SKIPPED, "cooldown: too early", NOW)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An installation in which one fact was told, claimed and answered."""
    found = Place(tmp_path, "", MemoryStore(), MemoryJobs(lambda: NOW), random.Random(1))
    found.facts.append(Fact("flights", KEY, "on_manual", {}, NOW))
    found.store.create(names.claim_path("flights", KEY), Claim(run_id="flights-1", trigger=CAUSE).to_json())
    found.store.create(names.run_path("flights-1"), ended().to_json())
    return found


def told(place: Place) -> str:
    """What the check finds."""
    check(place)
    return "; ".join(place.broken)


def test_killed_processes_break_no_promise() -> None:
    part = soak(seed=11, chance=0.06, seconds=8, kills=1000)

    assert not part.broken
    assert int(part.rows[-1][1]) >= 8  # processes killed


def test_a_sound_installation_is_sound(place: Place) -> None:
    assert told(place) == ""


def test_a_fact_that_nobody_claimed_is_seen(place: Place) -> None:
    place.store.delete(names.claim_path("flights", KEY))

    assert f"{KEY} was acknowledged and nobody claimed it" in told(place)


def test_a_fact_with_two_runs_is_seen(place: Place) -> None:
    place.store.create(names.run_path("flights-2"), ended("flights-2").to_json())

    assert f"{KEY} is claimed for flights-1 and answered by ['flights-1', 'flights-2']" in told(place)


def test_a_run_that_has_not_ended_is_seen(place: Place) -> None:
    place.store.create(names.run_path("flights-2"), run(run_id="flights-2").to_json())

    assert "flights-2 is waiting and nothing moves it" in told(place)


def test_a_turn_that_was_kept_is_seen(place: Place) -> None:
    state = ModelState(model="flights", active_run="flights-9")
    place.store.create(names.model_path("flights"), state.to_json())

    assert "flights: flights-9 still has the turn" in told(place)


@pytest.mark.parametrize(
    ("money", "why"),
    [({"spent": {"flights-1": 99.0}}, "99.0 is committed"), ({"reserved": {"flights-1": 0.5}}, "never settled")],
)
def test_money_that_is_wrong_is_seen(place: Place, money: dict[str, dict[str, float]], why: str) -> None:
    record = Money(model="flights", month="202605").but(**money)
    place.store.create(names.budget_path("flights", NOW), record.to_json())

    assert why in told(place)


def test_an_attempt_that_was_trained_twice_is_seen(place: Place) -> None:
    (place.folder / "book").write_text("trained gs://b/fence/flights-1-train-1.json\n" * 2)

    assert "was trained 2 times" in told(place)


def test_time_passes_on_the_clock_of_the_installation(place: Place) -> None:
    (place.folder / "clock").write_text(f"{NOW.isoformat()}*0@0")
    place.later(timedelta(hours=3))

    assert NOW + timedelta(hours=3) <= place.now < NOW + timedelta(hours=4)
