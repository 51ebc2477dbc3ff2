"""Metrics from counts by cell: against the rows themselves, and what their intervals promise."""

from datetime import timedelta

import numpy as np
import pytest
from scipy import stats

from monitoring.performance import Bin, DayCounts, add, auc, calibration, ece, is_settled, loss, measure, share
from tests.monitoring.scores import Scores, to_day
from tests.monitoring.traffic import MONDAY

DAY = timedelta(days=1)
TRIALS = 300


@pytest.mark.parametrize(("hits", "rows"), [(0, 10), (10, 10), (3, 40), (700, 1000), (1, 1)])
def test_a_share_has_the_exact_interval(hits: int, rows: int) -> None:
    """Clopper and Pearson's, as SciPy gives it."""
    exact = stats.binomtest(hits, rows).proportion_ci(method="exact")
    found = share(hits, rows)

    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=1e-6)


def test_metrics_are_those_of_the_rows() -> None:
    """Log-loss, Brier and accuracy are exact to a millionth; the area under the curve to the width of a cell."""
    random = np.random.default_rng(3)
    score = random.beta(2, 2, 5000)
    label = random.random(5000) < score
    found = measure("binary", to_day(MONDAY, score, label, np.ones(5000, dtype=bool)))
    ranks = stats.mannwhitneyu(score[label], score[~label]).statistic / (label.sum() * (~label).sum())

    assert found["log_loss"].value == pytest.approx(-np.log(np.where(label, score, 1 - score)).mean(), abs=1e-6)
    assert found["brier"].value == pytest.approx(((score - label) ** 2).mean(), abs=1e-6)
    assert found["accuracy"].value == pytest.approx(((score >= 0.5) == label).mean())
    assert found["auc"].value == pytest.approx(ranks, abs=0.003)


def test_intervals_hold_what_they_promise() -> None:
    """95 of 100 intervals hold the truth, which is known here: 300 days of 800 rows."""
    drawn = Scores(seed=11)
    truth = measure("binary", add([drawn.draw(100_000) for _ in range(10)]))
    held = dict.fromkeys(("log_loss", "brier", "accuracy", "auc"), 0)
    for _ in range(TRIALS):
        found = measure("binary", drawn.draw(800))
        for name in held:
            held[name] += found[name].low <= truth[name].value <= found[name].high

    assert all(0.915 <= count / TRIALS <= 0.985 for count in held.values()), held


def test_calibration_is_exact_per_cell() -> None:
    """A model that says what comes true: the intervals of most cells hold what it said."""
    cells = calibration(Scores(seed=1).draw(20_000), "binary")
    held = sum(cell.came.low <= cell.said <= cell.came.high for cell in cells)

    assert len(cells) == 20
    assert held >= 17


def test_a_calibrated_model_may_have_no_calibration_error() -> None:
    """The error that chance makes is inside the interval; a real one is not."""
    sound, off = ece(Scores(seed=2).draw(5000)), ece(Scores(seed=2, concept=0.5).draw(5000))

    assert sound is not None
    assert off is not None
    assert sound.low == 0.0
    assert off.low > 0.02


def test_days_add_up_exactly() -> None:
    """Two days as one are the sums of their cells."""
    drawn = Scores()
    one, two = drawn.draw(500), drawn.draw(700)
    both = add([two, one])

    assert (both.start, both.total.answered, both.total.loss) == (
        MONDAY,
        1200,
        one.total.loss + two.total.loss,
    )


def test_days_of_other_slices_do_not_add_up() -> None:
    """A group and the whole share rows."""
    one = Scores().draw(10)
    with pytest.raises(ValueError, match="same cells, power and slice"):
        add([one, DayCounts(one.start, one.bins, "carrier", "AA")])


def test_a_day_without_labels_has_no_metrics() -> None:
    """Nothing is known, so nothing is said; also not with one label, or labels of one kind."""
    empty = DayCounts(MONDAY, (Bin(answered=10, due=10),))
    single = DayCounts(MONDAY, (Bin(10, 10, 5, 5, 5, 4_000_000, 5_000_000, 1_000_000, 300_000, 200_000, 9_000),))

    assert (measure("binary", empty), loss(empty, "binary"), empty.maturity) == ({}, None, 0.0)
    assert auc(single) is None


@pytest.mark.parametrize(
    ("cell", "mature"),
    [
        (Bin(answered=10, due=10, labelled=8), True),
        (Bin(answered=10, due=10, labelled=7), False),  # too few came
        (Bin(answered=10, due=9, labelled=9), False),  # the last row's label is not due
        (Bin(), False),
    ],
)
def test_days_are_judged_when_their_labels_are_there(cell: Bin, mature: bool) -> None:
    """All labels are due, and four in five have come."""
    assert DayCounts(MONDAY, (cell,)).is_mature(0.8) is mature


def test_a_day_is_counted_again_until_its_labels_are_there() -> None:
    """Complete once all are there; else a week after they were due."""
    whole = DayCounts(MONDAY, (Bin(answered=10, due=10, labelled=10),))
    partly = DayCounts(MONDAY, (Bin(answered=10, due=10, labelled=9),))
    week = 7 * DAY

    assert not is_settled(whole, MONDAY + DAY, DAY, week)
    assert is_settled(whole, MONDAY + 2 * DAY, DAY, week)
    assert not is_settled(partly, MONDAY + 8 * DAY, DAY, week)
    assert is_settled(partly, MONDAY + 9 * DAY, DAY, week)
