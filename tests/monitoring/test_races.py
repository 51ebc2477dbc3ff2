"""Two ticks of the monitor at once: the second changes nothing, and says so."""

import pytest

from local.memory.store import MemoryStore
from monitoring.records import ATTEMPTS, keep
from retraining.errors import Conflict
from tests.monitoring.test_handler import Installation
from tests.monitoring.test_records import _verdict


class Contested(MemoryStore):
    """A store in which somebody else writes first, so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    def create(self, path: str, body: str) -> str:
        self._lose(path)
        return super().create(path, body)

    def replace(self, path: str, body: str, version: str) -> str:
        self._lose(path)
        return super().replace(path, body, version)

    def _lose(self, path: str) -> None:
        if path.startswith("monitor/") and self.left:
            self.left -= 1
            raise Conflict(f"record {path}: somebody else was first")


def test_a_verdict_is_added_to_what_somebody_else_wrote() -> None:
    """A lost race is run again, on what the winner left."""
    store = Contested(ATTEMPTS - 1)
    keep(store, "m", "day", [_verdict(0)])

    assert store.left == 0
    assert len(store.list("monitor/")) == 1


def test_a_race_that_is_always_lost_is_left_to_the_next_tick() -> None:
    """It says so instead of trying for ever."""
    with pytest.raises(Conflict):
        keep(Contested(ATTEMPTS), "m", "day", [_verdict(0)])


def test_a_tick_that_another_overtook_says_so() -> None:
    """Nothing is wrong with the model."""
    place = Installation(store=Contested(0))
    place.ordinary(3)
    place.store.left = 1_000  # type: ignore[attr-defined]
    said = place.day()

    assert said == [line for line in said if "another tick was faster" in line]
    assert len(said) == 1
