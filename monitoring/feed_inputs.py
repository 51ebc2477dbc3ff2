"""What is wrong with one input of a window: values missing, unreadable, stuck, renamed or in another unit.

A fault and a changed world move the same counts, but not alike. A unit multiplies mean and spread together, a
changed world moves one of them; a renamed category takes its rows from one other category, a new one from all. What
ordinary windows do themselves is never a fault.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import Literal

from monitoring.baseline import PREDICTION, Definition
from monitoring.counts import Counts, add
from monitoring.tails import normal_quantile

FEW_ROWS = 100
FEW_WINDOWS = 3  # ordinary ones, below which only the training rows say what is usual
SURE = -normal_quantile(1e-6)  # standard errors that chance does not explain
NULLS = 0.05  # share of missing values beyond the most that ordinary windows had
NULLS_UNKNOWN = 0.15  # the same beyond the training rows', whose window may have been another world
GONE = 0.98  # share of missing values from which an input has vanished
UNREADABLE = 0.02  # share of values that are no number, or of payloads that are no object
STUCK = 0.998  # share of rows with one category, of an input that had several
RENAMED = 0.02  # share of rows in new categories
EXACT = 0.03  # relative: how near a factor must be to one of UNITS
LARGE = 6.0  # a factor from which nobody takes it for the world; a smaller one must move a narrow distribution
NARROW = 0.5  # spread over mean
# One unit in another: powers of ten, hours and minutes, days, miles, feet, inches, pounds.
UNITS = tuple(
    factor
    for unit in (10.0, 100.0, 1e3, 1e4, 1e6, 60.0, 3600.0, 24.0, 1.609344, 3.28084, 2.54, 2.204623, 12.0)
    for factor in (unit, 1 / unit)
)

FaultKind = Literal[
    "volume", "freshness", "missing", "vanished", "schema", "constant", "unit", "unseen", "duplicates", "labels"
]


@dataclass(frozen=True)
class Fault:
    """One thing that is broken."""

    of: str  # an input, the prediction, FEED or LABELS
    kind: FaultKind
    text: str  # one sentence for people, with the numbers


def of_input(one: Definition, now: Counts, earlier: Sequence[Counts]) -> list[Fault]:
    """What is wrong with one input; a fault that explains others is told alone."""
    base = add(earlier) if len(earlier) >= FEW_WINDOWS else one.training
    by_calendar = one.name.endswith((":weekday", ":hour"))  # a day has one weekday
    checks: tuple[Callable[[Definition, Counts, Counts, Sequence[Counts]], Fault | None], ...] = (
        _missing,
        _unreadable,
        _constant,
        _unit,
        _some_in_another_unit,
        _renamed,
    )
    for check in checks[:2] if by_calendar else checks:
        if fault := check(one, now, base, earlier):
            return [fault]
    return []


def _missing(one: Definition, now: Counts, base: Counts, earlier: Sequence[Counts]) -> Fault | None:
    share, usual = now.n_null / now.n, base.n_null / base.n
    if share > GONE and usual < 0.5:
        return Fault(one.name, "vanished", f"{one.name}: {share:.1%} of values are missing")
    most = usual + NULLS_UNKNOWN
    if len(earlier) >= FEW_WINDOWS:
        most = max(part.n_null / part.n for part in earlier) + NULLS
    if share - SURE * sqrt(most * (1 - min(most, 1)) / now.n) > most:
        return Fault(
            one.name, "missing", f"{one.name}: {share:.1%} of values are missing where {usual:.1%} are usual"
        )
    return None


def _unreadable(one: Definition, now: Counts, base: Counts, earlier: Sequence[Counts]) -> Fault | None:
    share, usual = now.n_unparseable / now.n, base.n_unparseable / base.n
    most = max((part.n_unparseable / part.n for part in earlier), default=usual)
    if share > 2 * most + UNREADABLE:
        return Fault(
            one.name, "schema", f"{one.name}: {share:.1%} of values cannot be read where {usual:.1%} are usual"
        )
    return None


def _constant(one: Definition, now: Counts, base: Counts, earlier: Sequence[Counts]) -> Fault | None:
    if now.valid < FEW_ROWS or not base.valid or one.name == PREDICTION:
        return None
    # Windows that were nearly constant themselves make it nothing new.
    if max(max(part.cells) / part.valid for part in (*earlier, base) if part.valid) > 0.95:
        return None
    stuck = _is_fixed(now) and not _is_fixed(base) if one.kind == "numeric" else max(now.cells) >= STUCK * now.valid
    return Fault(one.name, "constant", f"{one.name}: every value is the same") if stuck else None


def _is_fixed(counts: Counts) -> bool:
    mean, variance = _moments(counts)
    return variance <= 1e-9 * max(mean * mean, 1e-12)


def _unit(one: Definition, now: Counts, base: Counts, earlier: Sequence[Counts]) -> Fault | None:
    """All values multiplied: mean and spread by the same factor, and that a known one."""
    if one.kind != "numeric" or one.name == PREDICTION or min(now.valid, base.valid) < FEW_ROWS:
        return None
    (mean, variance), (usual, spread) = _moments(now), _moments(base)
    if variance <= 0 or spread <= 0:
        return None
    factor = sqrt((variance + mean**2) / (spread + usual**2))
    varies, large = _variation(base, earlier), max(factor, 1 / factor) >= LARGE
    # Many things grow by half on a bad day; only what hardly varies, and exactly so, is miles for kilometres.
    if abs(log(factor)) < max(log(1.25), (2 if large else 4) * varies):
        return None
    if not _is_unit(factor, EXACT + (min(2 * varies, 0.3) if large else 0)):
        return None
    if not large and spread > NARROW**2 * usual**2:
        return None  # prices grow by factors, too
    wider = sqrt(variance / spread) / factor
    same = 0.85 < wider < 1.18
    if usual**2 > 0.04 * spread:  # far enough from 0 that the mean tells as well
        same = same and abs(mean / usual / factor - 1) < 0.15 + 4 * sqrt(spread / now.valid) / abs(usual)
    if not same:
        return None
    return Fault(
        one.name, "unit", f"{one.name}: values are {factor:.4g} times as large as usual, as in another unit"
    )


def _some_in_another_unit(one: Definition, now: Counts, base: Counts, earlier: Sequence[Counts]) -> Fault | None:
    """Some values multiplied: those that no ordinary row had are, on average, a known factor times the usual."""
    if one.kind != "numeric" or one.name == PREDICTION or min(now.valid, base.valid) < FEW_ROWS:
        return None
    beyond = now.n_unseen if one.values else now.n_high
    usually = (base.n_unseen if one.values else base.n_high) / base.valid
    extra = beyond - usually * now.valid
    mean, (usual, spread) = _moments(now)[0], _moments(base)
    if extra < max(0.01 * now.valid, 10) or usual**2 < 0.01 * spread:
        return None
    of_extra = (mean * now.valid - usual * (now.valid - extra)) / extra
    factor = of_extra / usual
    # Only rows that leave the usual range are seen, so small factors cannot be told from a longer tail.
    if factor < 8 or not _is_unit(factor, 0.35) or _rest_moved(now, base, earlier):
        return None
    share = extra / now.valid
    return Fault(one.name, "unit", f"{one.name}: {share:.1%} of values are {factor:.3g} times as large as usual")


def _rest_moved(now: Counts, base: Counts, earlier: Sequence[Counts]) -> bool:
    """Whether the values below the highest cell are spread otherwise than usual: then the world has moved."""
    usual = max((_apart(part.cells[:-1], base.cells[:-1]) for part in earlier), default=0.05)
    return _apart(now.cells[:-1], base.cells[:-1]) > 1.5 * usual + 0.05


def _apart(cells: Sequence[int], others: Sequence[int]) -> float:
    """The share of rows that lie otherwise."""
    n, m = max(1, sum(cells)), max(1, sum(others))
    return sum(abs(a / n - b / m) for a, b in zip(cells, others, strict=True)) / 2


def _renamed(one: Definition, now: Counts, base: Counts, earlier: Sequence[Counts]) -> Fault | None:
    """New categories whose rows one old category lacks. A category that is really new takes from all of them."""
    if one.kind != "categorical" or one.name == PREDICTION or min(now.valid, base.valid) < FEW_ROWS:
        return None
    new = now.cells[-1] / now.valid
    before = max(
        (part.cells[-1] / part.valid for part in earlier if part.valid), default=base.cells[-1] / base.valid
    )
    more = new - before
    listed = [cell / base.valid for cell in base.cells[:-1]]
    if more < RENAMED or not listed:
        return None
    place = max(range(len(listed)), key=lambda k: listed[k] - now.cells[k] / now.valid)
    lost = listed[place] - now.cells[place] / now.valid
    as_renamed = _distance(now, [*_moved(listed, place, more)])
    as_new = _distance(now, [share * (1 - more) for share in listed])
    if not 0.6 < more / max(lost, 1e-9) < 1.7 or as_renamed > 0.35 * as_new:
        return None
    name = one.categories[place]
    return Fault(
        one.name,
        "unseen",
        f"{one.name}: {more:.1%} of rows have unknown values and {name!r} lost as many: it seems renamed",
    )


def _moved(listed: Sequence[float], place: int, share: float) -> Iterator[float]:
    for k, one in enumerate(listed):
        yield max(one - share, 1e-4) if k == place else one


def _distance(now: Counts, expected: Sequence[float]) -> float:
    """How far the listed categories are from what was expected of them, in chi-squared."""
    return sum(
        (count - now.valid * share) ** 2 / (now.valid * share + 1)
        for count, share in zip(now.cells[:-1], expected, strict=True)
    )


def _moments(counts: Counts) -> tuple[float, float]:
    """Mean and variance."""
    if not counts.valid:
        return 0.0, 0.0
    mean = counts.sum / counts.valid
    return mean, max(0.0, counts.sum_sq / counts.valid - mean * mean)


def _size(counts: Counts) -> float:
    return sqrt(counts.sum_sq / counts.valid) if counts.valid else 0.0


def _variation(base: Counts, earlier: Sequence[Counts]) -> float:
    """How far ordinary windows are from their own usual size, at most, as a logarithm."""
    usual = _size(base)
    return max((abs(log(_size(part) / usual)) for part in earlier if _size(part) > 0 and usual > 0), default=0.0)


def _is_unit(factor: float, relative: float) -> bool:
    return any(abs(factor / unit - 1) < relative for unit in UNITS)
