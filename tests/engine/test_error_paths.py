"""Errors that were signalled, each handled as it says: the real engines, where a port or a record misbehaves."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local.memory.endpoints import MemoryEndpoints
from retraining import names, rollout_loop, run_loop
from retraining.errors import BadConfig, Conflict, Refused
from retraining.health import rollouts_health, runs_health
from retraining.intake import Claim
from retraining.modelfile import load_models
from retraining.modules import specs
from retraining.reach import reachable
from retraining.records import MAX_CAUSES, RunState
from retraining.rollouts import Phase
from retraining.run_effects import take_turn
from retraining.state import put, read_rollout, read_state
from retraining.triggers import Kind
from retraining.views import VersionView
from tests.engine.cloud import Cloud
from tests.engine.test_loop import until
from tests.unit.build import SPECS, run, trigger

SPEC = SPECS["flights"]


class Changed:
    """A port of which some calls behave otherwise."""

    def __init__(self, port: Any, **calls: Callable[..., Any]) -> None:
        self._port, self._calls = port, calls

    def __getattr__(self, name: str) -> Any:
        return self._calls.get(name) or getattr(self._port, name)


def refuse(*_: object, **__: object) -> Any:
    """What a service answers that understood and will not."""
    raise Refused("not you, not here, not now")


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


# Taking in triggers ----------------------------------------------------------------------


def test_two_ticks_claim_a_trigger_for_one_run(cloud: Cloud) -> None:
    """The second finds the first one's claim, follows it, and finds the inbox empty behind it."""
    for key in ("one", "two"):
        cloud.trigger(key=key)
    inside: list[str] = []

    def between(name: str, act: Callable[[], object]) -> object:
        if name == "claim trigger" and not inside:
            inside.append(name)
            run_loop.tick(cloud.runs)
        return act()

    cloud.effect = between
    cloud.tick()

    assert [len(found.causes) for found in cloud.all_runs] == [2]
    assert cloud.store.list("inbox/") == []


def test_a_claim_that_somebody_else_wrote_meanwhile_is_followed(cloud: Cloud) -> None:
    """It was not there when it was looked for, and is there when it is written: the first one decides."""
    cloud.trigger(key="one")
    path = names.claim_path("flights", "one")

    def between(name: str, act: Callable[[], object]) -> object:
        if name == "claim trigger" and cloud.store.read(path) is None:
            other = Claim(run_id="flights-20130101-000000-0000", trigger=trigger(Kind.DATA, key="one"))
            cloud.store.create(path, other.to_json())
        return act()

    cloud.effect = between
    cloud.tick()

    assert [each.run_id for each in cloud.all_runs] == ["flights-20130101-000000-0000"]


def test_a_trigger_that_comes_as_its_run_ends_opens_the_next(cloud: Cloud) -> None:
    """The state still names the run that collected; that run takes nothing in any more."""
    cloud.trigger(key="one")
    cloud.settle()
    state, version = read_state(cloud.store, "flights")
    put(
        cloud.store,
        cloud.effect,
        "as before",
        names.model_path("flights"),
        state.but(waiting_run=cloud.all_runs[0].run_id),
        version,
    )
    cloud.trigger(key="two")
    cloud.tick()

    assert [len(found.causes) for found in cloud.all_runs] == [1, 1]


def test_a_storm_of_triggers_is_counted_and_kept_short(cloud: Cloud) -> None:
    """The record holds the first ones."""
    for number in range(MAX_CAUSES + 3):
        cloud.trigger(key=f"fact-{number}")
    cloud.tick()
    (only,) = cloud.all_runs

    assert (len(only.causes), only.more_causes) == (MAX_CAUSES, 3)


def test_a_trigger_of_an_unknown_model_stays_where_it_is(cloud: Cloud) -> None:
    """Its model file may come with the next delivery; nothing else is held up."""
    cloud.store.create("inbox/trains/x.json", "{}")
    cloud.trigger()
    cloud.tick()

    assert cloud.store.list("inbox/") == ["inbox/trains/x.json"]
    assert len(cloud.all_runs) == 1


def test_a_marker_without_a_record_is_passed_over(cloud: Cloud) -> None:
    """The record is written after it."""
    cloud.store.create(names.active_path("flights-1"), "{}")
    run_loop.tick(cloud.runs, cloud.reports.append)

    assert cloud.reports == []


# Runs ------------------------------------------------------------------------------------


def test_whoever_comes_second_does_not_take_the_turn(cloud: Cloud) -> None:
    """Between the look at the state and the write another run took it."""
    state, version = read_state(cloud.store, "flights")
    put(cloud.store, cloud.effect, "turn", names.model_path("flights"), state.but(active_run="flights-9"), version)
    take_turn(cloud.runs, SPEC, run(), "1", None, None)  # type: ignore[arg-type]

    assert read_state(cloud.store, "flights")[0].active_run == "flights-9"


def test_a_refused_snapshot_blocks_the_run(cloud: Cloud) -> None:
    """A column is gone since the rows were counted: asking again would not help."""
    cloud.runs = replace(cloud.runs, warehouse=Changed(cloud.warehouse, snapshot=refuse))
    cloud.trigger()
    cloud.settle()

    assert cloud.all_runs[0].state is RunState.BLOCKED_DATA
    assert cloud.all_runs[0].problems == ("not you, not here, not now",)


def test_a_run_without_money_is_skipped_with_its_reason(cloud: Cloud) -> None:
    """Another run took the last of it after the policy had said yes."""
    cloud.trigger()

    def spend(name: str, act: Callable[[], object]) -> object:
        done = act()
        if name == "move to launching":
            month = f'{{"model": "flights", "month": "{cloud.now:%Y%m}", "spent": {{"flights-9": 1e9}}}}'
            cloud.store.create(names.budget_path("flights", cloud.all_runs[0].opened), month)
        return done

    cloud.effect = spend
    cloud.settle()

    assert cloud.all_runs[0].state is RunState.SKIPPED
    assert cloud.all_runs[0].history[-1].reason.startswith("budget: ")


def test_a_refused_job_fails_the_run(cloud: Cloud) -> None:
    """It would be refused again, and costs nothing."""
    cloud.runs = replace(cloud.runs, jobs=Changed(cloud.jobs, launch=refuse))
    cloud.trigger()
    cloud.settle()

    assert cloud.all_runs[0].history[-1].reason == "Vertex AI refused: not you, not here, not now"
    assert cloud.all_runs[0].spent == 0


def test_a_job_that_the_list_forgot_is_found_by_its_name(cloud: Cloud) -> None:
    """The list lags behind for ever; the record knows the name."""
    cloud.runs = replace(cloud.runs, jobs=Changed(cloud.jobs, find=lambda run_id, kind: []))
    first = cloud.promoted()

    assert first.state is RunState.PROMOTED


def test_a_fence_that_nobody_can_read_names_no_holder(cloud: Cloud) -> None:
    """The job went home, as it must, and the run says that there is no report."""
    cloud.trigger()
    while not cloud.jobs.all():
        cloud.tick()
    fence = names.fence_path(cloud.all_runs[0].run_id, "train", 1)
    cloud.artifacts.write(f"gs://artifacts/{fence}", b"[1, 2")
    cloud.settle()

    assert cloud.all_runs[0].history[-1].reason == "the train job ended without writing its report"


def test_a_report_of_another_run_is_not_taken(cloud: Cloud) -> None:
    """It is reported at every tick, until a deadline ends the run."""
    cloud.trigger()
    while not cloud.jobs.all():
        cloud.tick()
    cloud.finished.update(job.name for job in cloud.jobs.all())
    (only,) = cloud.all_runs
    cloud.artifacts.write(
        f"gs://artifacts/runs/{only.run_id}/report/manifest.json",
        b'{"run_id": "flights-9", "files": {}, "digest": "x", "spec_digest": "s", "data_digest": "d", '
        b'"code_digest": "c", "parameters": {}, "versions": {}, "seed": 1}',
    )
    cloud.tick()

    assert "expected a report of its own run, got one of 'flights-9'" in cloud.reports[-1]
    assert cloud.all_runs[0].state is RunState.TRAINING


# Rollouts --------------------------------------------------------------------------------


def test_a_record_that_moves_while_the_endpoint_is_read_is_left_alone(cloud: Cloud) -> None:
    """What was seen belongs to no single moment."""
    cloud.promoted()
    record, version = read_rollout(cloud.store, "flights", "flights")

    def moving(endpoint: str) -> Any:
        put(cloud.store, cloud.effect, "move", names.rollout_path("flights"), record, version)
        return cloud.endpoints.view(endpoint)

    cloud.rollouts = replace(cloud.rollouts, endpoints=Changed(cloud.endpoints, view=moving))

    with pytest.raises(Conflict, match="moved while its endpoint was read"):
        rollout_loop.advance(cloud.rollouts, SPEC)


def test_a_missing_endpoint_is_said(cloud: Cloud) -> None:
    """Nobody makes one by itself: that is Terraform's."""
    cloud.rollouts = replace(cloud.rollouts, endpoints=MemoryEndpoints(cloud.operations))

    with pytest.raises(Refused, match="expected one of this display name, found none"):
        rollout_loop.reconcile(cloud.rollouts, SPEC)


def test_an_endpoint_that_obeys_in_words_only_does_not_hold_a_tick(cloud: Cloud) -> None:
    """It says yes and changes nothing: the tick ends after a number of steps, and the next one tries again."""
    cloud.promoted()
    cloud.trigger(key="second")
    until(cloud, Phase.STEP)
    told: list[dict[str, int]] = []
    lying = Changed(cloud.endpoints, set_traffic=lambda endpoint, split, etag: told.append(split))
    record, version = read_rollout(cloud.store, "flights", "flights")
    put(
        cloud.store,
        cloud.effect,
        "back",
        names.rollout_path("flights"),
        record.but(phase=Phase.ROLLING_BACK),
        version,
    )
    cloud.rollouts = replace(cloud.rollouts, endpoints=lying)
    rollout_loop.reconcile(cloud.rollouts, SPEC)

    assert 0 < len(told) <= rollout_loop.MAX_STEPS


def test_an_operation_that_nobody_knows_any_more_has_ended(cloud: Cloud) -> None:
    """Vertex AI forgets operations; the endpoint itself tells how it went."""

    def forgotten(name: str) -> Any:
        return refuse() if "/endpoints/" in name else cloud.operations.view(name)

    cloud.rollouts = replace(cloud.rollouts, operations=Changed(cloud.operations, view=forgotten))
    first = cloud.promoted()

    assert first.state is RunState.PROMOTED


def test_a_candidate_that_was_cancelled_leaves_the_queue(cloud: Cloud) -> None:
    """Nobody deploys what nobody wants."""
    cloud.promoted()
    cloud.store.create(names.candidate_path("flights", "flights-never"), "{}")
    rollout_loop.tick(cloud.rollouts)

    assert cloud.store.list("candidates/") == []
    assert cloud.rollout.phase is Phase.IDLE


def test_a_version_of_other_files_is_not_deployed(cloud: Cloud) -> None:
    """Somebody registered something else under the run's alias."""
    cloud.promoted()
    other = VersionView("models/flights@9", {}, "gs://elsewhere/model")
    cloud.rollouts = replace(cloud.rollouts, registry=Changed(cloud.registry, find=lambda model, alias: other))
    cloud.trigger(key="second")
    for _ in range(10):
        cloud.tick()

    assert "expected a version of gs://artifacts/" in cloud.reports[-1]
    assert list(cloud.split.values()) == [100]


def test_a_deploy_that_is_on_its_way_is_not_begun_again(cloud: Cloud) -> None:
    """The first answer was lost: the second request meets the first one's deploy."""
    cloud.trigger()
    until(cloud, Phase.DEPLOYING)
    lost: list[str] = []

    def lose(name: str, act: Callable[[], object]) -> object:
        done = act()
        if name == "deploy model" and not lost:
            lost.append(name)
            raise Conflict("the answer never came")
        return done

    cloud.effect = lose
    cloud.settle()

    assert cloud.all_runs[0].state is RunState.PROMOTED


# Health and model files ------------------------------------------------------------------


def test_a_record_of_a_newer_release_is_not_overdue(cloud: Cloud) -> None:
    """The newer release looks after it."""
    newer = '{"version": 99}'
    for path in (
        names.active_path("r"),
        names.run_path("r"),
        names.rolling_path("flights", 1),
        names.rollout_path("flights"),
    ):
        cloud.store.create(path, newer)

    assert runs_health(cloud.runs).overdue == ()
    assert rollouts_health(cloud.rollouts).overdue == ()


def test_a_record_that_nobody_can_read_is_overdue(cloud: Cloud) -> None:
    """It will not move again by itself."""
    for path in (
        names.active_path("r"),
        names.run_path("r"),
        names.rolling_path("flights", 1),
        names.rollout_path("flights"),
    ):
        cloud.store.create(path, "no json")

    assert runs_health(cloud.runs).overdue == ("r",)
    assert rollouts_health(cloud.rollouts).overdue == ("flights",)


def test_a_model_file_that_is_no_text_is_a_mistake_like_another(tmp_path: Path) -> None:
    """In a folder and in a module set, with the file's name."""
    (tmp_path / "flights.yaml").write_bytes(b"name: fl\xff")

    with pytest.raises(BadConfig, match=r"flights\.yaml: expected UTF-8 text: invalid start byte"):
        load_models(tmp_path)
    with pytest.raises(BadConfig, match=r"models/flights\.yaml: expected UTF-8 text: invalid start byte"):
        specs({"models/flights.yaml": b"name: fl\xff"})


def test_a_file_that_is_no_python_may_need_every_other() -> None:
    """Nobody can say what it imports, so a change of any file counts."""
    sources = {"trainer/main.py": "import (", "trainer/other.py": ""}

    assert reachable(sources, ["trainer/main.py"]) == set(sources)
