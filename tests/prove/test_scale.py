"""The costs at small sizes, a small storm, and that the proof sees what it is there to see."""

from datetime import timedelta

import pytest

from benchmarks.scale import NOW, Cost, asked, costs, install
from console.newest import newest_events, newest_runs
from monitoring.handler import in_turn
from retraining import names
from tests.prove.fuzz import quantile
from tests.prove.scale import FACTS, MONITOR, grown, slow, storm, wrong


def test_ticks_cost_what_the_models_with_work_cost() -> None:
    found = {size: costs(size, runs=1000, events=1000) for size in (100, 1000)}

    assert grown(found) == []
    assert found[100]["runs"].operations > 200  # the work that is there was looked at
    assert found[1000][MONITOR].operations == 2000


def test_what_grows_with_models_asleep_is_seen() -> None:
    found = {100: {"runs": Cost(100, 0, 0.0)}, 1000: {"runs": Cost(106, 0, 0.0)}}

    assert grown(found) == ["runs: 1.06 times the operations at 1000 models than at 100"]


def test_the_years_behind_slow_no_question() -> None:
    assert slow(asked(runs=60_000, events=200_000), 60_000, 200_000) == []


def test_a_storm_of_alarms_launches_one_training() -> None:
    seen = storm(300)
    seen.milliseconds = [value for value in seen.milliseconds if value < 10_000]  # speed is for the proof itself

    assert [story for story in wrong(seen) if not story.startswith("p99")] == []
    assert (seen.launches, len(seen.runs), len(seen.milliseconds)) == (1, 1, 300)
    assert len(seen.runs[0].causes) + seen.runs[0].more_causes >= FACTS
    assert quantile(seen.milliseconds, 0.5) > 0


@pytest.mark.parametrize("size", [1, 2, 7, 500])
def test_every_model_is_the_monitors_first_in_its_turn(size: int) -> None:
    """A tick that is always cut off after a tenth still comes to every model within some days."""
    found = [f"m{number:03d}" for number in range(size)]
    turns = [in_turn(found, NOW + timedelta(hours=hour)) for hour in range(48)]

    assert all(sorted(turn) == found for turn in turns)
    assert {name for turn in turns for name in turn[: -(-size // 10)]} == set(found)


def test_the_newest_runs_come_first_and_the_old_ones_when_asked_for() -> None:
    here = install(100, runs=1000, events=10)
    model = sorted(here.models)[2]  # ten runs of the year behind, and one under way
    found = newest_runs(here.store, [model], NOW, 100)

    assert len(found) == 11
    assert found[0].state.ended is False
    assert newest_runs(here.store, [model], NOW, 1, lambda run: run.state.ended) == found[1:2]


def test_the_newest_events_come_first_and_the_old_ones_when_asked_for() -> None:
    here = install(100, runs=100, events=365)
    last = names.event_path(NOW, "last")
    here.store.seed(last, '{"version": 1, "at": "2026-05-04T12:30:00Z", "what": "newest", "model": "m"}')

    assert newest_events(here.store, "", NOW, 1)[0].what == "newest"
    assert len(newest_events(here.store, "m", NOW, 1000)) == 366
