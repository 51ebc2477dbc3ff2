"""From values to places on a chart: dates along x, numbers up y."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Scale:
    """A straight line from values [low, high] to places [start, end]."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The place of a value."""
        spread = (self.high - self.low) or 1.0
        return round(self.start + (value - self.low) / spread * (self.end - self.start), 1)


def stamp(text: str) -> float:
    """An ISO date or time as seconds; UTC where it names no zone."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def months(low: float, high: float) -> list[tuple[float, str]]:
    """The first of each month in the range, with its short name."""
    found = []
    first, last = datetime.fromtimestamp(low, UTC), datetime.fromtimestamp(high, UTC)
    for year in range(first.year, last.year + 1):
        for month in range(1, 13):
            at = stamp(f"{year}-{month:02d}-01T00:00:00+00:00")
            if low <= at <= high:
                found.append((at, f"{datetime(year, month, 1):%b}"))  # noqa: DTZ001 - only its name
    return found


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers in the range, about ``count`` of them."""
    spread = (high - low) or 1.0
    for step in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000):
        if spread / step <= count + 1:
            break
    number = math.ceil(low / step - 1e-9)
    found = []
    while number * step <= high + step / 1e6:
        found.append(round(number * step, 6))
        number += 1
    return found


def bounds(values: Sequence[float]) -> tuple[float, float]:
    """Lowest and highest, with a little room; 0 to 1 when there are none."""
    if not values:
        return 0.0, 1.0
    room = (max(values) - min(values)) * 0.06 or abs(max(values)) * 0.1 or 0.1
    return min(values) - room, max(values) + room
