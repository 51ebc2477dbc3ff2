"""Tail probabilities in plain Python: what is deployed carries no numerical library for four functions.

Accurate to about eight digits, down to probabilities of 1e-300.
"""

from math import exp, lgamma, log
from statistics import NormalDist

_TINY = 1e-300
_STEPS = 500
_NORMAL = NormalDist()


def normal_quantile(share: float) -> float:
    """The value that a standard normal variable stays below with probability ``share``, 0 < share < 1."""
    return _NORMAL.inv_cdf(share)


def normal_density(value: float) -> float:
    """The standard normal density."""
    return _NORMAL.pdf(value)


def chi2_tail(value: float, df: float) -> float:
    """P(X > value), X chi-squared with ``df`` > 0 degrees of freedom."""
    if value <= 0:
        return 1.0
    return _upper_gamma(df / 2, value / 2)


def f_tail(value: float, df: float, df_below: float) -> float:
    """P(X > value), X following Fisher's F with ``df`` and ``df_below`` > 0 degrees of freedom."""
    if value <= 0:
        return 1.0
    return _beta(df_below / 2, df / 2, df_below / (df_below + df * value))


def f_quantile(tail: float, df: float, df_below: float) -> float:
    """The value above which an F variable lies with probability ``tail``, to six digits."""
    low, high = 0.0, 1.0
    while f_tail(high, df, df_below) > tail and high < 1e12:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if f_tail(middle, df, df_below) > tail else (low, middle)
        if high - low < 1e-7 * high:
            break
    return (low + high) / 2


def hypergeometric_tails(drawn: int, hits: int, total: int, total_hits: int) -> tuple[float, float]:
    """P(X <= hits) and P(X >= hits), where X of ``drawn`` rows are hits, drawn without replacement from ``total``
    rows of which ``total_hits`` are hits."""
    first, last = max(0, drawn + total_hits - total), min(drawn, total_hits)
    at = exp(_log_hypergeometric(drawn, hits, total, total_hits))
    below, term = 0.0, at
    for k in range(hits, first, -1):  # P(k - 1) from P(k)
        term *= k * (total - total_hits - drawn + k) / ((total_hits - k + 1) * (drawn - k + 1))
        below += term
        if term < 1e-17 * (below + at):
            break
    above, term = 0.0, at
    for k in range(hits, last):  # P(k + 1) from P(k)
        term *= (total_hits - k) * (drawn - k) / ((k + 1) * (total - total_hits - drawn + k + 1))
        above += term
        if term < 1e-17 * (above + at):
            break
    return min(1.0, below + at), min(1.0, above + at)


def _log_hypergeometric(drawn: int, hits: int, total: int, total_hits: int) -> float:
    return _log_choose(total_hits, hits) + _log_choose(total - total_hits, drawn - hits) - _log_choose(total, drawn)


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def _upper_gamma(a: float, x: float) -> float:
    """The regularised upper incomplete gamma function: a series below its mean, a continued fraction above."""
    front = exp(max(-745.0, a * log(x) - x - lgamma(a)))
    if x < a + 1:
        term = total = 1 / a
        for n in range(1, _STEPS):
            term *= x / (a + n)
            total += term
            if term < 1e-16 * total:
                break
        return max(0.0, 1 - front * total)
    b, c = x + 1 - a, 1 / _TINY
    d = result = 1 / b
    for n in range(1, _STEPS):
        step = -n * (n - a)
        b += 2
        d = 1 / _off_zero(step * d + b)
        c = _off_zero(b + step / c)
        result *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return front * result


def _beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    front = exp(max(-745.0, lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * _log_rest(x)))
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(a, b, x) / a
    return 1 - front * _beta_fraction(b, a, 1 - x) / b


def _log_rest(x: float) -> float:
    return log(1 - x) if x > 1e-8 else -x


def _beta_fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1 / _off_zero(1 - (a + b) * x / (a + 1))
    result = d
    for m in range(1, _STEPS):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _off_zero(1 + step * d)
            c = _off_zero(1 + step / c)
            result *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return result


def _off_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
