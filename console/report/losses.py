"""The chart that answers whether retraining paid: loss by week for each way of keeping a model."""

from collections.abc import Sequence

from markupsafe import Markup, escape

from console.report.frame import Frame
from console.report.scale import Scale, bounds, known, stamp
from console.summary import RolloutLine, Week

KINDS = {  # drawn in this order: ours lies on top
    "never": "never retrained",
    "calendar": "plain calendar",
    "oracle": "oracle",
    "ours": "this system",
}
HEIGHT, TOP, BOTTOM = 300, 34, 276

type Point = tuple[float, float]


def loss_chart(frame: Frame, weeks: Sequence[Week], rollouts: Sequence[RolloutLine], name: str) -> Markup:
    """One line for each way, broken where a week has no value; the ends of rollouts as vertical marks."""
    values = [v for week in weeks for kind in KINDS if (v := known(getattr(week, kind))) is not None]
    if not values:
        return Markup("<p>no week has a loss</p>")
    y = Scale(*bounds(values), BOTTOM, TOP)
    parts = [
        frame.value_axis(y, f"mean {name} of a week (lower is better)"),
        frame.day_labels(BOTTOM + 16),
        frame.marks(rollouts, TOP, BOTTOM),
        *(_line(frame, y, weeks, kind) for kind in KINDS),
    ]
    return frame.svg(HEIGHT, parts, f"{name} by week")


def pieces(points: Sequence[Point | None]) -> list[list[Point]]:
    """Points in a row, cut where one is missing."""
    found: list[list[Point]] = [[]]
    for point in points:
        if point is None:
            found.append([])
        else:
            found[-1].append(point)
    return [piece for piece in found if piece]


def _line(frame: Frame, y: Scale, weeks: Sequence[Week], kind: str) -> str:
    shown = [week for week in weeks if frame.x.holds(_middle(week))]
    values = [(frame.x(_middle(week)), known(getattr(week, kind))) for week in shown]
    drawn = "".join(_piece(piece) for piece in pieces([(x, y(v)) if v is not None else None for x, v in values]))
    dots = "".join(_dot(frame, y, week) for week in shown) if kind == "ours" else ""
    return f'<g class="line {kind}"><title>{escape(KINDS[kind])}</title>{drawn}{dots}</g>'


def _piece(piece: Sequence[Point]) -> str:
    if len(piece) == 1:  # a line of one point would not be seen
        return f'<circle cx="{piece[0][0]}" cy="{piece[0][1]}" r="2"/>'
    return f'<polyline points="{" ".join(f"{x},{y}" for x, y in piece)}"/>'


def _dot(frame: Frame, y: Scale, week: Week) -> str:
    """A point to hover over, with the figures of its week."""
    value = known(week.ours)
    if value is None:
        return ""
    others = [(label, known(getattr(week, kind))) for kind, label in KINDS.items()]
    figures = ", ".join(f"{label} {v:.4f}" for label, v in others if v is not None)
    title = escape(f"week of {week.week}: {figures}; {week.rows:,} rows")
    return f'<circle cx="{frame.x(_middle(week))}" cy="{y(value)}" r="2.4"><title>{title}</title></circle>'


def _middle(week: Week) -> float:
    """A week's mean belongs to its middle."""
    return stamp(week.week) + 3.5 * 86400
