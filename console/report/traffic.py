"""The chart of who answered: shares of requests by model, stacked, changing in steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

from console.report.frame import Frame
from console.report.scale import Scale, short_day, stamp
from console.summary import RolloutLine, RunLine, TrafficStep

COLOURS = 5
HEIGHT, TOP, BOTTOM = 190, 34, 166
LETTER = 6.2  # px, of a label of 11 px


@dataclass(frozen=True)
class Stay:
    """A model's unbroken time with all traffic, where its name fits."""

    run: str
    begin: float
    end: float


def traffic_chart(
    frame: Frame, steps: Sequence[TrafficStep], runs: Sequence[RunLine], rollouts: Sequence[RolloutLine]
) -> Markup:
    """Areas in steps, each wide one named by the day its run was opened; the ends of rollouts as marks."""
    split = sorted((step for step in steps if step.split), key=lambda step: stamp(step.at))
    if not split:
        return Markup("<p>no traffic was moved</p>")
    y = Scale(0, 100, BOTTOM, TOP)
    order = {run: place for place, run in enumerate(dict.fromkeys(run for step in split for run in step.split))}
    spans = list(pairwise([*((stamp(step.at), step) for step in split), (frame.x.high, split[-1])]))
    opened = {run.run_id: short_day(stamp(run.opened)) for run in runs}
    parts = [
        frame.value_axis(y, "percent of requests"),
        *(_column(frame, y, step, at, after, order) for (at, step), (after, _) in spans),
        *(_name(frame, stay, opened.get(stay.run, stay.run)) for stay in stays(split, frame.x.high)),
        frame.marks(rollouts, TOP, BOTTOM),
        frame.day_labels(BOTTOM + 16),
    ]
    return frame.svg(HEIGHT, parts, "traffic split over time")


def stays(split: Sequence[TrafficStep], end: float) -> list[Stay]:
    """Spans in which one model had everything; a second step with the same split lengthens the first."""
    found: list[Stay] = []
    for number, step in enumerate(split):
        after = stamp(split[number + 1].at) if number + 1 < len(split) else end
        run = next((run for run, share in step.split.items() if share == 100), "")
        if run and found and found[-1].run == run and found[-1].end == stamp(step.at):
            found[-1] = Stay(run, found[-1].begin, after)
        elif run:
            found.append(Stay(run, stamp(step.at), after))
    return found


def _column(frame: Frame, y: Scale, step: TrafficStep, at: float, after: float, order: dict[str, int]) -> str:
    left, base, parts = frame.x(at), 0, []
    wide = max(0.8, frame.x(after) - left)
    for run in sorted(step.split, key=order.__getitem__):
        share = step.split[run]
        title = escape(f"{run}: {share} % from {step.at[:16].replace('T', ' ')}: {step.reason}")
        parts.append(
            f'<rect class="a{order[run] % COLOURS}" x="{left}" y="{y(base + share)}" width="{wide:.1f}" '
            f'height="{y(base) - y(base + share):.1f}"><title>{title}</title></rect>'
        )
        base += share
    return "".join(parts)


def _name(frame: Frame, stay: Stay, name: str) -> str:
    left, right = frame.x(stay.begin), frame.x(stay.end)
    if right - left < len(name) * LETTER + 6:
        return ""
    return f'<text class="inside" x="{(left + right) / 2:.1f}" y="{(TOP + BOTTOM) / 2 + 4}">{escape(name)}</text>'
