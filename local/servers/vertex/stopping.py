"""Vertex AI's median rule for stopping a trial early, as a pure function."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median

# One finished trial is no median.
_LEAST_FINISHED = 2


@dataclass(frozen=True)
class Point:
    """A value of the metric at a position: the step, or the seconds since the trial's first measurement."""

    position: float
    value: float


def below_median(points: Sequence[Point], finished: Sequence[Sequence[Point]], minimize: bool) -> bool:
    """Whether a trial's best value is strictly worse than the median of the finished trials at the same position.

    What counts of a finished trial is the average of all it had reported up to the running trial's last position.
    """
    if not points:
        return False
    position = points[-1].position
    averages = [
        mean(before)
        for trial in finished
        if (before := [point.value for point in trial if point.position <= position])
    ]
    if len(averages) < _LEAST_FINISHED:
        return False
    values = [point.value for point in points]
    return min(values) > median(averages) if minimize else max(values) < median(averages)
