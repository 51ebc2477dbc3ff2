"""One record that this release cannot read, or does not expect, stops no other."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

import pytest

from functions.ticks import Engines
from monitoring.handler import tick
from monitoring.records import watch_path
from retraining import names, run_loop
from retraining.errors import NewerRecord
from retraining.messages.hints import Hint
from retraining.records import RunState
from retraining.rollout_loop import RolloutWorld
from retraining.rollouts import Phase, Rollout, Serving
from retraining.state import RunWorld
from tests.engine.cloud import SETTINGS, Cloud
from tests.monitoring.test_handler import SPEC, Installation
from tests.monitoring.traffic import spec
from tests.unit.build import run

BAD: dict[str, Callable[[dict[str, Any]], str]] = {
    "of a newer version": lambda raw: json.dumps({**raw, "version": 99}),
    "in an unknown state": lambda raw: json.dumps({**raw, "state": "resting", "phase": "resting"}),
    "without its fields": lambda raw: "{}",
    "no JSON": lambda raw: "{",
    "no object": lambda raw: "[]",
    "of version zero": lambda raw: json.dumps({**raw, "version": 0}),
}
bad = pytest.mark.parametrize("spoil", BAD.values(), ids=BAD.keys())


@bad
def test_a_bad_run_stops_no_other_run(spoil: Callable[[dict[str, Any]], str]) -> None:
    """It is reported in every tick, stays as it is, and the other run ends."""
    cloud = Cloud()
    body = spoil(json.loads(run(run_id="flights-0").to_json()))
    cloud.store.create(names.active_path("flights-0"), "{}")
    cloud.store.create(names.run_path("flights-0"), body)
    cloud.trigger()
    for _ in range(60):
        cloud.tick()
    good = [path for path in cloud.store.list("runs/") if "flights-0" not in path]
    stored = cloud.store.read(names.run_path("flights-0"))
    ended = cloud.store.read(good[0])
    assert stored is not None
    assert ended is not None

    assert json.loads(ended.body)["state"] == RunState.PROMOTED
    assert stored.body == body
    assert any(line.startswith("flights-0: ") for line in cloud.reports)


@bad
def test_a_bad_trigger_stops_no_other_trigger(spoil: Callable[[dict[str, Any]], str]) -> None:
    """It stays in the inbox, before one that is taken in."""
    cloud = Cloud()
    cloud.trigger(key="later")
    [path] = cloud.store.list("inbox/")
    stored = cloud.store.read(path)
    assert stored is not None
    raw = json.loads(stored.body)
    kinds = {**raw, "trigger": {**raw["trigger"], "kind": "resting"}}
    cloud.store.create("inbox/flights/a-bad-one.json", spoil(kinds))
    cloud.tick()

    assert cloud.store.list("inbox/") == ["inbox/flights/a-bad-one.json"]
    assert [cause.key for cause in cloud.all_runs[0].causes] == ["later"]


@bad
def test_a_bad_endpoint_stops_no_other_endpoint(spoil: Callable[[dict[str, Any]], str]) -> None:
    """The record of bikes, which comes first, and a promotion of flights."""
    cloud = Cloud()
    cloud.endpoints.add("bikes")
    cloud.store.create("rolling/bikes/1.json", "{}")
    body = spoil(json.loads(Rollout(endpoint="bikes", model="bikes").to_json()))
    cloud.store.create(names.rollout_path("bikes"), body)
    cloud.trigger()
    for _ in range(60):
        cloud.tick()

    assert cloud.all_runs[-1].state is RunState.PROMOTED
    assert any(line.startswith("bikes: ") for line in cloud.reports)


def test_a_bad_candidate_stops_no_other_candidate() -> None:
    """The oldest winner's record cannot be read; the next one takes over."""
    cloud = Cloud()
    cloud.store.create(names.candidate_path("flights", "a-bad-one"), "{}")
    cloud.store.create(names.run_path("a-bad-one"), "{}")
    cloud.trigger()
    for _ in range(60):
        cloud.tick()
    ended = cloud.store.read(next(path for path in cloud.store.list("runs/") if "a-bad-one" not in path))
    assert ended is not None

    assert json.loads(ended.body)["state"] == RunState.PROMOTED
    assert cloud.store.list("candidates/") == [names.candidate_path("flights", "a-bad-one")]


def test_a_newer_candidate_keeps_its_place() -> None:
    """Its release will roll it out; one that came later must not overtake it."""
    cloud = Cloud()
    cloud.store.create(names.candidate_path("flights", "a-newer-one"), "{}")
    cloud.store.create(names.run_path("a-newer-one"), '{"version": 99}')
    cloud.trigger()
    for _ in range(60):
        cloud.tick()

    assert cloud.rollout.phase is Phase.IDLE
    assert any("expected at most 1, got 99" in line for line in cloud.reports)


def test_a_marker_of_another_form_is_left_alone() -> None:
    """A later release may count its rollouts otherwise."""
    cloud = Cloud()
    cloud.store.create("rolling/flights/first-of-may.json", "{}")
    cloud.tick()

    assert cloud.store.list("rolling/") == ["rolling/flights/first-of-may.json"]


def test_a_defect_is_raised_after_the_others_moved() -> None:
    """A rollout without a challenger is nothing that this release writes, so it is a mistake that must be seen."""
    cloud = Cloud()
    cloud.endpoints.add("bikes")
    cloud.store.create("rolling/bikes/1.json", "{}")
    broken = Rollout(endpoint="bikes", model="bikes", phase=Phase.REGISTERING, entered=cloud.now)
    cloud.store.create(names.rollout_path("bikes"), broken.to_json())
    cloud.trigger()
    defects = 0
    for _ in range(60):
        try:
            cloud.tick()
        except ExceptionGroup:
            defects += 1

    assert cloud.all_runs[-1].state is RunState.PROMOTED
    assert defects == 60


def test_a_hint_about_a_newer_run_is_tried_again() -> None:
    """Pub/Sub delivers it until an instance of the newer release gets it."""
    cloud = Cloud()
    cloud.store.create(names.run_path("flights-0"), '{"version": 99}')

    with pytest.raises(NewerRecord, match="run: version: expected at most 1, got 99"):
        run_loop.reconcile(cloud.runs, "flights-0")


@bad
def test_a_bad_watch_stops_no_other_model(spoil: Callable[[dict[str, Any]], str]) -> None:
    """The monitor names the one, and begins with the other."""
    one, other = Installation(), spec("zealous")
    champion = Serving(run_id="run-1", deployed_id="1")
    body = Rollout(endpoint=other.endpoint, model=other.name, champion=champion).to_json()
    one.store.create(names.rollout_path(other.endpoint), body)
    one.store.create(watch_path(SPEC.name), spoil({"model": SPEC.name}))
    bad_one, good_one = tick(replace(one.world(), models={SPEC.name: SPEC, other.name: other}))

    assert bad_one.startswith("punctual: failed, ")
    assert good_one == "zealous: watched from now on"


class Ticks(Engines):
    """The functions' engines over a world in memory."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(SETTINGS, cloud.intake)
        self._cloud = cloud

    @cached_property
    def _runs(self) -> RunWorld:
        return self._cloud.runs

    @cached_property
    def _rollouts(self) -> RolloutWorld:
        return self._cloud.rollouts


def test_a_newer_record_fails_no_tick_and_no_alarm(capsys: pytest.CaptureFixture[str]) -> None:
    """Pub/Sub need not deliver the tick again: each message would fail as long as two releases are at work. How the
    open work stands is told all the same."""
    cloud = Cloud()
    cloud.trigger()
    cloud.tick()
    cloud.store.create(names.budget_path("flights", cloud.now), '{"version": 99}')
    Ticks(cloud).run_tick(Hint("tick"))
    lines = [json.loads(line)["message"] for line in capsys.readouterr().out.splitlines()]

    assert any(line.startswith("flights-20260504-140000") and "NewerRecord: money" in line for line in lines)
    assert "runs" in lines


def test_a_defect_hides_no_alarm(capsys: pytest.CaptureFixture[str]) -> None:
    """How the open work stands is told before the defect is raised."""
    cloud = Cloud()
    cloud.store.create("rolling/flights/1.json", "{}")
    broken = Rollout(endpoint="flights", model="flights", phase=Phase.REGISTERING, entered=cloud.now)
    cloud.store.create(names.rollout_path("flights"), broken.to_json())
    with pytest.raises(ExceptionGroup):
        Ticks(cloud).candidate_tick(Hint("tick"))
    last = json.loads(capsys.readouterr().out.splitlines()[-1])

    assert (last["message"], last["open"]) == ("rollouts", "1")
