"""How much ordinary windows differ from each other: what a window must exceed before it counts as moved.

Real traffic varies from day to day by more than chance alone. Each ordinary window is compared with the
others of its group (the same weekday, say); what is left after chance is the ordinary variation. It widens
the null hypothesis: a statistic that chance alone would give as chi-squared is divided by its usual size and
read as Fisher's F.
"""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import sumprod

from monitoring.baseline import Definition
from monitoring.components import components, one_cell, pooled, pools, scores, vector
from monitoring.counts import Counts, add
from monitoring.pairs import SMOOTHING, directions, layout, shares
from monitoring.tails import chi2_tail, f_tail

Grouped = Sequence[tuple[Hashable, Counts]]  # ordinary windows of one feature, each with its group


@dataclass(frozen=True)
class Spread:
    """The ordinary variation of one component, in units that do not depend on the number of rows."""

    excess: float = 0.0  # mean squared effect between windows, beyond chance
    squared: float = 0.0  # sum of the squared eigenvalues of its covariance: excess² when one direction varies
    free: int = 0  # independent comparisons it was learnt from; 0: not learnt, chance alone
    cells: tuple["Spread", ...] = ()  # of each cell's share, where cells are judged one by one

    def factor(self, rows: float, df: float) -> float:
        """By how much ordinary variation makes a statistic of ``df`` degrees of freedom larger."""
        return 1 + rows * self.excess / df

    def tail(self, statistic: float, rows: float, df: int) -> float:
        """P(an ordinary window gives at least ``statistic``). ``rows`` is n·m/(n+m).

        Variation may go in few directions, so the sum of squares has fewer degrees of freedom than cells: as many
        as give it the right variance.
        """
        if self.free == 0:
            return chi2_tail(statistic, df)
        mean = df + rows * self.excess
        effective = mean**2 / (df + 2 * rows * self.excess + rows**2 * self.squared)
        return f_tail(statistic / mean, effective, effective * self.free)


CHANCE = Spread()


def learn(definition: Definition, windows: Grouped) -> dict[str, Spread]:
    """Component → ordinary variation, from ordinary windows; groups of one window say nothing."""
    groups: dict[Hashable, list[Counts]] = defaultdict(list)
    for group, counts in windows:
        groups[group].append(counts)
    usable = [members for members in groups.values() if len(members) > 1]
    free = sum(len(members) - 1 for members in usable)
    if not usable:
        return dict.fromkeys(components(definition), CHANCE)
    return {name: _learn_one(definition, usable, name, free) for name in components(definition)}


def learn_together(
    features: Mapping[str, Definition], windows: Sequence[Mapping[str, Counts]]
) -> dict[str, dict[str, Spread]]:
    """Feature → component → the ordinary variation of all features together, for where the windows are too few to
    tell what each one's is."""
    found: dict[str, list[Spread]] = defaultdict(list)
    for name, definition in features.items():
        held = [(0, one[name]) for one in windows if name in one and one[name].n]
        for component, spread in learn(definition, held).items():
            found[component] += [
                one for one in (spread.cells if component == "category" else (spread,)) if one.free
            ]
    common = {component: _mean(spreads) for component, spreads in found.items()}
    return {name: {part: common[part] for part in components(one)} for name, one in features.items()}


def _mean(spreads: Sequence[Spread]) -> Spread:
    if not spreads:
        return CHANCE
    excess = sum(one.excess for one in spreads) / len(spreads)
    squared = sum(one.squared for one in spreads) / len(spreads)
    return Spread(excess, squared, sum(one.free for one in spreads))


def _learn_one(definition: Definition, groups: list[list[Counts]], component: str, free: int) -> Spread:
    vectors = [[vector(definition, counts, component) for counts in members] for members in groups]
    if component == "shape":
        return _learn_shape(definition, vectors, free)
    if component == "category":
        return _learn_cells(vectors, free)
    if component == "association":
        return _learn_association(vectors, free)
    return _learn_scores(component, vectors, free)


def _learn_cells(groups: list[list[tuple[int, ...]]], free: int) -> Spread:
    size = len(groups[0][0])
    return Spread(
        free=free,
        cells=tuple(
            _learn_scores("category", [[one_cell(cells, place) for cells in members] for members in groups], free)
            for place in range(size)
        ),
    )


def _learn_scores(component: str, vectors: Sequence[Sequence[tuple[int, ...]]], free: int) -> Spread:
    whole = [sum(column) for column in zip(*(v for members in vectors for v in members), strict=True)]
    score = scores(component, whole)
    variance = score.variance(whole)
    if variance <= 0:
        return Spread(free=free)
    excess = weight = 0.0
    for members in vectors:
        sums = [sumprod(one, score.values) for one in members]
        sizes = [sum(one) for one in members]
        all_sums, all_sizes = sum(sums), sum(sizes)
        for total, size in zip(sums, sizes, strict=True):
            rest = all_sizes - size
            if size and rest:
                rows = size * rest / all_sizes
                difference = total / size - (all_sums - total) / rest
                excess += rows * difference**2 / variance - 1
                weight += rows
    found = max(0.0, excess / weight) if weight else 0.0
    return Spread(found, found**2, free)


def _learn_shape(definition: Definition, groups: list[list[tuple[int, ...]]], free: int) -> Spread:
    every = [cells for members in groups for cells in members]
    whole = [sum(column) for column in zip(*every, strict=True)]
    into = pools(definition.kind, whole, min((sum(cells) for cells in every if any(cells)), default=0))
    df = max(into)
    if df < 1:
        return Spread(free=free)
    total = pooled(whole, into)
    scale = [(sum(total) / count) ** 0.5 if count else 0.0 for count in total]
    residuals, weights = [], []
    for members in groups:
        found = [pooled(cells, into) for cells in members]
        sums = [sum(column) for column in zip(*found, strict=True)]
        for cells in found:
            size, rest = sum(cells), sum(sums) - sum(cells)
            if size and rest:
                rows = size * rest / (size + rest)
                root = rows**0.5
                residuals.append(
                    [root * s * (a / size - (b - a) / rest) for a, b, s in zip(cells, sums, scale, strict=True)]
                )
                weights.append(rows)
    return _moments(residuals, weights, df, free)


def _learn_association(groups: list[list[tuple[int, ...]]], free: int) -> Spread:
    """Every direction of a pair's association together; in ``cells`` the trend alone. Ordinary margins differ so
    little that the directions of all windows together stand for each."""
    every = [cells for members in groups for cells in members]
    whole = [sum(column) for column in zip(*every, strict=True)]
    plan = layout(whole, min((sum(cells) for cells in every if any(cells)), default=0))
    if not plan.free:
        return Spread(free=free)
    along = [plan.spread(one) for one in directions(shares(plan.merged(whole), SMOOTHING), plan.shape)]
    residuals, weights = [], []
    for members in groups:
        sizes = [sum(cells) for cells in members]
        found = [[sumprod(one, cells) for one in along] for cells in members]
        sums, total = [sum(column) for column in zip(*found, strict=True)], sum(sizes)
        for moved, size in zip(found, sizes, strict=True):
            rest = total - size
            if size and rest:
                weights.append(size * rest / total)
                here, there = weights[-1] ** 0.5 * (1 / size + 1 / rest), weights[-1] ** 0.5 / rest
                residuals.append([here * a - there * b for a, b in zip(moved, sums, strict=True)])
    if not weights:
        return Spread(free=free)
    trend = max(0.0, sum(one[0] ** 2 - 1 for one in residuals) / sum(weights))
    table = _moments(residuals, weights, plan.free, free)
    return Spread(table.excess, table.squared, free, (Spread(trend, trend**2, free),))


def _moments(residuals: list[list[float]], weights: list[float], df: int, free: int) -> Spread:
    """Excess and its concentration. Two different windows share no chance, so the squared product of their
    residuals shows the squared eigenvalues without bias."""
    if len(residuals) < 2:
        return Spread(free=free)
    lengths = [sumprod(one, one) for one in residuals]
    excess = max(0.0, (sum(lengths) - df * len(lengths)) / sum(weights))
    size = len(residuals[0])
    product = 0.0
    columns = list(zip(*residuals, strict=True))
    for i in range(size):
        first = columns[i]
        product += sumprod(first, first) ** 2
        product += 2 * sum(sumprod(first, columns[j]) ** 2 for j in range(i))
    pairs = len(residuals) * (len(residuals) - 1)
    mean = sum(weights) / len(weights)
    squared = ((product - sum(length**2 for length in lengths)) / pairs - df - 2 * mean * excess) / mean**2
    return Spread(excess, min(excess**2, max(excess**2 / df, squared)), free)


def reference(windows: Grouped, group: Hashable = None) -> Counts | None:
    """The sum of the windows of one group, or of all windows without a group; None when there is none."""
    chosen = [counts for key, counts in windows if group is None or key == group]
    return add(chosen) if chosen else None
