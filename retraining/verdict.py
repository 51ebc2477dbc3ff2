"""What the requests of a step say about the challenger, at any moment and as often as anybody looks.

The bounds are an asymptotic confidence sequence (Waudby-Smith et al., "Time-uniform central limit theory and
asymptotic confidence sequences", 2021, eq. 14): they hold at all looks together, so that ticks may be lost, doubled
or late without making a false alarm more likely.
"""

import math
from datetime import datetime

from retraining.modelspec import ModelSpec
from retraining.rollouts import Look, Verdict
from retraining.views import ArmCounts

LEVEL = 0.05  # chance that the bounds ever miss the true difference on one side
_RHO = 0.05  # where the sequence is tightest: around 1 / rho² = 400 rows
MIN_LABELLED = 30  # rows of each arm below which a mean says nothing
MAX_INVALID = 0  # answers that are not finite or out of range


def look(spec: ModelSpec, challenger: ArmCounts | None, champion: ArmCounts | None, now: datetime) -> Look:
    """Judge the challenger's rows beside the champion's of the same time."""
    ours = challenger or ArmCounts(rows=0, invalid=0)
    theirs = champion or ArmCounts(rows=0, invalid=0)

    def found(verdict: Verdict, reason: str, *bounds: float) -> Look:
        difference, low, high = bounds or (None, None, None)
        return Look(
            at=now,
            verdict=verdict,
            reason=reason,
            challenger_rows=ours.rows,
            champion_rows=theirs.rows,
            difference=difference,
            low=low,
            high=high,
        )

    if ours.invalid > MAX_INVALID:
        return found(Verdict.WORSE, f"{ours.invalid} of its answers are not finite or out of range")
    if ours.rows == 0:
        return found(Verdict.NO_DATA, "it has answered no request yet")
    if ours.labelled < MIN_LABELLED or theirs.labelled < MIN_LABELLED:
        seen = min(ours.labelled, theirs.labelled)
        return found(Verdict.INCONCLUSIVE, f"{seen} rows of an arm have labels, {MIN_LABELLED} are needed")
    difference, margin = _difference(ours, theirs)
    low, high = difference - margin, difference + margin
    said = f"its loss is {difference:+.4f} beside the champion's, between {low:+.4f} and {high:+.4f}"
    tolerance = spec.rollout.tolerance
    if low > 0 and difference > tolerance:
        return found(Verdict.WORSE, f"{said}; the tolerance is {tolerance}", difference, low, high)
    if high < 0:
        return found(Verdict.BETTER, said, difference, low, high)
    if high < tolerance:
        return found(Verdict.NOT_WORSE, f"{said}; the tolerance is {tolerance}", difference, low, high)
    return found(Verdict.INCONCLUSIVE, f"{said}; the tolerance is {tolerance}", difference, low, high)


def _difference(ours: ArmCounts, theirs: ArmCounts) -> tuple[float, float]:
    """Difference of mean losses, and the half-width of its anytime-valid bounds."""
    difference = ours.loss_sum / ours.labelled - theirs.loss_sum / theirs.labelled
    n = min(ours.labelled, theirs.labelled)
    variance = n * (_variance(ours) / ours.labelled + _variance(theirs) / theirs.labelled)
    return difference, math.sqrt(variance) * boundary(n)


def _variance(arm: ArmCounts) -> float:
    mean = arm.loss_sum / arm.labelled
    spread = arm.loss_sq_sum / arm.labelled - mean**2
    return max(spread, 1e-12) * arm.labelled / (arm.labelled - 1)


def boundary(n: int) -> float:
    """Half-width, in standard deviations of one row, after ``n`` rows; valid at all ``n`` together."""
    scaled = n * _RHO**2
    return math.sqrt(2 * (scaled + 1) / (n**2 * _RHO**2) * math.log(1 + math.sqrt(scaled + 1) / (2 * LEVEL)))
