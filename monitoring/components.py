"""The parts of a feature that can move, each as small vectors of counts that two windows can be compared by.

location, scale: where the numbers lie and how far they spread, by their ranks. shape: the shares of all cells
together. category: the share of the one category that moved most. missing: no readable value. unseen: values
that the baseline did not have; where it does not list all its values, those it pooled. range: numbers beyond
the baseline's smallest and largest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from operator import mul

from monitoring.baseline import Definition
from monitoring.counts import Counts
from monitoring.tails import normal_density, normal_quantile

SHARES = ("missing", "unseen", "range")
NUMERIC = ("location", "scale", "shape", "missing", "range")
DISCRETE = ("location", "scale", "shape", "missing", "unseen")
CATEGORICAL = ("shape", "category", "missing", "unseen")
PAIR = ("association",)
CROWDED = 0.25  # share of the categories judged by themselves that may lie close to the threshold
MOST_ALONE = 0.001  # share of training rows alone with their number up to which the trainer lists the numbers
GIVING = 3  # widths of chance above the least count, over which the rows of luck are taken from the listed ones
MIN_EXPECTED = 5.0  # rows that a cell of the shape must be expected to hold; smaller ones are pooled


def components(definition: Definition) -> tuple[str, ...]:
    """Which parts of this feature are judged."""
    if definition.kind == "pair":
        return PAIR
    if definition.kind == "categorical":
        return CATEGORICAL
    return DISCRETE if definition.values else NUMERIC


def vector(definition: Definition, counts: Counts, component: str) -> tuple[int, ...]:
    """Disjoint rows that ``component`` compares: all cells, or (those that have it, the others)."""
    if component == "missing":
        without = counts.n_null + counts.n_unparseable
        return without, counts.n - without
    if component == "unseen":
        new = counts.n_unseen if definition.complete else counts.cells[-1]
        return new, max(0, counts.valid - new)
    if component == "range":
        beyond = counts.n_low + counts.n_high
        return beyond, max(0, counts.valid - beyond)
    return counts.cells


def settled(definition: Definition) -> tuple[bool, ...]:
    """Which listed categories were surely among the most frequent, and not by luck of the training rows.

    The baseline lists the categories that happened to be frequent there, so those near the end of the list are
    counted too high. They are judged together with the unlisted ones when the training rows are the reference.
    """
    counts = definition.training.cells
    if not definition.pooled or len(counts) < 2:
        return (True,) * len(counts)
    least = _threshold(counts)
    return (*(count >= least for count in counts[:-1]), True)


def _threshold(counts: Sequence[int]) -> int:
    """The count from which on a listed category is judged by itself: well above the least one, and where few others
    lie so near that luck alone could have put them above or below."""
    listed = counts[:-1]
    place = int(min(listed) + 3 * sqrt(min(listed))) + 1
    for least in sorted({place, *(count + 1 for count in listed if count >= place)}):
        near = sum(least <= count <= least + sqrt(least) for count in listed)
        if near <= CROWDED * sum(count >= least for count in listed):
            return least
    return max(listed) + 1


def fresh(definition: Definition) -> Counts:
    """The training rows as other rows of the same kind are expected to look.

    What was chosen for being counted k times or more is counted too high: of the rows of those counted exactly k
    times, the next sample has as many elsewhere (Good and Turing; k is 1 where every value is listed). They are
    moved to the unlisted ones, so that the first new value is no surprise.
    """
    training, counts = definition.training, definition.training.cells
    if definition.kind == "numeric" and definition.values:
        known = len(definition.values) == len(counts)
        alone = sum(count == 1 for count in counts) if known else round(MOST_ALONE * training.valid)
        return replace(training, n_unseen=max(training.n_unseen, alone))
    if definition.kind != "categorical" or len(counts) < 2:
        return training
    least = _threshold(counts) if definition.pooled else 1
    near = int(sqrt(least)) if definition.pooled else 0
    # How many were alone is itself chance, about twice as much as a share of so many rows has.
    new = training.n_unseen + round(2 * sqrt(training.n_unseen)) if definition.pooled else training.n_unseen
    listed = counts[:-1]
    alike = sum(abs(count - least) <= near for count in listed)
    giving = sum(count for count in listed if least <= count <= least + GIVING * near)
    left = max(0.0, 1 - least * alike / (2 * near + 1) / giving) if giving else 1.0
    cells = [round(count * left) if least <= count <= least + GIVING * near else count for count in listed]
    return replace(training, n_unseen=new, cells=(*cells, sum(counts) - sum(cells)))


def pool_unsettled(counts: Counts, keep: Sequence[bool]) -> Counts:
    """The counts with every category that is not kept moved to the unlisted ones."""
    if all(keep):
        return counts
    listed = [count for count, kept in zip(counts.cells, keep, strict=True) if kept]
    listed[-1] += sum(count for count, kept in zip(counts.cells, keep, strict=True) if not kept)
    return replace(counts, cells=tuple(listed))


@dataclass(frozen=True)
class Scores:
    """A number per cell that tells how far right (location) or how far out (scale) the cell lies."""

    values: tuple[float, ...]

    def mean(self, cells: Sequence[int]) -> float:
        """The mean score of the rows in ``cells``; 0 without rows."""
        total = sum(cells)
        return sum(map(mul, cells, self.values)) / total if total else 0.0

    def variance(self, cells: Sequence[int]) -> float:
        """The variance of the score over the rows in ``cells``."""
        total = sum(cells)
        if not total:
            return 0.0
        mean = self.mean(cells)
        return max(0.0, sum(n * s * s for n, s in zip(cells, self.values, strict=True)) / total - mean * mean)


SHARE = Scores((1.0, 0.0))


def scores(component: str, cells: Sequence[int]) -> Scores:
    """The scores of a component of one degree of freedom; ``cells`` are the rows whose ranks are used."""
    if component in SHARES or component == "category":
        return SHARE
    location = normal_scores(cells)
    if component == "location":
        return Scores(location)
    return Scores(tuple(s * s for s in location))


def normal_scores(cells: Sequence[float]) -> tuple[float, ...]:
    """The mean of a standard normal variable over each cell's slice of the ranks."""
    total = sum(cells) or 1
    edge = 1 / (2 * total + 2)
    found, below, density_below = [], 0.0, 0.0
    for count in cells:
        above = below + count
        density = normal_density(normal_quantile(above / total)) if 0 < above < total else 0.0
        if count:
            found.append((density_below - density) * total / count)
        else:
            found.append(normal_quantile(min(1 - edge, max(edge, below / total))))
        below, density_below = above, density
    return tuple(found)


def one_cell(cells: Sequence[int], place: int) -> tuple[int, int]:
    """The rows in one cell, and the others."""
    return cells[place], sum(cells) - cells[place]


def pools(kind: str, cells: Sequence[int], rows: int) -> tuple[int, ...]:
    """To which pool each cell belongs. Every pool is expected to hold at least MIN_EXPECTED of ``rows`` rows that
    are spread like ``cells``. Neighbours are pooled for numbers, the smallest for categories."""
    total = max(1, sum(cells))
    need = MIN_EXPECTED * total / max(1, min(rows, total))
    return neighbours(cells, need) if kind == "numeric" else _smallest(cells, need)


def neighbours(cells: Sequence[float], need: float) -> tuple[int, ...]:
    """To which pool each cell belongs, when neighbours are pooled until they hold ``need``."""
    found, pool, held = [], 0, 0.0
    for count in cells:
        if held >= need:
            pool, held = pool + 1, 0
        found.append(pool)
        held += count
    if held < need and pool:  # the last one joins its neighbour
        found = [min(one, pool - 1) for one in found]
    return tuple(found)


def _smallest(cells: Sequence[int], need: float) -> tuple[int, ...]:
    small = [count < need for count in cells]
    rest = sum(count for count, is_small in zip(cells, small, strict=True) if is_small)
    if 0 < rest < need and not all(small):
        large = [(count, place) for place, count in enumerate(cells) if not small[place]]
        small[min(large)[1]] = True
    found, pool = [], 0
    for is_small in small:
        pool += not is_small
        found.append(0 if is_small else pool)
    used = sorted(set(found))
    return tuple(used.index(one) for one in found)


def pooled(cells: Sequence[int], into: Sequence[int]) -> list[int]:
    """The rows of each pool."""
    found = [0] * (max(into) + 1)
    for count, pool in zip(cells, into, strict=True):
        found[pool] += count
    return found
