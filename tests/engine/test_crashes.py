"""A crash at every effect: before it, after it, or with its answer lost. The same end is reached."""

from collections.abc import Callable

import pytest

from retraining.errors import Temporary
from retraining.records import RunState
from tests.engine.cloud import Cloud


class Crash(BaseException):
    """The process dies here. No handler of ours may catch it."""


class Faulty:
    """Performs effects, and fails at the n-th of them in one way."""

    def __init__(self, at: int = -1, mode: str = "") -> None:
        self.count, self.at, self.mode = 0, at, mode
        self.names: list[str] = []

    def __call__(self, name: str, act: Callable[[], object]) -> object:
        """See Effect."""
        self.count += 1
        self.names.append(name)
        if self.count != self.at:
            return act()
        if self.mode == "before":
            raise Crash(name)
        result = act()
        if self.mode == "after":
            raise Crash(name)
        raise Temporary(f"{name}: the answer was lost after {result!r}")


def story(effect: Faulty) -> Cloud:
    """Two runs: a first model, and one that takes over from it. A crash ends a tick, never the system."""
    cloud = Cloud(effect=effect)
    for number in (1, 2):
        fact = f"fact-{number}"
        for _ in range(120):
            try:
                cloud.trigger(key=fact)  # Pub/Sub delivers until it is acknowledged, and then again
                cloud.tick()
            except (Crash, Temporary):
                continue
            runs = cloud.all_runs
            if len(runs) >= number and all(run.state.ended for run in runs) and not cloud.store.list("active/"):
                break
        else:
            raise AssertionError(f"stuck: {[(r.run_id, r.state, r.history[-1].reason) for r in cloud.all_runs]}")
        cloud.now = cloud.now.replace(day=1, hour=0, month=cloud.now.month + 2)
        cloud.new_rows()
    return cloud


def fault_free() -> Faulty:
    """The names of all effects of the story, in order."""
    recorder = Faulty()
    story(recorder)
    return recorder


EFFECTS = fault_free().names


@pytest.mark.parametrize("mode", ["before", "after", "lost"])
@pytest.mark.parametrize("at", range(1, len(EFFECTS) + 1))
def test_one_fault_changes_no_end(at: int, mode: str) -> None:
    """Two facts end in two promoted runs, the second serves alone, and no job did a run's work twice."""
    cloud = story(Faulty(at, mode))
    champion = cloud.rollout.champion
    assert champion is not None

    assert [run.state for run in cloud.all_runs] == [RunState.PROMOTED, RunState.PROMOTED], EFFECTS[at - 1]
    assert cloud.split == {champion.deployed_id: 100}
    assert champion.run_id == cloud.all_runs[-1].run_id


def test_the_story_has_many_effects() -> None:
    """Or the test above proves little."""
    assert len(EFFECTS) > 80
