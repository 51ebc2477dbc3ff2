"""A broken feed is told from a sound one."""

from datetime import timedelta

import pytest

from retraining.checks import problems
from retraining.views import DataCounts
from tests.unit.build import FLIGHTS, NOW, SPECS, column, counts


def test_a_sound_feed_has_no_problems() -> None:
    """Nothing to complain about."""
    assert problems(FLIGHTS, counts(), NOW) == ()


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        pytest.param(counts(rows=0), "no rows in the window", id="empty window"),
        pytest.param(counts(rows=1000), "1000 rows where 6000 are usual", id="volume"),
        pytest.param(counts(newest=NOW - timedelta(days=4)), "older than 3 days", id="freshness"),
        pytest.param(counts(duplicates=600), "occurs twice", id="duplicates"),
        pytest.param(counts(labelled_rows=100), "have a label", id="label share"),
        pytest.param(counts(label_mean=0.2), "mean label", id="label shift"),
        pytest.param(counts(columns=()), "no such column", id="missing column"),
        pytest.param(column("dep_delay", nulls=6000), "every value is missing", id="all null"),
        pytest.param(column("dep_delay", nulls=900), "15.0% of values are missing", id="nulls"),
        pytest.param(column("carrier", distinct=1), "every value is the same", id="constant"),
        pytest.param(column("distance", mean_abs=100.0), "10 times as large", id="unit up"),
        pytest.param(column("distance", mean_abs=0.01), "0.001 times as large", id="unit down"),
    ],
)
def test_a_broken_feed_says_what_is_wrong(broken: DataCounts, said: str) -> None:
    """One sentence per problem, with the figures."""
    assert any(said in text for text in problems(FLIGHTS, broken, NOW))


def test_without_history_volume_is_not_judged() -> None:
    """A new table has no usual."""
    assert problems(FLIGHTS, counts(usual_rows=0.0, rows=500), NOW) == ()


def test_the_label_of_a_regression_shifts_relative_to_its_size() -> None:
    """Rentals of 170 where 100 are usual are within 90 percent, 200 are not."""
    bikes = SPECS["bikes"]
    within = counts(label_mean=170.0, usual_label_mean=100.0)
    beyond = counts(label_mean=200.0, usual_label_mean=100.0)

    shifts = [any("mean label" in text for text in problems(bikes, c, NOW)) for c in (within, beyond)]

    assert shifts == [False, True]
