"""Association of two features: seen when it changes, and only then."""

from typing import Any

import numpy as np
import pytest

from benchmarks.adapters import drifting_features
from benchmarks.columns import count_columns, define_columns
from monitoring.judge import Rule, from_training, judge
from monitoring.pairs import centred, directions, layout, margins, members, raked, shares

Array = np.ndarray[Any, Any]
KINDS: dict[str, Any] = {"a": "num", "b": "num", "c": "cat", "d": "num"}


def draw(random: np.random.Generator, n: int, rho: float = 0.0, shift: float = 0.0) -> dict[str, Array]:
    """Two numbers that hang together by ``rho``, a category that hangs on the first of them, and a count."""
    a, noise = random.normal(size=n), random.normal(size=n)
    return {
        "a": a + shift,
        "b": np.exp(rho * a + np.sqrt(1 - rho**2) * noise),
        "c": np.where(a + random.normal(size=n) > 0, "up", "down"),
        "d": random.poisson(3, n),
    }


def flagged(usual: dict[str, Array], now: dict[str, Array]) -> set[str]:
    """Series flagged without any history."""
    made = define_columns(usual, KINDS, paired=True)
    found = judge(made, count_columns(made, now), from_training(made), Rule())
    return {finding.feature for finding in found if finding.flagged}


def test_a_correlation_that_changes_is_seen() -> None:
    random = np.random.default_rng(1)

    assert flagged(draw(random, 20_000), draw(random, 2000, rho=0.2)) == {"a × b"}


def test_the_same_correlation_is_not() -> None:
    random = np.random.default_rng(2)

    assert flagged(draw(random, 20_000, rho=0.8), draw(random, 5000, rho=0.8)) == set()


def test_a_margin_that_moves_does_not_move_the_association() -> None:
    """The first feature moves by half a standard deviation, the category does not follow; only it is flagged."""
    random = np.random.default_rng(3)

    assert flagged(draw(random, 20_000, rho=0.5), draw(random, 5000, rho=0.5, shift=0.5)) == {"a"}


def test_days_give_both_names() -> None:
    random = np.random.default_rng(4)
    days = [draw(random, 4000) for _ in range(20)] + [draw(random, 2000, rho=0.25)]

    assert drifting_features(days, {"a": "num", "b": "num", "d": "num"}, 20, range(20)) == {"a", "b"}


def test_association_that_varies_from_day_to_day_is_ordinary() -> None:
    random = np.random.default_rng(5)
    days = [draw(random, 4000, rho=random.normal(0, 0.2)) for _ in range(28)]
    days += [draw(random, 4000, rho=0.25)]

    assert drifting_features(days, KINDS, 28, range(28)) == set()


def test_a_raked_table_has_the_other_margins_and_its_own_odds_ratios() -> None:
    usual, now = [0.4, 0.1, 0.1, 0.4], [0.3, 0.3, 0.2, 0.2]
    found = raked(usual, now, (2, 2))

    assert [margin for both in margins(found, (2, 2)) for margin in both] == pytest.approx([0.6, 0.4, 0.5, 0.5])
    assert found[0] * found[3] / (found[1] * found[2]) == pytest.approx(16)


def test_centred_scores_do_not_feel_a_margin() -> None:
    table = [0.4, 0.1, 0.1, 0.4]
    found = centred([1.0, 0.0, 0.0, 0.0], table, (2, 2))

    assert found[0] * table[0] + found[1] * table[1] == pytest.approx(0, abs=1e-8)
    assert found[0] * table[0] + found[2] * table[2] == pytest.approx(0, abs=1e-8)


def test_nine_directions_are_uncorrelated() -> None:
    random = np.random.default_rng(6)
    table = shares(random.integers(50, 200, 16).tolist())
    found = np.array(directions(table, (4, 4)))

    assert found @ np.diag(table) @ found.T == pytest.approx(np.eye(9), abs=1e-7)


def test_quarters_without_rows_are_merged() -> None:
    """A yes/no feature fills two of its four quarters."""
    plan = layout([100, 0, 0, 100] * 4, 800)

    assert (plan.shape, plan.free) == ((4, 2), 3)


def test_a_pair_names_its_members() -> None:
    assert (members("a × b"), members("a")) == (("a", "b"), ("a",))
