"""From values to places on a chart: times along x, numbers up y, and the round values an axis shows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

STEPS = tuple(lead * 10.0**power for power in range(-6, 7) for lead in (1, 2, 5))
DAY = 86400.0


@dataclass(frozen=True)
class Scale:
    """A straight line from values [low, high] to places [start, end]."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The place of a value, to a tenth of a pixel."""
        spread = (self.high - self.low) or 1.0
        return round(self.start + (value - self.low) / spread * (self.end - self.start), 1)

    def holds(self, value: float) -> bool:
        """Whether a value lies in the range."""
        return self.low <= value <= self.high


def stamp(text: str) -> float:
    """Seconds of an ISO date or time; UTC where it names no zone. Raises ValueError for other text."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def short_day(seconds: float) -> str:
    """A date for people: ``9 Jul``."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment.day} {moment:%b}"


def dates(low: float, high: float, most: int) -> list[tuple[float, str]]:
    """At most ``most`` dates with labels: firsts of months, or days when the range is shorter than two months."""
    found = _days(low, high) if high - low < 62 * DAY else _months(low, high)
    every = math.ceil(len(found) / max(most, 1)) or 1
    return found[::every]


def _days(low: float, high: float) -> list[tuple[float, str]]:
    first, last = math.ceil(low / DAY), math.floor(high / DAY)
    return [(number * DAY, short_day(number * DAY)) for number in range(first, last + 1)]


def _months(low: float, high: float) -> list[tuple[float, str]]:
    """January carries its year, as does nothing else."""
    years = range(datetime.fromtimestamp(low, UTC).year, datetime.fromtimestamp(high, UTC).year + 1)
    firsts = [datetime(year, month, 1, tzinfo=UTC) for year in years for month in range(1, 13)]
    shown = [first for first in firsts if low <= first.timestamp() <= high]
    return [(first.timestamp(), str(first.year) if first.month == 1 else f"{first:%b}") for first in shown]


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers in the range, at most ``count`` + 1 of them."""
    spread = (high - low) or 1.0
    step = next((step for step in STEPS if spread / step <= count), STEPS[-1])
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 9) for number in range(first, last + 1)]


def bounds(values: Sequence[float]) -> tuple[float, float]:
    """Lowest and highest, with a little room; 0 to 1 when there are none."""
    if not values:
        return 0.0, 1.0
    room = (max(values) - min(values)) * 0.06 or abs(max(values)) * 0.1 or 0.1
    return min(values) - room, max(values) + room


def known(value: float | None) -> float | None:
    """The value where there is one: a NaN or an infinity has no place on a chart."""
    return value if value is not None and math.isfinite(value) else None
