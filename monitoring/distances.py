"""The distances that other tools report, from our counts: for people who come from those tools.

They decide nothing here. None says whether chance or an ordinary day explains it, and none has one scale for
all features. They are computed when somebody looks, not stored.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import log, log2, sqrt

from monitoring.baseline import Definition
from monitoring.counts import Counts

EMPTY = 1e-4  # share that an empty cell has in the stability index, as in Evidently
VERTEX = 0.3  # the threshold of Vertex AI's monitoring where nobody sets another
TINY = 1e6  # by which the smallest share is divided instead, where it is at most EMPTY


@dataclass(frozen=True)
class Distances:
    """How far two sets of counts are apart, in other tools' words. Missing values count in none of them."""

    jensen_shannon: float  # divergence in bits, 0 to 1 (TFDV, Vertex AI)
    l_infinity: float  # largest difference of a share, 0 to 1 (TFDV, Vertex AI, for categories)
    stability: float  # population stability index (PSI)
    kolmogorov_smirnov: float | None  # largest difference of the cumulative shares; None for categories

    @property
    def jensen_shannon_distance(self) -> float:
        """What Evidently and SciPy call the distance: the root of the divergence in nats."""
        return sqrt(self.jensen_shannon * log(2))

    @property
    def vertex(self) -> float:
        """The one that Vertex AI holds against its threshold, by the kind of the feature."""
        return self.l_infinity if self.kolmogorov_smirnov is None else self.jensen_shannon


def distances(definition: Definition, window: Counts, reference: Counts) -> Distances | None:
    """The distances of one feature's window from its reference; None where one of them has no values."""
    if not sum(window.cells) or not sum(reference.cells):
        return None
    return Distances(
        jensen_shannon(window.cells, reference.cells),
        l_infinity(window.cells, reference.cells),
        stability(window.cells, reference.cells),
        kolmogorov_smirnov(window.cells, reference.cells) if definition.kind == "numeric" else None,
    )


def jensen_shannon(window: Sequence[float], reference: Sequence[float]) -> float:
    """The Jensen-Shannon divergence of the shares of equal cells, in bits."""
    found = 0.0
    for a, b in _shares(window, reference):
        middle = (a + b) / 2
        found += sum(share / 2 * log2(share / middle) for share in (a, b) if share > 0)
    return max(0.0, found)


def l_infinity(window: Sequence[float], reference: Sequence[float]) -> float:
    """The largest difference of a cell's share."""
    return max(abs(a - b) for a, b in _shares(window, reference))


def stability(window: Sequence[float], reference: Sequence[float]) -> float:
    """The population stability index. Empty cells are filled as Evidently fills them; cells that are empty on both
    sides play no part."""
    pairs = [(a, b) for a, b in _shares(window, reference) if a or b]
    here, there = _filled([a for a, _ in pairs]), _filled([b for _, b in pairs])
    return sum((a - b) * log(a / b) for a, b in zip(here, there, strict=True))


def kolmogorov_smirnov(window: Sequence[float], reference: Sequence[float]) -> float:
    """The largest difference of the cumulative shares at the cells' edges: exact where each value has its own cell,
    else at most the largest share of a cell too small."""
    steps = accumulate(a - b for a, b in _shares(window, reference))
    return max(abs(step) for step in steps)


@dataclass(frozen=True)
class Histogram:
    """Rows in touching buckets: bucket i holds edges[i] <= x < edges[i + 1], the last one its upper edge too."""

    edges: tuple[float, ...]
    counts: tuple[float, ...]

    def over(self, edges: Sequence[float]) -> tuple[float, ...]:
        """The rows in other buckets, as if each bucket's rows lay evenly in it."""
        below = [self._below(edge) for edge in edges]
        return tuple(b - a for a, b in pairwise(below))

    def _below(self, value: float) -> float:
        if value <= self.edges[0]:
            return 0.0
        if value >= self.edges[-1]:
            return float(sum(self.counts))
        at = bisect_right(self.edges, value) - 1
        share = (value - self.edges[at]) / (self.edges[at + 1] - self.edges[at])
        return sum(self.counts[:at]) + share * self.counts[at]


def histogram_divergence(window: Histogram, reference: Histogram) -> float:
    """The Jensen-Shannon divergence of histograms with different buckets, in bits, as TFDV computes it: both over
    the union of their edges."""
    edges = sorted({*window.edges, *reference.edges})
    return jensen_shannon(window.over(edges), reference.over(edges))


def _shares(window: Sequence[float], reference: Sequence[float]) -> list[tuple[float, float]]:
    n, m = sum(window), sum(reference)
    return [(a / n, b / m) for a, b in zip(window, reference, strict=True)]


def _filled(shares: Sequence[float]) -> list[float]:
    least = min(share for share in shares if share)
    empty = least / TINY if least <= EMPTY else EMPTY
    return [share or empty for share in shares]
