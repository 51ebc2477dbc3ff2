"""A record that somebody tampered with: nothing is done by it, the other models go on, and people are told."""

import contextlib
import json
from collections.abc import Callable

import pytest

from retraining import names, rollout_loop, run_loop
from retraining.errors import BadRecord
from retraining.records import RunState
from tests.engine.cloud import Cloud
from tests.unit.build import DAY


def tampered(cloud: Cloud, path: str, change: Callable[[dict[str, object]], object]) -> None:
    """Write ``path`` again, as somebody with the right to write would."""
    stored = cloud.store.read(path)
    assert stored is not None
    found = change(json.loads(stored.body))
    cloud.store.replace(path, found if isinstance(found, str) else json.dumps(found), stored.version)


def ticked(cloud: Cloud, times: int = 3) -> None:
    for _ in range(times):
        cloud.now += DAY / 12
        with contextlib.suppress(BadRecord):  # the cloud reads the rollout as well, to answer requests
            cloud._work()
        for tick, world in ((run_loop.tick, cloud.runs), (rollout_loop.tick, cloud.rollouts)):
            try:
                tick(world, cloud.reports.append)  # type: ignore[arg-type]
            except ExceptionGroup as defects:
                raise AssertionError(f"nobody foresaw {defects.exceptions!r}") from defects


def waiting(cloud: Cloud) -> str:
    """Path of a winner that waits for its rollout."""
    cloud.trigger()
    for _ in range(60):
        cloud.now += DAY / 12
        cloud._work()
        run_loop.tick(cloud.runs, cloud.reports.append)
        if cloud.store.list("candidates/"):
            return names.run_path(cloud.all_runs[-1].run_id)
    raise AssertionError(cloud.reports)


CHANGES: dict[str, Callable[[dict[str, object]], object]] = {
    "not JSON": lambda record: "{",
    "another shape": lambda record: "[1, 2]",
    "huge": lambda record: json.dumps({**record, "history": "x" * 2_000_000}),
    "deep": lambda record: "[" * 100_000,
    "a state that is none": lambda record: {**record, "state": "deployed"},
    "another model": lambda record: {**record, "model": "no-such-model"},
    "another run": lambda record: {**record, "run_id": "../../claims/x"},
    "numbers for text": lambda record: {**record, "run_id": 7, "model": None},
    "a time without end": lambda record: {**record, "opened": "9999-12-31T23:59:59.999999Z"},
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_tampered_run_stops_no_other_and_is_reported(name: str) -> None:
    """Its candidate gets no traffic; the tick ends well."""
    cloud = Cloud()
    before = cloud.promoted()
    champion = cloud.split
    tampered(cloud, waiting(cloud), CHANGES[name])
    written = set(cloud.store.list("runs/"))
    cloud.reports.clear()
    ticked(cloud)

    assert set(cloud.store.list("runs/")) == written  # nothing was written elsewhere
    assert cloud.rollout.champion is not None
    if name != "a time without end":
        assert cloud.split == champion
        assert cloud.rollout.champion.run_id == before.run_id
        assert cloud.reports


def test_a_run_that_claims_another_digest_is_not_deployed() -> None:
    """Manifest, evaluation and record must agree."""
    cloud = Cloud()
    champion = cloud.promoted()
    split = cloud.split
    tampered(cloud, waiting(cloud), lambda record: {**record, "manifest_digest": "of-something-else"})
    ticked(cloud, 6)

    assert (cloud.split, cloud.rollout.champion and cloud.rollout.champion.run_id) == (split, champion.run_id)
    assert "model refused" in [json.loads(cloud.store.read(p).body)["what"] for p in cloud.store.list("events/")]  # type: ignore[union-attr]


def test_a_run_whose_state_jumped_to_eligible_is_not_deployed() -> None:
    """The evaluation is asked again before anything is registered, and there is none."""
    cloud = Cloud()
    cloud.promoted()
    split = cloud.split
    cloud.trigger()
    for _ in range(2):
        cloud.tick()
    run = cloud.all_runs[-1]
    tampered(cloud, names.run_path(run.run_id), lambda record: {**record, "state": RunState.ELIGIBLE.value})
    cloud.store.create(names.candidate_path("flights", run.run_id), "{}")
    ticked(cloud, 8)

    assert cloud.split == split
    assert cloud.rollout.champion is not None
    assert cloud.rollout.champion.run_id != run.run_id


@pytest.mark.parametrize("path", ["model/saved_model.pb", "model/assets/words.txt", "report/manifest.json"])
def test_an_artefact_that_was_touched_after_its_evaluation_is_not_deployed(path: str) -> None:
    """Written again, planted, or replaced: the rollout ends and says why."""
    cloud = Cloud()
    cloud.promoted()
    split = cloud.split
    run_id = waiting(cloud).removeprefix("runs/").removesuffix(".json")
    cloud.artifacts.write(f"gs://artifacts/runs/{run_id}/{path}", b"{}")
    ticked(cloud, 6)

    assert cloud.split == split
    assert cloud.store.read(names.outcome_path(run_id)) is not None
    assert cloud.all_runs[-1].state is RunState.ROLLED_BACK


@pytest.mark.parametrize("name", ["not JSON", "deep", "another shape", "huge"])
@pytest.mark.parametrize("path", ["models/flights.json", "rollouts/flights.json"])
def test_a_tampered_state_of_a_model_moves_no_traffic(path: str, name: str) -> None:
    cloud = Cloud()
    cloud.promoted()
    split = cloud.split
    tampered(cloud, path, CHANGES[name])
    cloud.trigger()
    cloud.reports.clear()
    ticked(cloud)

    assert cloud.split == split
    if name != "huge":
        assert cloud.reports


def test_a_run_that_cannot_be_read_stops_no_other() -> None:
    """The next model is trained and promoted beside it."""
    cloud = Cloud()
    for prefix in ("runs", "active"):
        cloud.store.create(f"{prefix}/aaa-broken.json", "{")
    cloud.trigger()
    ticked(cloud, 60)

    assert cloud.rollout.champion is not None
    assert list(cloud.split.values()) == [100]
    assert any(line.startswith("aaa-broken: postponed: BadRecord") for line in cloud.reports)
