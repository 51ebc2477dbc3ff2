"""Metrics in a list of answers: what each deployed model said, when, and how long it took."""

import threading
from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime

from retraining.operations import Health, Latencies

BOUNDS = tuple(2.0**power for power in range(17))  # 1 ms to 65 s
"""Between the buckets of latencies: an answer that took exactly a bound belongs to the bucket above it."""


@dataclass(frozen=True)
class Answer:
    """One request that a deployed model answered."""

    endpoint: str  # resource name
    deployed_id: str
    at: datetime
    code: int  # HTTP
    milliseconds: float


class MemoryMetrics:
    """Metrics in this process. Safe between threads."""

    def __init__(self) -> None:
        self._answers: list[Answer] = []
        self._lock = threading.Lock()

    def add(self, answer: Answer) -> None:
        """Count one more."""
        with self._lock:
            self._answers.append(answer)

    def health(self, endpoint: str, since: datetime, until: datetime) -> dict[str, Health]:
        """See Metrics. Everything can be known at once here."""
        with self._lock:
            seen = [one for one in self._answers if one.endpoint == endpoint and since <= one.at < until]
        return {
            name: _health([one for one in seen if one.deployed_id == name])
            for name in {o.deployed_id for o in seen}
        }


def _health(answers: list[Answer]) -> Health:
    counts = [0] * (len(BOUNDS) + 1)
    for one in answers:
        counts[bisect_right(BOUNDS, one.milliseconds)] += 1
    errors = sum(not 200 <= one.code < 300 for one in answers)
    return Health(len(answers), errors, Latencies(BOUNDS, tuple(counts)))
