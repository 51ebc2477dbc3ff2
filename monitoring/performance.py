"""How well a model did on a day of predictions, from counts per cell of its scores: what late labels leave behind.

A day is the day of the *prediction*: a label that comes later changes the day it belongs to and no other. All sums
are integers, so that days add up exactly and a repeated count is equal to the first.
"""

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from math import exp, log, pi, sqrt

from monitoring.tails import f_quantile, normal_quantile
from retraining.modelspec import Task

MICRO = 1_000_000
CONFIDENCE = 0.95
FEW = 2  # labelled rows below which nothing has an interval


@dataclass(frozen=True)
class Bin:
    """One cell of the baseline's predictions on one day: rows, and sums in millionths over the labelled ones.

    Sums of a regression are in units of 10**power of the label, and of its square, so that they fit an integer.
    """

    answered: int = 0  # sound answers whose score lies in the cell; multiclass: that named this class
    due: int = 0  # of those, past the label delay
    labelled: int = 0  # of those, with a label
    positive: int = 0  # of those: the label is 1; multiclass: the class was right; regression: 0
    correct: int = 0  # of those: right when scores from 0.5 on say 1; multiclass: as positive; regression: 0
    score: int = 0  # scores
    label: int = 0  # labels; binary and multiclass: positive, in millionths
    loss: int = 0  # log-loss; regression: squared error
    loss_sq: int = 0
    error: int = 0  # squared error of the score; regression: absolute error
    error_sq: int = 0


@dataclass(frozen=True)
class DayCounts:
    """One prediction day of one deployed model, or of the rows of it in which ``column`` is ``value``."""

    start: datetime
    bins: tuple[Bin, ...]
    column: str = ""  # of the slice; empty: all rows
    value: str = ""
    invalid: int = 0  # answers without a sound score
    power: int = 0

    @property
    def total(self) -> Bin:
        """All cells together."""
        return Bin(*map(sum, zip(*map(astuple, self.bins), strict=True)))

    @property
    def maturity(self) -> float | None:
        """Labelled among the rows past the label delay; None while none is."""
        total = self.total
        return total.labelled / total.due if total.due else None

    def is_mature(self, least: float) -> bool:
        """Whether every row's label is due and at least the share ``least`` of them has come. Other days are not
        judged yet: labels that come early are no fair sample."""
        total = self.total
        return 0 < total.answered == total.due and total.labelled >= max(least * total.due, FEW)


@dataclass(frozen=True)
class Measure:
    """One metric with its confidence interval."""

    value: float
    low: float
    high: float
    rows: int


@dataclass(frozen=True)
class Calibration:
    """One cell: what the model said on average, and what came true. Regression: the mean label, with its value as
    both ends, as its spread within a cell is not kept."""

    cell: int
    rows: int
    said: float
    came: Measure


def add(days: Iterable[DayCounts]) -> DayCounts:
    """Several days of one model and slice as one. Raises ValueError when there are none or they do not match."""
    found = sorted(days, key=lambda one: one.start)
    if not found:
        raise ValueError("days to add: expected at least one, got none")
    if len({(len(one.bins), one.power, one.column, one.value) for one in found}) != 1:
        raise ValueError("days to add: expected the same cells, power and slice")
    cells = zip(*([astuple(cell) for cell in one.bins] for one in found), strict=True)
    first = found[0]
    return DayCounts(
        start=first.start,
        bins=tuple(Bin(*map(sum, zip(*parts, strict=True))) for parts in cells),
        column=first.column,
        value=first.value,
        invalid=sum(one.invalid for one in found),
        power=first.power,
    )


def measure(task: Task, day: DayCounts, confidence: float = CONFIDENCE) -> dict[str, Measure]:
    """Every metric of the task that the day's labelled rows can give, by the name that model files use; ``ece`` is
    the mean distance between said and came."""
    found: dict[str, Measure | None]
    if task == "regression":
        mse = loss(day, task, confidence)
        rmse = mse and Measure(sqrt(mse.value), sqrt(max(0.0, mse.low)), sqrt(mse.high), mse.rows)
        found = {"rmse": rmse, "mse": mse, "mae": error(day, task, confidence)}
    else:
        found = {
            "log_loss": loss(day, task, confidence),
            "brier": error(day, task, confidence),
            "accuracy": accuracy(day, confidence),
            "auc": auc(day, confidence) if task == "binary" else None,
            "ece": ece(day, confidence),
        }
    return {name: one for name, one in found.items() if one is not None}


def loss(day: DayCounts, task: Task, confidence: float = CONFIDENCE) -> Measure | None:
    """The mean loss per row, as rollouts count it: log-loss, or the squared error of a regression."""
    total = day.total
    scale = 100.0**day.power if task == "regression" else 1.0
    return _mean(total.labelled, total.loss, total.loss_sq, scale, confidence)


def error(day: DayCounts, task: Task, confidence: float = CONFIDENCE) -> Measure | None:
    """The mean squared error of the score (Brier); the mean absolute error of a regression."""
    total = day.total
    scale = 10.0**day.power if task == "regression" else 1.0
    return _mean(total.labelled, total.error, total.error_sq, scale, confidence)


def accuracy(day: DayCounts, confidence: float = CONFIDENCE) -> Measure | None:
    """The share of right answers with its exact interval."""
    total = day.total
    return share(total.correct, total.labelled, confidence) if total.labelled else None


def share(hits: int, rows: int, confidence: float = CONFIDENCE) -> Measure:
    """A share with its exact (Clopper and Pearson) interval; ``rows`` > 0."""
    tail = (1 - confidence) / 2
    low, high = 0.0, 1.0
    if hits:
        quantile = f_quantile(1 - tail, 2 * hits, 2 * (rows - hits + 1))
        low = hits * quantile / (rows - hits + 1 + hits * quantile)
    if hits < rows:
        quantile = f_quantile(tail, 2 * (hits + 1), 2 * (rows - hits))
        high = (hits + 1) * quantile / (rows - hits + (hits + 1) * quantile)
    return Measure(hits / rows, low, high, rows)


def calibration(day: DayCounts, task: Task, confidence: float = CONFIDENCE) -> tuple[Calibration, ...]:
    """What was said and what came true, cell by cell, where there are labels."""
    scale = 10.0**day.power / MICRO if task == "regression" else 1 / MICRO
    found = []
    for place, cell in enumerate(day.bins):
        if not cell.labelled:
            continue
        said, came = (scale * total / cell.labelled for total in (cell.score, cell.label))
        exact = share(cell.positive, cell.labelled, confidence)
        found.append(
            Calibration(
                place,
                cell.labelled,
                said,
                Measure(came, came, came, cell.labelled) if task == "regression" else exact,
            )
        )
    return tuple(found)


def ece(day: DayCounts, confidence: float = CONFIDENCE) -> Measure | None:
    """The expected calibration error over cells: the mean distance between the score and the share that came true.
    Chance alone makes it larger than 0; its interval reaches down to what chance explains."""
    rows = day.total.labelled
    if rows < FEW:
        return None
    value = chance = variance = 0.0
    for cell in day.bins:
        if not cell.labelled:
            continue
        weight, said = cell.labelled / rows, cell.score / cell.labelled / MICRO
        gap = abs(said - cell.positive / cell.labelled)
        sd = sqrt(max(said * (1 - said), 1e-12) / cell.labelled)
        value += weight * gap
        chance += weight * sd * sqrt(2 / pi)
        variance += (weight * sd) ** 2
    reach = normal_quantile((1 + confidence) / 2) * sqrt(variance)
    return Measure(value, max(0.0, value - chance - reach), min(1.0, value + reach), rows)


def auc(day: DayCounts, confidence: float = CONFIDENCE) -> Measure | None:
    """The chance that a positive row has the higher score, scores of one cell being equal; the interval is DeLong's
    on the cells, in logits. None unless both labels occur."""
    ones = [cell.positive for cell in day.bins]
    zeros = [cell.labelled - cell.positive for cell in day.bins]
    n, m = sum(ones), sum(zeros)
    if min(n, m) < FEW:
        return None
    over, under = _midranks(zeros), _midranks(ones)
    value = sum(k * place for k, place in zip(ones, over, strict=True)) / (n * m)
    of_ones = sum(k * (place / m - value) ** 2 for k, place in zip(ones, over, strict=True)) / (n - 1)
    of_zeros = sum(k * (1 - place / n - value) ** 2 for k, place in zip(zeros, under, strict=True)) / (m - 1)
    inner = min(max(value, 0.5 / (n * m)), 1 - 0.5 / (n * m))
    sd = sqrt(of_ones / n + of_zeros / m) / (inner * (1 - inner))
    reach = normal_quantile((1 + confidence) / 2) * sd
    middle = log(inner / (1 - inner))
    return Measure(value, _logistic(middle - reach), _logistic(middle + reach), n + m)


def day_of(at: datetime) -> datetime:
    """The start of the prediction day (UTC) that ``at`` lies in."""
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def is_settled(day: DayCounts, now: datetime, delay: timedelta, late: timedelta) -> bool:
    """Whether counting the day again could hardly change it: every label is there, or ``late`` beyond its due."""
    total = day.total
    due = day.start + timedelta(days=1) + delay
    return now >= due + late or (now >= due and total.labelled == total.due == total.answered)


def _mean(rows: int, total: int, total_sq: int, scale: float, confidence: float) -> Measure | None:
    if rows < FEW:
        return None
    mean = total / MICRO / rows
    variance = max(0.0, total_sq / MICRO - rows * mean**2) / (rows - 1)
    # Student's quantile: the square root of Fisher's with one degree of freedom.
    reach = sqrt(f_quantile(1 - confidence, 1, rows - 1) * variance / rows)
    return Measure(scale * mean, scale * (mean - reach), scale * (mean + reach), rows)


def _midranks(counts: list[int]) -> list[float]:
    """For each cell: rows of ``counts`` in the cells below, and half of those in it."""
    found, below = [], 0
    for count in counts:
        found.append(below + count / 2)
        below += count
    return found


def _logistic(value: float) -> float:
    return 1 / (1 + exp(-value)) if value > -700 else 0.0
