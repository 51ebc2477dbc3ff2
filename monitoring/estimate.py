"""What the loss will turn out to be, before labels come, and what it means when it turns out otherwise.

The reference period tells the mean loss of each cell of scores. Weighted with how the scores fall now, they give
the loss to expect as long as the same score still means the same (NannyML calls it CBPE). Once the labels are there
the difference between what came and what was to be expected is the sign that it does not: concept drift.

Every answer is three-valued. A difference within what ordinary days differ by is no proof of anything, and one that
could be either is said to be so.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from enum import StrEnum
from math import sqrt
from statistics import fmean

from monitoring.performance import MICRO, Bin, DayCounts, Measure, add, measure
from monitoring.tails import f_quantile, f_tail
from retraining.modelspec import Task

MIN_DAYS = 5  # of the reference, to know how ordinary days differ
MIN_ROWS = 300  # labelled, in the reference
SETTLED = 20  # labelled rows of a cell of the reference; a poorer cell borrows its neighbours'
ENOUGH = 100  # rows of what is compared
LEVEL = 0.01  # chance of calling an ordinary day worse


class Standing(StrEnum):
    """How a loss stands beside the reference."""

    FINE = "fine"  # worse by less than the tolerance, if at all
    WORSE = "worse"  # worse for sure, and by more than the tolerance
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class Comparison:
    """A difference of mean losses; positive is worse."""

    standing: Standing
    difference: float
    low: float
    high: float
    p_value: float  # two-sided, of no difference but what ordinary days show
    rows: int
    reason: str


@dataclass(frozen=True)
class Reference:
    """The days that a model's later days are measured by: those right after it was accepted."""

    task: Task
    whole: DayCounts  # all days together
    borrowed: tuple[Bin, ...]  # the cells, the poor ones with the rows of their neighbours
    days: int
    of_mean: float  # variance between days beyond chance: of the mean loss,
    of_estimate: float  # of the loss to expect,
    of_gap: float  # and of the difference between the two

    @property
    def scale(self) -> float:
        """The unit of the sums of losses."""
        power = self.whole.power if self.task == "regression" else 0
        return 100.0**power / MICRO

    @property
    def loss(self) -> float:
        """The mean loss of the reference."""
        total = self.whole.total
        return self.scale * total.loss / total.labelled


def learn(task: Task, days: Sequence[DayCounts]) -> Reference | None:
    """The reference that mature days of one slice make; None where they are too few to judge anything by."""
    if len(days) < MIN_DAYS or sum(day.total.labelled for day in days) < MIN_ROWS:
        return None
    means, estimates, gaps = [], [], []
    for number, day in enumerate(days):
        others = _plain(task, [one for place, one in enumerate(days) if place != number])
        if day.total.labelled:
            means.append(_squared(*_realised(others, day, 1)))
            estimates.append(_squared(*_foreseen(others, day, 1)))
            gaps.append(_squared(*_gap(others, day, 1)))
    return replace(_plain(task, days), of_mean=_excess(means), of_estimate=_excess(estimates), of_gap=_excess(gaps))


def realised(reference: Reference, day: DayCounts, days: int, tolerance: float, level: float = LEVEL) -> Comparison:
    """The loss of the labelled rows of ``day``, which stands for ``days`` mature days, beside the reference's."""
    return _judged(reference, *_realised(reference, day, days), day.total.labelled, tolerance, level)


def foreseen(reference: Reference, day: DayCounts, days: int, tolerance: float, level: float = LEVEL) -> Comparison:
    """The loss to expect of all answered rows, labelled or not, beside the reference's."""
    return _judged(reference, *_foreseen(reference, day, days), day.total.answered, tolerance, level)


def concept(reference: Reference, day: DayCounts, days: int, tolerance: float, level: float = LEVEL) -> Comparison:
    """The loss of the labelled rows beside the one that was to be expected of the very same rows."""
    return _judged(reference, *_gap(reference, day, days), day.total.labelled, tolerance, level)


def estimate(reference: Reference, day: DayCounts) -> dict[str, Measure]:
    """Every metric of the answered rows as it is to be expected, by name; the intervals are of what will come true,
    rows and ordinary days varying as they do. Calibration is what the estimate assumes, so it has none."""
    total = day.total.answered
    if not total:
        return {}
    cells = tuple(
        _scaled(cell, now.answered) if cell.labelled else Bin()
        for cell, now in zip(reference.borrowed, day.bins, strict=True)
    )
    found = measure(reference.task, replace(day, bins=cells))
    wider = sqrt(1 + total / reference.whole.total.labelled)
    extra = sqrt(f_quantile(0.05, 1, reference.days - 1) * reference.of_gap)
    main = "mse" if reference.task == "regression" else "log_loss"
    return {
        name: Measure(
            one.value,
            one.value - wider * (one.value - one.low) - (extra if name == main else 0),
            one.value + wider * (one.high - one.value) + (extra if name == main else 0),
            one.rows,
        )
        for name, one in found.items()
        if name != "ece"
    }


def _plain(task: Task, days: Sequence[DayCounts]) -> Reference:
    whole = add(days)
    return Reference(task, whole, _borrow(whole.bins), len(days), 0.0, 0.0, 0.0)


def _borrow(bins: Sequence[Bin]) -> tuple[Bin, ...]:
    """Each cell, with its neighbours' rows as far as it takes to have SETTLED labelled ones."""
    found = []
    for place in range(len(bins)):
        reach, cell = 0, bins[place]
        while cell.labelled < SETTLED and reach < len(bins):
            reach += 1
            near = bins[max(0, place - reach) : place + reach + 1]
            cell = Bin(*map(sum, zip(*map(astuple, near), strict=True)))
        found.append(cell)
    return tuple(found)


def _scaled(cell: Bin, rows: int) -> Bin:
    """The cell as if it had so many rows, all labelled."""
    factor = rows / cell.labelled
    parts = (
        cell.positive,
        cell.correct,
        cell.score,
        cell.label,
        cell.loss,
        cell.loss_sq,
        cell.error,
        cell.error_sq,
    )
    return Bin(rows, rows, rows, *(round(factor * one) for one in parts))


def _mean_and_variance(cell: Bin, scale: float) -> tuple[float, float]:
    """Of one row's loss in the cell. ``scale`` is the unit of the sums, its square times MICRO that of squares."""
    if not cell.labelled:
        return 0.0, 0.0
    mean = scale * cell.loss / cell.labelled
    squares = scale * scale * MICRO * cell.loss_sq / cell.labelled
    return mean, max(0.0, squares - mean * mean) * cell.labelled / max(1, cell.labelled - 1)


def _realised(reference: Reference, day: DayCounts, days: int) -> tuple[float, float]:
    """The difference and its variance."""
    mean, variance = _mean_and_variance(day.total, reference.scale)
    theirs, spread = _mean_and_variance(reference.whole.total, reference.scale)
    rows, base = day.total.labelled, reference.whole.total.labelled
    return mean - theirs, _over(max(variance, spread), rows) + _over(spread, base) + _ordinary(
        reference.of_mean, days, reference.days
    )


def _foreseen(reference: Reference, day: DayCounts, days: int) -> tuple[float, float]:
    rows, base = day.total.answered, reference.whole.total.labelled
    cells = [_mean_and_variance(cell, reference.scale) for cell in reference.borrowed]
    now = [cell.answered / max(1, rows) for cell in day.bins]
    then = [cell.labelled / max(1, base) for cell in reference.whole.bins]
    difference = sum((a - b) * mean for a, b, (mean, _) in zip(now, then, cells, strict=True))
    middle = sum(b * mean for b, (mean, _) in zip(then, cells, strict=True))
    between = sum(b * (mean - middle) ** 2 for b, (mean, _) in zip(then, cells, strict=True))
    of_cells = sum(
        (a - b) ** 2 * _over(variance, cell.labelled)
        for a, b, (_, variance), cell in zip(now, then, cells, reference.borrowed, strict=True)
    )
    ordinary = _ordinary(reference.of_estimate, days, reference.days)
    return difference, _over(between, rows) + _over(between, base) + of_cells + ordinary


def _gap(reference: Reference, day: DayCounts, days: int) -> tuple[float, float]:
    rows = max(1, day.total.labelled)
    difference = reference.scale * day.total.loss / rows
    variance = 0.0
    for cell, now in zip(reference.borrowed, day.bins, strict=True):
        mean, spread = _mean_and_variance(cell, reference.scale)
        weight = now.labelled / rows
        difference -= weight * mean
        variance += weight * spread / rows + weight**2 * _over(spread, cell.labelled)
    return difference, variance + _ordinary(reference.of_gap, days, reference.days)


def _over(variance: float, rows: int) -> float:
    return variance / rows if rows else 0.0


def _ordinary(excess: float, days: int, base: int) -> float:
    """The share that ordinary days have in the variance of a difference between means over days."""
    return excess * (1 / max(1, days) + 1 / max(1, base))


def _squared(difference: float, variance: float) -> float:
    """What the square of a difference exceeds chance by."""
    return difference**2 - variance


def _excess(found: Sequence[float]) -> float:
    return max(0.0, fmean(found)) if found else 0.0


def _judged(
    reference: Reference, difference: float, variance: float, rows: int, tolerance: float, level: float
) -> Comparison:
    free = reference.days - 1
    sd = sqrt(max(variance, 1e-24))
    reach = sd * sqrt(f_quantile(2 * level, 1, free))
    low, high = difference - reach, difference + reach
    p_value = f_tail((difference / sd) ** 2, 1, free)
    said = f"{difference:+.4f} beside the reference's {reference.loss:.4f}, between {low:+.4f} and {high:+.4f}"
    said = f"{said}; the tolerance is {tolerance}"
    if rows < ENOUGH:
        standing, said = Standing.CANNOT_TELL, f"{rows} rows, {ENOUGH} are needed"
    elif low > 0 and difference > tolerance:
        standing = Standing.WORSE
    else:
        standing = Standing.FINE if high < tolerance else Standing.CANNOT_TELL
    return Comparison(standing, difference, low, high, p_value, rows, said)
