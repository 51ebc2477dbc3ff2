"""What counts as moved: exact cases, and false alarms and power over seeded draws."""

from typing import Any

import numpy as np
import pytest

from benchmarks.adapters import drifting_features, is_drift
from monitoring.baseline import Definition, Definitions, define, definitions
from monitoring.components import fresh, pools, scores, settled
from monitoring.counts import Counts, add
from monitoring.judge import Rule, from_training, is_unit_jump, judge, minimum_detectable
from monitoring.ordinary import Unit, reference_for
from monitoring.statistics import compare
from monitoring.tails import hypergeometric_tails
from monitoring.variation import CHANCE, Spread, learn
from retraining.reports import FeatureBaseline
from tests.monitoring.days import Days
from tests.monitoring.traffic import baseline, spec

Array = np.ndarray[Any, Any]
F30 = {"F": 30}


def counts(*cells: int, null: int = 0, unseen: int = 0, **sums: float) -> Counts:
    """Counts with these cells."""
    return Counts(sum(cells) + null, null, 0, unseen, 0, 0, cells, **sums)


def numeric(*cells: int, null: int = 0) -> Definition:
    """A numeric feature with these training rows."""
    edges = tuple(float(n) for n in range(len(cells) - 1))
    return define("x", FeatureBaseline(kind="numeric", n=sum(cells) + null, n_null=null, counts=cells, edges=edges))


def categorical(*cells: int) -> Definition:
    """A categorical feature with these training rows; the last cell is all unlisted categories."""
    names = tuple(f"c{n}" for n in range(len(cells) - 1))
    return define("x", FeatureBaseline(kind="categorical", n=sum(cells), n_null=0, counts=cells, categories=names))


# Exact rules ----------------------------------------------------------------------


def test_counts_of_disjoint_rows_add_up() -> None:
    assert add([counts(1, 2, null=1), counts(3, 4, unseen=2)]) == Counts(11, 1, 0, 2, 0, 0, (4, 6))


def test_counts_with_other_cells_do_not() -> None:
    with pytest.raises(ValueError, match="expected equal cells"):
        add([counts(1, 2), counts(1, 2, 3)])


def test_identical_shares_show_no_effect() -> None:
    one = numeric(250, 250, 250, 250)
    moved = [compare(one, name, counts(100, 100, 100, 100), one.training, CHANCE) for name in ("location", "shape")]

    assert [(part.p_value, part.effect) for part in moved] == [(1.0, 0.0), (1.0, 0.0)]


def test_scores_are_standard_normal_over_many_cells() -> None:
    found = scores("location", [100] * 50)

    assert found.mean([100] * 50) == pytest.approx(0, abs=1e-12)
    assert found.variance([100] * 50) == pytest.approx(1, abs=0.02)


def test_small_neighbours_are_pooled_for_numbers_and_the_smallest_for_categories() -> None:
    assert pools("numeric", (50, 2, 1, 50, 1), 100) == (0, 1, 1, 1, 1)
    assert pools("categorical", (50, 2, 3, 45, 1), 100) == (1, 0, 0, 2, 0)


def test_a_row_of_the_baseline_is_new_when_no_other_row_has_its_value() -> None:
    """Two categories occurred once, so two rows in a thousand are expected to be new."""
    assert categorical(600, 398, 1, 1, 0).training.n_unseen == 2


@pytest.mark.parametrize("many", [60, 200])
def test_a_new_category_is_seen_among_many(many: int) -> None:
    """2 % of the rows have a value that no row of the reference had; without them nothing is flagged."""
    random = np.random.default_rng(12)
    shares = 1 / np.arange(1, many + 1)
    before, now = (random.choice(many, n, p=shares / shares.sum()).astype(str) for n in (20_000, 2000))
    calm = is_drift(before, now, "cat", {"F": 30})
    now[:40] = "new"

    assert (calm, is_drift(before, now, "cat", {"F": 30})) == (False, True)


@pytest.mark.parametrize("many", [60, 100, 1000])
def test_unequal_categories_against_a_thousand_rows_are_not_drift(many: int) -> None:
    """At most five alarms in 150 windows, at a level of 1 %."""
    shares = 1 / np.arange(1, many + 1)
    alarms = 0
    for seed in range(2000, 2150):
        random = np.random.default_rng(seed)
        before, now = (random.choice(many, n, p=shares / shares.sum()) for n in (1000, 2000))
        alarms += is_drift(before, now, "cat", {"F": 1})

    assert alarms <= 5


def test_a_few_rows_of_the_reference_are_judged_exactly() -> None:
    """Five expected in a small reference and none found, in a large window many; two cells, so twice."""
    ours, theirs = counts(60, 9940), counts(0, 1000)
    expected = 2 * hypergeometric_tails(10_000, 60, 11_000, 60)[1]

    assert compare(categorical(1, 1), "category", ours, theirs, CHANCE).p_value == pytest.approx(2 * expected)


def test_categories_that_were_listed_by_luck_are_pooled() -> None:
    """Least listed count 100: below 131 it could be luck. A complete list has no such luck."""
    assert settled(categorical(500, 400, 300, 131, 129, 100, 4000)) == (True, True, True, True, False, False, True)
    assert settled(categorical(500, 400, 300, 131, 129, 100, 0)) == (True,) * 7


def test_nothing_is_kept_apart_where_luck_alone_ranks_the_categories() -> None:
    """Sixty equal categories, of which fifty are listed: that some are ahead of the others says nothing."""
    random = np.random.default_rng(3)
    found = sorted(random.multinomial(1000, [1 / 60] * 60).tolist(), reverse=True)

    assert sum(settled(categorical(*found[:50], sum(found[50:])))) <= 2


def test_the_training_rows_expect_as_many_new_values_as_they_have_single_ones() -> None:
    one = categorical(600, 380, 1, 1, 1, 0)

    assert fresh(one).cells == (600, 380, 0, 0, 0, 3)
    assert fresh(one).n_unseen == 3


@pytest.mark.parametrize(("factor", "jump"), [(1000, True), (10, True), (0.1, True), (2.5, False), (30, False)])
def test_a_power_of_ten_is_a_unit(factor: float, jump: bool) -> None:
    usual, now = counts(10, sum_sq=1000.0), counts(10, sum_sq=1000.0 * factor**2)

    assert is_unit_jump(now, usual) is jump


def test_ordinary_variation_is_read_as_fishers_f() -> None:
    """Twice the usual size of a statistic is nothing unusual, however impossible by chance alone."""
    spread = Spread(excess=0.01, squared=0.0001, free=20)

    assert CHANCE.tail(202, 10_000, 1) < 1e-40
    assert spread.tail(202, 10_000, 1) == pytest.approx(0.173, abs=0.001)  # F(1, 20) above 2


def test_variation_is_learnt_in_units_of_the_effect() -> None:
    """Days whose mean moves by a tenth of a standard deviation show an excess of a hundredth."""
    made = definitions(spec(), baseline())
    days = Days(made, jitter=0.1)
    windows = [(0, days.window(20_000)["delay"]) for _ in range(200)]
    found = learn(made.features["delay"], windows)["location"]

    assert found.excess == pytest.approx(0.01 * 0.85, rel=0.25)  # four cells see 85 % of the variance
    assert found.free == 199


def test_the_same_weekday_is_the_reference_once_there_are_four() -> None:
    """With 27 windows all days are one group; with 28 each weekday has four."""
    made = definitions(spec(), baseline())
    history = [Unit(n % 7, {"delay": counts(n, 1, 1, 1)}) for n in range(28)]

    assert reference_for(made, history[:27], 6, 7).counts["delay"].cells[0] == sum(range(27))
    assert reference_for(made, history, 6, 7).counts["delay"].cells[0] == 6 + 13 + 20 + 27


def test_without_two_weeks_the_training_rows_are_the_reference() -> None:
    made = definitions(spec(), baseline())
    found = reference_for(made, [Unit(n % 7, {"delay": counts(1, 1, 1, 1)}) for n in range(13)], 0, 7)

    assert found.counts["delay"] == made.features["delay"].training
    assert (found.calibrated, "delay" in found.training) == (False, True)


def test_few_rows_are_judged_by_their_shares_alone() -> None:
    """Fifty rows, all in one cell: no shape is judged, but forty missing values are seen."""
    one = numeric(250, 250, 250, 250)
    made = Definitions("r", {"x": one})
    piled = judge(made, {"x": counts(50, 0, 0, 0)}, from_training(made), Rule())
    missing = judge(made, {"x": counts(3, 3, 2, 2, null=40)}, from_training(made), Rule())

    assert [finding.flagged for finding in piled] == [False]
    assert [(finding.flagged, finding.component) for finding in missing] == [(True, "missing")]


def test_findings_are_ordered_by_effect_and_importance() -> None:
    made = definitions(spec(), baseline())  # delay weighs twice
    window = Days(made).window(20_000, {"delay": 0.3, "hour": 0.4})

    assert [finding.feature for finding in judge(made, window, from_training(made), Rule())[:2]] == [
        "delay",
        "hour",
    ]


def test_more_rows_show_smaller_effects() -> None:
    made = definitions(spec(), baseline())
    seen = [
        minimum_detectable(Days(made).window(rows), from_training(made), Rule(), 24) for rows in (50, 500, 20_000)
    ]

    assert seen[0] == 99.0
    assert seen[1] > seen[2] > 0.1


# False alarms and power -----------------------------------------------------------


def _draw(random: np.random.Generator, n: int, mean: float = 0.0, sd: float = 1.0, missing: float = 0.02) -> Array:
    values = random.normal(mean, sd, n)
    values[random.random(n) < missing] = np.nan
    return values


def _share(shift: dict[str, float], n: int, trials: int) -> float:
    random = np.random.default_rng(11)
    return float(
        np.mean([is_drift(_draw(random, 5000), _draw(random, n, **shift), "num", F30) for _ in range(trials)])
    )


@pytest.mark.parametrize("rows", [100, 500, 2000, 10_000])
def test_chance_alone_is_not_drift(rows: int) -> None:
    assert _share({}, rows, 40) == 0


def test_too_small_to_matter_is_not_drift_however_many_rows() -> None:
    assert _share({"mean": 0.05}, 50_000, 8) == 0


@pytest.mark.parametrize("shift", [{"mean": 0.25}, {"sd": 1.25}, {"missing": 0.06}])
def test_what_matters_is_seen_with_two_thousand_rows(shift: dict[str, float]) -> None:
    assert _share(shift, 2000, 20) >= 0.95


def test_moved_and_new_categories_are_seen() -> None:
    random = np.random.default_rng(2)
    usual = np.array([0.3, 0.25, 0.2, 0.15, 0.1])
    moved, new = usual + np.array([-0.07, 0, 0, 0.07, 0]), np.append(usual * 0.98, 0.02)
    reference = random.choice(5, 5000, p=usual)

    assert not is_drift(reference, random.choice(5, 2000, p=usual), "cat", F30)
    assert is_drift(reference, random.choice(5, 2000, p=moved), "cat", F30)
    assert is_drift(reference, random.choice(6, 2000, p=new), "cat", F30)


def test_a_thousand_equal_categories_are_not_drift() -> None:
    """Listing the fifty that happened to be frequent must not make the next window look different."""
    random = np.random.default_rng(4)

    assert not any(
        is_drift(random.integers(0, 1000, 5000), random.integers(0, 1000, n), "cat", F30)
        for n in (500, 2000, 20_000)
    )


def test_weekly_season_is_not_drift_and_a_shift_on_top_of_it_is() -> None:
    """Eight weeks with weekends half a standard deviation higher and days that vary, then a shift of 0.35."""
    random = np.random.default_rng(9)
    kinds: dict[str, Any] = {"a": "num", "b": "num", "c": "cat"}

    def day(index: int, shift: float) -> dict[str, Array]:
        level = 0.5 * (index % 7 > 4)
        share = 0.3 + 0.1 * (index % 7 > 4) + random.normal(0, 0.01)
        return {
            "a": random.normal(level + random.normal(0, 0.03) + shift, 1, 3000),
            "b": random.normal(level + random.normal(0, 0.03), 1, 3000),
            "c": random.choice(["x", "y"], 3000, p=[share, 1 - share]),
        }

    days = [day(index, 0.0) for index in range(70)] + [day(index, 0.35) for index in range(70, 74)]
    found = [drifting_features(days, kinds, d, range(56)) for d in range(56, 74)]

    assert sum(bool(names) for names in found[:14]) <= 1
    assert found[14:] == [{"a"}] * 4
