"""The searches, and that they can find something: a search that finds no defect proves nothing else."""

from dataclasses import replace

import pytest

from retraining.errors import Exists
from tests.prove import launch, rollout
from tests.prove.cloud import Box, Cloud, PlainEndpoints, PlainStore
from tests.prove.explore import State, Violation, search
from tests.prove.launch import straight
from tests.prove.search import MODELS, look
from tests.unit.build import NOW


@pytest.mark.parametrize("name", MODELS)
def test_no_promise_is_broken(name: str) -> None:
    """In the first few thousand states."""
    found = look(name, 4000).result

    assert found.broken == "", "\n".join(found.story)
    assert found.states == 4000
    assert found.ends > 0


class Unfenced(launch.Launch):
    """Launches as they would be if jobs took no fence."""

    def next(self, state: State):  # type: ignore[no-untyped-def]
        """Without the fence's file, every job works."""
        for words, after in super().next(state):
            cloud = after.world
            assert isinstance(cloud, Cloud)
            files = {uri: body for uri, body in cloud.files.items() if "/fence/" not in uri}
            yield words, replace(after, world=replace(cloud, files=files))


def test_a_missing_fence_is_found() -> None:
    """Two jobs train, and the story tells how."""
    few = launch.Bounds(deliveries=1, crashes=0, losses=0, stales=0)
    found = search(Unfenced(few), 60_000)

    assert found.broken.startswith("one fact was trained 2 times")
    assert sum("launch train" in event for event in found.story) == 2


def test_a_search_of_a_small_world_sees_all_of_it() -> None:
    """And says so."""
    found = search(
        rollout.Rolling(rollout.Bounds(ticks=1, crashes=0, losses=0, bad_looks=0, failures=0, time=0)), 10_000
    )

    assert found.complete
    assert found.ends > 0


def test_the_plain_store_refuses_a_second_record() -> None:
    """As the real one does; a body without a nonce is anybody's own."""
    store = PlainStore(Box(Cloud(NOW)), straight, frozenset())
    store.create("claims/a.json", '{"nonce":"1"}')
    store.create("active/a.json", "{}")
    store.create("active/a.json", "{}")

    with pytest.raises(Exists):
        store.create("claims/a.json", '{"nonce":"2"}')


def test_a_split_that_names_nobody_is_a_violation() -> None:
    """The watcher sees what is asked for, before the server refuses it."""
    box = Box(rollout.first_cloud())
    endpoints = PlainEndpoints(box, straight, frozenset(), rollout.watch)

    with pytest.raises(Violation, match="names what is not deployed"):
        endpoints.set_traffic("flights", {rollout.CHALLENGER: 100}, str(box.cloud.etag))


def test_the_champion_may_not_go_before_its_time() -> None:
    """Not while it still has traffic to return to."""
    box = Box(replace(rollout.first_cloud(), split={rollout.CHALLENGER: 50}))
    endpoints = PlainEndpoints(box, straight, frozenset(), rollout.watch)

    with pytest.raises(Violation, match="the champion is taken away"):
        endpoints.undeploy("flights", rollout.CHAMPION)
