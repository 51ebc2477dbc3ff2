"""The tail probabilities agree with scipy's, far into the tails."""

import pytest
from scipy import stats

from monitoring.tails import chi2_tail, f_quantile, f_tail, hypergeometric_tails, normal_quantile

CLOSE = {"rel": 1e-7, "abs": 1e-290}


@pytest.mark.parametrize("df", [0.5, 1, 3.45, 19, 50, 400])
@pytest.mark.parametrize("factor", [0.01, 0.5, 1, 2, 5, 20])
def test_chi_squared(df: float, factor: float) -> None:
    """From far below the mean to far above it."""
    value = df * factor

    assert chi2_tail(value, df) == pytest.approx(stats.chi2.sf(value, df), **CLOSE)


@pytest.mark.parametrize(("df", "below"), [(1, 13), (1, 49), (3.45, 169), (19, 247), (19, 2000), (0.7, 5)])
@pytest.mark.parametrize("value", [0.001, 0.5, 1, 2, 6, 40, 1000])
def test_fisher(df: float, below: float, value: float) -> None:
    """With whole and broken degrees of freedom."""
    assert f_tail(value, df, below) == pytest.approx(stats.f.sf(value, df, below), **CLOSE)


@pytest.mark.parametrize(("df", "below"), [(1, 13), (1, 49), (12.5, 300)])
@pytest.mark.parametrize("tail", [0.2, 0.01, 6.7e-5, 1e-9])
def test_fisher_quantile(df: float, below: float, tail: float) -> None:
    """The quantile is the value whose tail was asked for."""
    assert f_quantile(tail, df, below) == pytest.approx(stats.f.isf(tail, df, below), rel=1e-5)


@pytest.mark.parametrize(
    ("drawn", "hits", "total", "total_hits"),
    [(100, 0, 20100, 3), (100, 3, 20100, 3), (2000, 40, 22000, 40), (500, 9, 1000, 18), (1000, 700, 1500, 900)],
)
def test_hypergeometric(drawn: int, hits: int, total: int, total_hits: int) -> None:
    """Both tails contain the observed number."""
    law = stats.hypergeom(total, total_hits, drawn)
    below, above = hypergeometric_tails(drawn, hits, total, total_hits)

    assert below == pytest.approx(law.cdf(hits), rel=1e-6, abs=1e-12)
    assert above == pytest.approx(law.sf(hits - 1), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("share", [1e-12, 0.01, 0.5, 0.999])
def test_normal_quantile(share: float) -> None:
    """The inverse of the normal distribution."""
    assert normal_quantile(share) == pytest.approx(stats.norm.ppf(share), rel=1e-9, abs=1e-12)
