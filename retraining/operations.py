"""How a deployed model serves, as numbers: how many requests it answered, how many with an error, and how fast.

The request log cannot say this: it holds what was answered, and a request that failed may never reach it.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Latencies:
    """A histogram of answers. ``counts`` has one number more than ``bounds``: below the first, between, above."""

    bounds: tuple[float, ...] = ()  # milliseconds, rising
    counts: tuple[int, ...] = ()

    @property
    def total(self) -> int:
        """How many answers were timed."""
        return sum(self.counts)

    def slower(self, limit: float) -> int:
        """Answers that surely took ``limit`` milliseconds or more: those of buckets that begin there or later."""
        starts = (0.0, *self.bounds)
        return sum(count for start, count in zip(starts, self.counts, strict=False) if start >= limit)

    def quantile(self, share: float) -> float | None:
        """Milliseconds within which ``share`` of the answers came, evenly spread in a bucket; None without answers.

        Of the last bucket only its beginning is known."""
        wanted, before = share * self.total, 0
        starts = (0.0, *self.bounds)
        for start, end, count in zip(starts, (*self.bounds, math.nan), self.counts, strict=False):
            if count and before + count >= wanted:
                return start if math.isnan(end) else start + (end - start) * (wanted - before) / count
            before += count
        return None


@dataclass(frozen=True)
class Health:
    """How one deployed model answered in a window."""

    requests: int  # answers, whatever their code
    errors: int  # of those, all whose code is not 2xx; what clients do wrong falls on all models alike
    latencies: Latencies = Latencies()

    @property
    def error_share(self) -> float:
        """Errors among the answers; 0 without answers."""
        return self.errors / self.requests if self.requests else 0.0
