"""Simulated years; ``python -m tests.prove.simulate`` lives more of them."""

import pytest

from tests.prove.simulate import simulate


@pytest.mark.parametrize("seed", [101, 102])
def test_a_year_with_faults_ends_like_one_without(seed: int) -> None:
    """Every promise holds all year, and every run whose end was known beforehand ended so."""
    lived = simulate(1, seed)

    assert lived.broken == []
    assert lived.troubles > 0
    assert lived.calm > 0
