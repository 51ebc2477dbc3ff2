"""How far one component of one feature moved between a window and its reference, and how surprising that is.

The effect has one scale for all features: 0.1 is as visible as a normal feature's shift by a tenth of its
standard deviation. It is corrected for what chance and ordinary variation would show anyhow, and does not
grow with the rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt, sumprod

from monitoring.baseline import Definition
from monitoring.components import MIN_EXPECTED, SHARES, pooled, pools, scores, vector
from monitoring.counts import Counts
from monitoring.pairs import SMOOTHING, layout, raked, shares, trend
from monitoring.tails import hypergeometric_tails
from monitoring.variation import Spread

FEW_EVENTS = 25.0  # with fewer expected rows in window or reference a share is judged by its exact distribution
ONE_SIDED = frozenset({"unseen", "range"})  # fewer surprises are no reason to worry
NOTHING = (1.0, 0.0)  # p-value and effect where there is nothing to compare


@dataclass(frozen=True)
class Moved:
    """One component, compared."""

    component: str
    p_value: float
    effect: float  # standard deviations


def compare(definition: Definition, component: str, window: Counts, reference: Counts, spread: Spread) -> Moved:
    """Compare one component of a window with its reference."""
    ours, theirs = vector(definition, window, component), vector(definition, reference, component)
    if not sum(ours) or not sum(theirs):
        return Moved(component, *NOTHING)
    if component == "association":
        return Moved(component, *_association(ours, theirs, spread))
    if component == "shape":
        return Moved(component, *_shape(definition.kind, ours, theirs, spread))
    if component == "category":
        return Moved(component, *_category(ours, theirs, spread))
    if component in SHARES:
        return Moved(component, *_share(component, (ours[0], ours[1]), (theirs[0], theirs[1]), spread))
    return Moved(component, *_trend(component, ours, theirs, spread))


def _trend(component: str, ours: Sequence[int], theirs: Sequence[int], spread: Spread) -> tuple[float, float]:
    both = [a + b for a, b in zip(ours, theirs, strict=True)]
    score = scores(component, both)
    variance = score.variance(both)
    if variance <= 0:
        return NOTHING
    rows = _effective(sum(ours), sum(theirs))
    distance = (score.mean(ours) - score.mean(theirs)) ** 2 / variance
    return spread.tail(rows * distance, rows, 1), _excess(distance, spread.factor(rows, 1) / rows)


def _share(component: str, ours: tuple[int, int], theirs: tuple[int, int], spread: Spread) -> tuple[float, float]:
    if component not in ONE_SIDED and ours[0] + theirs[0] > ours[1] + theirs[1]:
        ours, theirs = ours[::-1], theirs[::-1]  # the rarer of the two says how far chance reaches
    n, m = sum(ours), sum(theirs)
    events = ours[0] + theirs[0]
    here, there, both = ours[0] / n, theirs[0] / m, events / (n + m)
    if both in (0, 1) or (component in ONE_SIDED and here <= there):
        return NOTHING
    rows = _effective(n, m)
    squared = (here - there) ** 2
    chance = both * (1 - both)
    p_value = spread.tail(rows * squared / chance, rows, 1) if spread.free else 0.0
    if min(n, m) * both < FEW_EVENTS:
        p_value = max(p_value, _exact(component, ours[0], n, events, n + m))
    elif not spread.free:
        p_value = spread.tail(rows * squared / chance, rows, 1)
    middle = (here + there) / 2
    noise = chance * spread.factor(rows, 1) / rows
    return p_value, _excess(squared / (middle * (1 - middle)), noise / (middle * (1 - middle)))


def _category(ours: Sequence[int], theirs: Sequence[int], spread: Spread) -> tuple[float, float]:
    """The category that moved most surprisingly; its p-value pays for having chosen among all."""
    n, m = sum(ours), sum(theirs)
    found = []
    for place, (here, there) in enumerate(zip(ours, theirs, strict=True)):
        if (here + there) * min(n, m) >= MIN_EXPECTED * (n + m):
            known = spread.cells[place] if place < len(spread.cells) else spread
            found.append(_share("category", (here, n - here), (there, m - there), known))
    if not found:
        return NOTHING
    p_value, effect = min(found, key=lambda one: (one[0], -one[1]))
    return min(1.0, p_value * len(found)), effect


def _exact(component: str, hits: int, drawn: int, total_hits: int, total: int) -> float:
    below, above = hypergeometric_tails(drawn, hits, total, total_hits)
    return above if component in ONE_SIDED else min(1.0, 2 * min(below, above))


def _shape(kind: str, ours: Sequence[int], theirs: Sequence[int], spread: Spread) -> tuple[float, float]:
    into = pools(kind, theirs, sum(ours))
    df = max(into)
    if df < 1:
        return NOTHING
    n, m = sum(ours), sum(theirs)
    rows = _effective(n, m)
    statistic = distance = 0.0
    for a, b in zip(pooled(ours, into), pooled(theirs, into), strict=True):
        if a or b:
            squared = (a / n - b / m) ** 2
            statistic += squared * (n + m) / (a + b)
            distance += 2 * squared / (a / n + b / m)
    return spread.tail(rows * statistic, rows, df), _excess(distance, df * spread.factor(rows, df) / rows)


def _association(ours: Sequence[int], theirs: Sequence[int], spread: Spread) -> tuple[float, float]:
    """The sixteen cells together, and "high with high" alone, whichever is the more surprising; the p-value pays
    for the choice."""
    n, m = sum(ours), sum(theirs)
    rows = _effective(n, m)
    plan = layout(ours, round(rows))
    if not plan.free:
        return NOTHING
    here = shares(plan.merged(ours))
    there = raked(shares(plan.merged(theirs), SMOOTHING), here, plan.shape)
    both = [(n * a + m * b) / (n + m) for a, b in zip(here, there, strict=True)]
    moved = [a - b for a, b in zip(here, there, strict=True)]
    statistic = sum(d * d / max(p, MIN_EXPECTED / rows) for d, p in zip(moved, both, strict=True))
    noise = plan.free * spread.factor(rows, plan.free) / rows
    table = spread.tail(rows * statistic, rows, plan.free), _excess(statistic, noise)
    known = spread.cells[0] if spread.cells else spread
    distance = sumprod(trend(both, plan.shape), moved) ** 2
    along = known.tail(rows * distance, rows, 1), _excess(distance, known.factor(rows, 1) / rows)
    p_value, effect = min(table, along, key=lambda one: (one[0], -one[1]))
    return min(1.0, 2 * p_value), effect


def _effective(n: int, m: int) -> float:
    return n * m / (n + m)


def _excess(squared: float, expected: float) -> float:
    return sqrt(max(0.0, squared - expected))
