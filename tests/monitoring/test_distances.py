"""Other tools' distances, equal to the numbers that those tools gave for the same counts.

The expected numbers were printed by TFDV 1.16.1 (``validate_statistics`` with a drift comparator), Evidently
0.7.23 (``_psi``, ``_jensenshannon``) and SciPy 1.15 (``ks_2samp``).
"""

import pytest

from monitoring.baseline import define
from monitoring.counts import Counts
from monitoring.distances import (
    Histogram,
    distances,
    histogram_divergence,
    jensen_shannon,
    kolmogorov_smirnov,
    l_infinity,
    stability,
)
from retraining.reports import FeatureBaseline

MOVED = ((300, 250, 200, 150, 100), (350, 250, 180, 140, 80))
EMPTY = ((500, 300, 150, 50, 0), (480, 310, 0, 100, 40))
RARE = ((60000, 39995, 5, 0, 0), (50000, 49000, 990, 10, 0))
Cells = tuple[int, ...]
Two = tuple[Cells, Cells]


@pytest.mark.parametrize(
    ("cells", "bits"), [(MOVED, 0.002695959672395544), (EMPTY, 0.10498594652840221), (RARE, 0.01137349185007416)]
)
def test_divergence_is_that_of_tfdv(cells: Two, bits: float) -> None:
    assert jensen_shannon(cells[1], cells[0]) == pytest.approx(bits, abs=1e-12)


@pytest.mark.parametrize(("cells", "largest"), [(MOVED, 0.05), (EMPTY, 0.15), (RARE, 0.1)])
def test_largest_difference_is_that_of_tfdv(cells: Two, largest: float) -> None:
    assert l_infinity(cells[1], cells[0]) == pytest.approx(largest, abs=1e-12)


@pytest.mark.parametrize(
    ("window", "reference", "bits"),
    [
        (
            Histogram((1.0, 2.5, 4.0, 7.0), (200, 250, 50)),
            Histogram((0.0, 2.0, 4.0, 6.0), (100, 300, 100)),
            0.12148529778303535,
        ),
        (
            Histogram((-1.0, 1.5, 4.0), (80, 120)),
            Histogram((0.0, 1.0, 2.0, 3.0, 10.0), (10, 40, 40, 10)),
            0.25639408128534785,
        ),
    ],
)
def test_other_buckets_are_brought_together_as_in_tfdv(
    window: Histogram, reference: Histogram, bits: float
) -> None:
    assert histogram_divergence(window, reference) == pytest.approx(bits, abs=1e-12)


@pytest.mark.parametrize(
    ("cells", "index"), [(MOVED, 0.014967544045673149), (EMPTY, 1.4045375070002448), (RARE, 0.09005853093563237)]
)
def test_stability_index_is_that_of_evidently(cells: Two, index: float) -> None:
    assert stability(cells[1], cells[0]) == pytest.approx(index, abs=1e-12)


@pytest.mark.parametrize(
    ("cells", "distance", "largest"),
    [(MOVED, 0.043228426363034415, 0.05), (EMPTY, 0.2697604730767265, 0.10053763440860215)],
)
def test_all_distances_of_a_number(cells: Two, distance: float, largest: float) -> None:
    """The root of the divergence is Evidently's, the cumulative difference SciPy's."""
    one = define("x", FeatureBaseline(kind="numeric", n=1000, n_null=0, counts=cells[0], edges=(1, 2, 3, 4)))
    found = distances(one, Counts(sum(cells[1]) + 7, 7, 0, 0, 0, 0, cells[1]), one.training)

    assert found is not None
    assert found.jensen_shannon_distance == pytest.approx(distance, abs=1e-12)
    assert found.kolmogorov_smirnov == pytest.approx(largest, abs=1e-12)


def test_categories_have_no_cumulative_difference() -> None:
    one = define("x", FeatureBaseline(kind="categorical", n=10, n_null=0, counts=(6, 4, 0), categories=("a", "b")))
    found = distances(one, Counts(10, 0, 0, 0, 0, 0, (5, 5, 0)), one.training)

    assert found is not None
    assert found.kolmogorov_smirnov is None
    assert found.l_infinity == pytest.approx(0.1)


def test_a_window_without_values_has_no_distances() -> None:
    one = define("x", FeatureBaseline(kind="categorical", n=10, n_null=0, counts=(6, 4, 0), categories=("a", "b")))

    assert distances(one, Counts(3, 3, 0, 0, 0, 0, (0, 0, 0)), one.training) is None


def test_equal_shares_are_at_no_distance() -> None:
    cells = (10, 20, 0, 30)
    twice = tuple(2 * count for count in cells)

    assert [how(twice, cells) for how in (jensen_shannon, l_infinity, stability, kolmogorov_smirnov)] == [0.0] * 4
