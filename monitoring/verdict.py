"""A window's verdict: both questions at once. Has the traffic moved since ordinary days, and does it still
look like the training rows?

The second one stands for faults that were there from the first day, which ordinary days would hide;
differences that the season explains do not count there, so only plain faults and severe moves do.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from monitoring.baseline import Definitions
from monitoring.calendar import holiday
from monitoring.components import components
from monitoring.counts import Counts
from monitoring.incident import kind_of
from monitoring.judge import FEW_ROWS, Reference, Rule, from_training, judge, minimum_detectable
from retraining.incidents import Finding, WindowVerdict
from retraining.modelspec import DriftTrigger


class Judged(WindowVerdict):
    """A verdict that says how it was reached."""

    holiday: str = ""  # the window touches this one: nothing follows from the verdict
    calibrated: bool = False  # ordinary variation was known; otherwise only plain faults and severe moves count


def verdict(
    definitions: Definitions,
    model: str,
    span: tuple[datetime, datetime],
    window: Mapping[str, Counts],
    against: Reference,
    trigger: DriftTrigger,
) -> Judged:
    """Judge one window of [start, end)."""
    rule = Rule(trigger.alpha, trigger.min_effect, cautious=True)
    findings = judge(definitions, window, against, rule)
    if against.calibrated:
        since_training = Rule(trigger.alpha, trigger.min_effect, cautious=True, plain=frozenset({"unseen"}))
        findings = _stronger(findings, judge(definitions, window, from_training(definitions), since_training))
    rows = max((counts.n for counts in window.values()), default=0)
    tests = sum(len(components(one)) for one in definitions.features.values())
    importance = {name: one.importance for name, one in definitions.features.items()}
    flagged = [finding for finding in findings if finding.flagged]
    quiet: Literal["too_few", "ordinary"] = "too_few" if rows < FEW_ROWS else "ordinary"
    return Judged(
        model=model,
        start=span[0],
        end=span[1],
        rows=rows,
        baseline_id=definitions.baseline_id,
        findings=findings,
        minimum_detectable=minimum_detectable(window, against, rule, tests),
        kind=kind_of(flagged, importance) if flagged else quiet,
        calibrated=against.calibrated,
        holiday=holiday(trigger.holidays, *span),
    )


def _stronger(findings: Sequence[Finding], others: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings, with another one in place of each that is not flagged although the other is."""
    flagged = {other.feature: other for other in others if other.flagged}
    return tuple(one if one.flagged else flagged.get(one.feature, one) for one in findings)
