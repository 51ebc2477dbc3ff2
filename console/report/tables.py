"""What the page's tables say: counts, comparisons, and triggers with their repeated skips put together."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from console.report.losses import KINDS
from console.report.scale import known, stamp
from console.summary import RunLine, Summary, TriggerLine, Week

ABOUT = 0.02  # shares of the gap that differ by less are called equal


@dataclass(frozen=True)
class Way:
    """One way of keeping a model: its mean loss, and its share of the gap between never and the oracle."""

    kind: str
    name: str
    loss: float
    closed: float | None  # None where there is no gap to close


@dataclass(frozen=True)
class Answered:
    """A trigger, what became of it (``promoted``, ``skipped``) and why."""

    trigger: TriggerLine
    state: str
    code: str
    why: str


def figures(summary: Summary) -> list[tuple[str, str]]:
    """The row of numbers at the top."""
    states = Counter(run.state for run in summary.runs)
    return [
        ("triggers", f"{len(summary.triggers):,}"),
        ("runs that trained", str(sum(1 for run in summary.runs if run.metrics))),
        ("promotions", str(states["promoted"])),
        ("rollbacks", str(states["rolled_back"])),
        ("rejected", str(states["rejected"])),
        ("blocked feeds", str(states["blocked_data"])),
        ("skipped", f"{states['skipped']:,}"),
        ("money spent", f"{summary.money.spent:,.2f}"),
    ]


def ways(weeks: Iterable[Week]) -> list[Way]:
    """Mean loss by row of each way over the weeks that all of them have; none when they share no week."""
    common = [week for week in weeks if week.rows and all(known(getattr(week, kind)) is not None for kind in KINDS)]
    rows = sum(week.rows for week in common)
    if not rows:
        return []
    mean = {kind: sum(getattr(week, kind) * week.rows for week in common) / rows for kind in KINDS}
    gap = mean["never"] - mean["oracle"]
    closed = {kind: (mean["never"] - mean[kind]) / gap if gap > 0 else None for kind in KINDS}
    return [Way(kind, KINDS[kind], mean[kind], closed[kind]) for kind in ("never", "calendar", "ours", "oracle")]


def conclusion(found: Iterable[Way]) -> str:
    """One sentence about the calendar, whoever it flatters."""
    by_kind = {way.kind: way for way in found}
    if not by_kind:
        return "No week has figures for all four, so there is nothing to compare."
    ours, calendar = by_kind["ours"], by_kind["calendar"]
    if ours.closed is None or calendar.closed is None:
        return "The oracle was no better than never retraining, so there was no gap to close in this period."
    difference = ours.closed - calendar.closed
    shares = f"{ours.closed:.0%} of the gap against {calendar.closed:.0%}"
    if abs(difference) < ABOUT:
        return f"On these weeks a plain calendar is as good: this system closed {shares}."
    if difference < 0:
        return f"On these weeks a plain calendar is better: this system closed {shares}."
    return f"On these weeks this system closed {shares} for a plain calendar."


def answered(summary: Summary) -> list[list[Answered]]:
    """Triggers, oldest first; neighbours that were skipped for the same reason code stand in one group."""
    runs = {run.run_id: run for run in summary.runs}
    lines = [_answer(line, runs.get(line.run_id)) for line in sorted(summary.triggers, key=lambda t: stamp(t.at))]

    def key(item: tuple[int, Answered]) -> object:
        number, line = item
        return line.code if line.state == "skipped" else number

    return [[line for _, line in group] for _, group in groupby(enumerate(lines), key)]


def _answer(trigger: TriggerLine, run: RunLine | None) -> Answered:
    if run is None:
        return Answered(trigger, "unknown", "", "its run is not in the summary")
    return Answered(trigger, run.state, run.code or run.reason.split(":", 1)[0], run.reason)


def skips(summary: Summary) -> list[tuple[str, int]]:
    """How often each reason code led to a skip, the most frequent first."""
    return Counter(
        run.code or run.reason.split(":", 1)[0] for run in summary.runs if run.state == "skipped"
    ).most_common()
