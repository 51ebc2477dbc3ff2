"""What the requests of a step say about the challenger, at any moment and as often as anybody looks.

The bounds of the losses are an asymptotic confidence sequence (Waudby-Smith et al., "Time-uniform central limit
theory and asymptotic confidence sequences", 2021, eq. 14): they hold at all looks together, so that ticks may be
lost, doubled or late without making a false alarm more likely. Errors, latencies and shares of traffic are judged
by ``retraining.operations_verdict``. Any of them can stop a rollout; going on needs them all.
"""

import math
from dataclasses import dataclass, replace
from datetime import datetime

from retraining.modelspec import ModelSpec
from retraining.operations_verdict import NOTHING, Operations, comparing, labels_off, shares_off
from retraining.rollouts import Look, Verdict
from retraining.views import ArmCounts

LEVEL = 0.05  # chance that a challenger that is worse by the tolerance is ever called no worse
SPENT_ON_LOSSES = (
    0.025  # of what all guards may spend on false alarms (operations_verdict.HARM), shared by the steps
)
_RHO = 0.05  # where the sequence is tightest: around 1 / rho² = 400 rows
MIN_LABELLED = 30  # rows of the champion's arm below which a mean says nothing
MAX_INVALID = 0  # answers that are not finite or out of range
_NOBODY = ArmCounts(rows=0, invalid=0)


@dataclass(frozen=True)
class Judgement:
    """A verdict before it is dated, with the bounds it rests on."""

    verdict: Verdict
    reason: str
    bounds: tuple[float, float, float] | None = None  # difference, low, high
    hold: bool = False


def look(
    spec: ModelSpec,
    challenger: ArmCounts | None,
    champion: ArmCounts | None,
    now: datetime,
    share: int = 0,
    serving: Operations = NOTHING,
) -> Look:
    """Judge the challenger's rows beside the champion's of the same time.

    Args:
        share: percent of the traffic that the challenger takes; 0 or 100 when no share can be checked.
        serving: what errors, latencies and numbers of requests say.
    """
    ours, theirs = challenger or _NOBODY, champion or _NOBODY
    serving = _and_answers(spec, ours, theirs, serving)
    found = judge(spec, ours, theirs, share, serving)
    difference, low, high = found.bounds or (None, None, None)
    page = f"the champion itself breaks a limit: {serving.champion}" if serving.champion else ""
    return Look(
        at=now,
        verdict=found.verdict,
        reason=f"{found.reason}; {page}" if page else found.reason,
        challenger_rows=ours.rows,
        champion_rows=theirs.rows,
        difference=difference,
        low=low,
        high=high,
        hold=found.hold,
        page=page,
    )


def judge(spec: ModelSpec, ours: ArmCounts, theirs: ArmCounts, share: int, serving: Operations) -> Judgement:
    """The verdict of all guards. Harm comes first, then what makes the numbers useless, then the losses."""
    if ours.invalid > MAX_INVALID:
        return Judgement(Verdict.WORSE, f"{ours.invalid} of its answers are not finite or out of range")
    if serving.harm:
        return Judgement(Verdict.WORSE, serving.harm)
    if serving.hold:
        return Judgement(Verdict.INCONCLUSIVE, serving.hold, hold=True)
    if ours.rows == 0:
        return Judgement(Verdict.NO_DATA, "it has answered no request yet")
    if serving.unseen:
        return Judgement(Verdict.NO_DATA, serving.unseen)
    if serving.champion:  # its failed requests are in no log and its labels prove little: it blocks nobody
        return _beside_a_broken_champion(spec, ours, theirs, serving)
    if why := shares_off(ours.requests, theirs.requests, share) or _labels_off(ours, theirs):
        return Judgement(Verdict.INCONCLUSIVE, why, hold=True)
    return losses(spec, ours, theirs)


def _and_answers(spec: ModelSpec, ours: ArmCounts, theirs: ArmCounts, serving: Operations) -> Operations:
    """``serving``; the champion is broken too when most of its answers are, as hardly one has a loss to compare."""
    if serving.champion or theirs.rows < MIN_LABELLED or 2 * theirs.invalid <= theirs.rows:
        return serving
    return replace(
        serving,
        champion=f"{theirs.invalid} of its {theirs.rows} answers are not finite or out of range",
        enough=serving.enough or ours.rows >= spec.rollout.min_requests,
        said=serving.said or f"all its {ours.rows} answers are finite and in range",
    )


def _labels_off(ours: ArmCounts, theirs: ArmCounts) -> str:
    return labels_off((ours.labelled, ours.due), (theirs.labelled, theirs.due))


def _beside_a_broken_champion(
    spec: ModelSpec, ours: ArmCounts, theirs: ArmCounts, serving: Operations
) -> Judgement:
    found = losses(spec, ours, theirs)
    if found.verdict is Verdict.INCONCLUSIVE and serving.enough:
        return Judgement(Verdict.NOT_WORSE, f"it keeps the limits: {serving.said}", found.bounds)
    return found


def losses(spec: ModelSpec, ours: ArmCounts, theirs: ArmCounts) -> Judgement:
    """The verdict of the losses alone."""
    wanted = max(MIN_LABELLED, spec.rollout.min_requests)
    if ours.labelled < wanted or theirs.labelled < MIN_LABELLED:
        seen, needed = (ours, wanted) if ours.labelled < wanted else (theirs, MIN_LABELLED)
        return Judgement(Verdict.INCONCLUSIVE, f"{seen.labelled} rows of an arm have labels, {needed} are needed")
    difference, spread, n = _difference(ours, theirs)
    low = difference - spread * boundary(n, SPENT_ON_LOSSES / comparing(spec))
    high = difference + spread * boundary(n)
    tolerance, bounds = spec.rollout.tolerance, (difference, low, high)
    said = f"its loss is {difference:+.4f} beside the champion's, between {low:+.4f} and {high:+.4f}"
    if high < 0:
        return Judgement(Verdict.BETTER, said, bounds)
    said = f"{said}; the tolerance is {tolerance}"
    if low > 0 and difference > tolerance:
        return Judgement(Verdict.WORSE, said, bounds)
    return Judgement(Verdict.NOT_WORSE if high < tolerance else Verdict.INCONCLUSIVE, said, bounds)


def _difference(ours: ArmCounts, theirs: ArmCounts) -> tuple[float, float, int]:
    """Difference of mean losses, its standard deviation for one row of each arm, and the smaller number of rows."""
    difference = ours.loss_sum / ours.labelled - theirs.loss_sum / theirs.labelled
    n = min(ours.labelled, theirs.labelled)
    variance = n * (_variance(ours) / ours.labelled + _variance(theirs) / theirs.labelled)
    return difference, math.sqrt(variance), n


def _variance(arm: ArmCounts) -> float:
    mean = arm.loss_sum / arm.labelled
    spread = arm.loss_sq_sum / arm.labelled - mean**2
    return max(spread, 1e-12) * arm.labelled / (arm.labelled - 1)


def boundary(n: int, level: float = LEVEL) -> float:
    """Half-width, in standard deviations of one row, after ``n`` rows; one side of it is ever left with at most the
    chance ``level``, at all ``n`` together."""
    scaled = n * _RHO**2
    return math.sqrt(2 * (scaled + 1) / (n**2 * _RHO**2) * math.log(1 + math.sqrt(scaled + 1) / (2 * level)))
