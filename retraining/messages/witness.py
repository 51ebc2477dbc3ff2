"""What our own monitor knows of the rows that another monitor raised an alarm about.

Vertex AI's alarms carry no sample size, and their thresholds know nothing of chance. So an alarm on fewer rows than
an effect that matters needs to be seen, or on rows that our own judgement found ordinary or broken, asks for
nothing. Where we know nothing, the alarm counts and says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from statistics import NormalDist

from retraining.incidents import Finding, WindowVerdict
from retraining.modelspec import DriftTrigger

POWER = 0.8  # with which the effect would be seen
PARTS = 5  # a feature is judged by, about; each is a chance of a false alarm
RECENT = 7  # windows that tell how many rows come in an hour
AUDIT = "alarm set aside"


@dataclass(frozen=True)
class Alarm:
    """The rows that an alarm is about."""

    deployed_id: str  # empty: not said
    start: datetime
    end: datetime
    features: tuple[str, ...]


@dataclass(frozen=True)
class Weighed:
    """Whether an alarm counts, and what to add to its reason."""

    counts: bool
    why: str
    rows: int | None = None  # None: unknown


def weigh(alarm: Alarm, verdicts: Sequence[WindowVerdict], trigger: DriftTrigger) -> Weighed:
    """Judge an alarm by our verdicts on the same deployed model, oldest first."""
    if not verdicts:
        return Weighed(True, "on an unknown number of rows: our monitor has judged none of this model")
    same = [one for one in verdicts if one.start < alarm.end and one.end > alarm.start]
    is_judged = bool(same) and same[0].start <= alarm.start and same[-1].end >= alarm.end
    rows = round(sum(one.rows * _share(one, alarm) for one in same) if is_judged else _usual(verdicts, alarm))
    size = f"on {'' if is_judged else 'about '}{rows:,} rows"
    need = rows_needed(trigger, len(verdicts[-1].findings))
    if rows < need:
        return Weighed(
            False, f"{size}; to see {trigger.min_effect:g} standard deviations takes {need:,} rows", rows
        )
    if not is_judged:
        return Weighed(True, f"{size}, which our monitor has not judged yet", rows)
    return _compare(alarm, same, trigger, size, rows)


def rows_needed(trigger: DriftTrigger, features: int) -> int:
    """Rows in which the smallest effect that matters is most likely seen, by chance alone."""
    level = trigger.alpha / (PARTS * max(1, features))
    reach = NormalDist().inv_cdf(1 - level / 2) + NormalDist().inv_cdf(POWER)
    return ceil((reach / trigger.min_effect) ** 2)


def _compare(alarm: Alarm, same: Sequence[WindowVerdict], trigger: DriftTrigger, size: str, rows: int) -> Weighed:
    watched = {finding.feature for one in same for finding in one.findings}
    named = {one for one in watched if one.partition(":")[0] in alarm.features or one in alarm.features}
    if alarm.features and not named:
        return Weighed(True, f"{size}; our monitor does not watch {', '.join(alarm.features[:3])}", rows)
    looked = [one for verdict in same for one in verdict.findings if not named or one.feature in named]
    flagged = [one for one in looked if one.flagged]
    if any(verdict.kind == "data" for verdict in same):
        return Weighed(False, f"{size}; our own judgement of them: the feed is broken, not the world changed", rows)
    if flagged:
        strongest = max(flagged, key=lambda one: one.effect)
        return Weighed(True, f"{size}; our own judgement agrees: {_told(strongest)}", rows)
    if all(_is_clear(verdict, trigger) for verdict in same):
        most = f", at most {_told(max(looked, key=lambda one: one.effect))}" if looked else ""
        return Weighed(False, f"{size}; our own judgement of them finds nothing{most}", rows)
    return Weighed(True, f"{size}; our own judgement of them could not tell", rows)


def _is_clear(verdict: WindowVerdict, trigger: DriftTrigger) -> bool:
    """Whether silence means something: ordinary variation was known, or nothing reached an effect that matters."""
    if getattr(verdict, "calibrated", False):
        return verdict.kind != "too_few"
    return verdict.kind != "too_few" and all(one.effect <= trigger.min_effect for one in verdict.findings)


def _told(finding: Finding) -> str:
    return f"{finding.feature} {finding.component} {finding.effect:.2f}"


def _share(verdict: WindowVerdict, alarm: Alarm) -> float:
    """How much of the window lies in the alarm's span."""
    both = min(verdict.end, alarm.end) - max(verdict.start, alarm.start)
    return both / (verdict.end - verdict.start)


def _usual(verdicts: Sequence[WindowVerdict], alarm: Alarm) -> float:
    """Rows that usually come in so long a time."""
    recent = verdicts[-RECENT:]
    time = sum((one.end - one.start for one in recent), timedelta())
    return sum(one.rows for one in recent) * ((alarm.end - alarm.start) / time)
