"""Pairs of faults, drawn by chance: a small part of what ``make prove`` tells."""

import random
from itertools import combinations

import pytest

from tests.prove import crashes

COUNT = len(crashes.fault_free())
DRAWN = random.Random(2).sample(list(combinations(range(1, COUNT + 1), 2)), 60)


@pytest.mark.parametrize(("first", "second"), DRAWN)
def test_two_faults_change_no_end(first: int, second: int) -> None:
    """Two modes by the effects' numbers, so that all of them meet."""
    modes = crashes.MODES

    assert not crashes.tell({first: modes[first % len(modes)], second: modes[second % len(modes)]})
