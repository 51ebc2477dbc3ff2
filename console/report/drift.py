"""The heat strip: how far each feature was from ordinary, one row per feature; incidents stand above it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from markupsafe import Markup, escape

from console.report.frame import Frame
from console.report.scale import known, short_day, stamp
from console.summary import DriftWindow, IncidentLine

ROW, TOP = 17, 30  # height of a row, first row, px
FULL = 0.8  # standard deviations that get the full colour
NARROWEST = 6.0  # px; windows that would be narrower share a cell, which shows the strongest


@dataclass(frozen=True)
class Cell:
    """One feature in one or more windows that stand beside each other."""

    begin: float
    end: float
    effect: float  # the strongest, standard deviations
    flagged: bool


def drift_chart(frame: Frame, windows: Sequence[DriftWindow], incidents: Sequence[IncidentLine]) -> Markup:
    """The darker, the further from ordinary; flagged cells have an edge; the strongest feature stands first."""
    shown = sorted(windows, key=lambda window: stamp(window.at))
    rows = {name: _cells(frame, shown, name) for name in dict.fromkeys(n for w in shown for n in w.effects)}
    strongest = sorted((name for name in rows if rows[name]), key=lambda n: -max(c.effect for c in rows[n]))
    if not strongest:
        return Markup("<p>no window was judged</p>")
    bottom = TOP + ROW * len(strongest)
    parts = [
        *(_row(frame, name, TOP + ROW * place, rows[name]) for place, name in enumerate(strongest)),
        *(_incident(frame, incident, bottom) for incident in incidents),
        frame.day_labels(bottom + 15),
    ]
    return frame.svg(bottom + 24, parts, "drift of each feature over time")


def _cells(frame: Frame, windows: Sequence[DriftWindow], name: str) -> list[Cell]:
    """Neighbouring windows joined until a cell is wide enough to be seen."""
    ends = [stamp(window.at) for window in windows]
    usual = median([after - at for at, after in pairwise(ends)] or [86400.0])
    per_pixel = (frame.x.high - frame.x.low) / (frame.x.end - frame.x.start)
    many = max(1, round(NARROWEST * per_pixel / max(usual, 1.0)))
    found = []
    for start in range(0, len(windows), many):
        group = windows[start : start + many]
        effects = [e for window in group if (e := known(window.effects.get(name))) is not None]
        if effects:
            begin = max(ends[start] - usual, frame.x.low, ends[start - 1] if start else frame.x.low)
            end = max(ends[start + len(group) - 1], begin)
            found.append(Cell(begin, end, max(map(abs, effects)), any(name in w.flagged for w in group)))
    return found


def _row(frame: Frame, name: str, top: float, cells: Sequence[Cell]) -> str:
    room = int((frame.left - 8) / 6.4)
    label = name if len(name) <= room else f"{name[: room - 1]}…"
    drawn = "".join(_cell(frame, name, top, cell) for cell in cells)
    return f'<g><text class="name" x="{frame.left - 6}" y="{top + 12}">{escape(label)}</text>{drawn}</g>'


def _cell(frame: Frame, name: str, top: float, cell: Cell) -> str:
    left, right = frame.x(cell.begin), frame.x(cell.end)
    title = f"{name}, {short_day(cell.begin)} to {short_day(cell.end)}: {cell.effect:.2f} sd"
    return (
        f'<rect class="cell{" flagged" if cell.flagged else ""}" x="{left}" y="{top}" '
        f'width="{max(1.0, right - left - 0.5):.1f}" height="{ROW - 2}" '
        f'fill-opacity="{0.05 + 0.95 * min(1.0, cell.effect / FULL):.2f}">'
        f"<title>{escape(title)}{', counted as drift' if cell.flagged else ''}</title></rect>"
    )


def _incident(frame: Frame, incident: IncidentLine, bottom: float) -> str:
    """A bar above the strip, its name beside it, and thin lines down to the dates."""
    begin, end = stamp(incident.opened), stamp(incident.closed) if incident.closed else frame.x.high
    left, right = frame.x(max(begin, frame.x.low)), frame.x(min(end, frame.x.high))
    features = ", ".join(f"{name} {effect:.2f} sd" for name, effect in incident.features.items())
    state = f"closed {incident.closed[:10]}" if incident.closed else "still open"
    title = escape(f"incident of {incident.kind}, opened {incident.opened[:10]}, {state}: {features}")
    lines = "".join(f'<line x1="{x}" x2="{x}" y1="16" y2="{bottom}"/>' for x in (left, right))
    late = left > (frame.left + frame.width) / 2
    anchor = f'class="tick end" x="{right}"' if late else f'class="tick begin" x="{left}"'
    return (
        f'<g class="incident"><title>{title}</title>{lines}'
        f'<rect x="{left}" y="16" width="{max(2.0, right - left):.1f}" height="6"/>'
        f'<text {anchor} y="11">incident: {escape(incident.kind)}</text></g>'
    )
