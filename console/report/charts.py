"""The page's charts as SVG text. Colours are CSS variables, so that the page decides for light and dark."""

from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup, escape

from console.report.scale import Scale, bounds, months, stamp, ticks
from console.summary import DriftWindow, IncidentLine, RolloutLine, TrafficStep, Week

WIDTH, LEFT, RIGHT = 860, 46, 12
KINDS = (
    ("never", "never retrained"),
    ("calendar", "monthly calendar"),
    ("oracle", "oracle"),
    ("ours", "this system"),
)
CELL, NAMES = 15, 96  # height of a row of the heat strip, width of its labels


def loss_chart(weeks: Sequence[Week], rollouts: Sequence[RolloutLine], name: str) -> Markup:
    """Loss by week, one line for each way of keeping a model; promotions and rollbacks as vertical marks."""
    if not weeks:
        return Markup("<p>no weeks were replayed</p>")
    height, top, bottom = 300, 14, 268
    times = [stamp(week.week) for week in weeks]
    values = [v for week in weeks for kind, _ in KINDS if (v := getattr(week, kind)) is not None]
    x = Scale(times[0], max(times[-1], times[0] + 1), LEFT, WIDTH - RIGHT)
    y = Scale(*bounds(values), bottom, top)
    parts = [_axes(x, y, height, bottom, f"mean {name} of a week"), *_marks(x, rollouts, top, bottom)]
    for kind, label in KINDS:
        points = [
            (x(at), y(v)) for at, week in zip(times, weeks, strict=True) if (v := getattr(week, kind)) is not None
        ]
        parts.append(_line(points, kind, label))
    return _svg(height, parts, f"{name} by week")


def _line(points: Sequence[tuple[float, float]], kind: str, label: str) -> str:
    path = " ".join(f"{x},{y}" for x, y in points)
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="2"/>' for x, y in points) if kind == "ours" else ""
    return f'<g class="line {kind}"><title>{escape(label)}</title><polyline points="{path}"/>{dots}</g>'


def _marks(x: Scale, rollouts: Sequence[RolloutLine], top: float, bottom: float) -> list[str]:
    parts = []
    for rollout in rollouts:
        place = x(stamp(rollout.at))
        if LEFT <= place <= WIDTH - RIGHT:
            back = rollout.result == "rolled_back"
            title = escape(f"{rollout.result.replace('_', ' ')} on {rollout.at[:10]}: {rollout.run_id}")
            parts.append(
                f'<g class="mark {"back" if back else "up"}"><title>{title}</title>'
                f'<line x1="{place}" x2="{place}" y1="{top}" y2="{bottom}"/>'
                f'<text x="{place}" y="{top - 3}">{"✕" if back else "▲"}</text></g>'
            )
    return parts


def traffic_chart(steps: Sequence[TrafficStep], ended: str) -> Markup:
    """Who answered which share of requests, as stacked areas that change in steps."""
    split = [step for step in steps if step.split]
    if not split:
        return Markup("<p>no traffic was moved</p>")
    height, top, bottom = 190, 8, 158
    x = Scale(stamp(split[0].at), max(stamp(ended), stamp(split[0].at) + 1), LEFT, WIDTH - RIGHT)
    y = Scale(0, 100, bottom, top)
    order = list(dict.fromkeys(run for step in split for run in step.split))
    parts = []
    for step, after in pairwise([*split, TrafficStep(at=ended, split={}, phase="", reason="")]):
        base, left = 0, x(stamp(step.at))
        for run in sorted(step.split, key=order.index):
            share = step.split[run]
            title = escape(f"{run}: {share} % from {step.at[:10]}: {step.reason}")
            wide = max(0.6, x(stamp(after.at)) - left)
            parts.append(
                f'<rect class="arm a{order.index(run) % 6}" x="{left}" width="{wide:.1f}" '
                f'y="{y(base + share)}" height="{y(base) - y(base + share):.1f}"><title>{title}</title></rect>'
            )
            base += share
    return _svg(height, [*parts, _axes(x, y, height, bottom, "percent of requests")], "traffic split over time")


def drift_chart(windows: Sequence[DriftWindow], incidents: Sequence[IncidentLine], ended: str) -> Markup:
    """One row per feature, one cell per window: the darker, the further from ordinary; flagged have an edge."""
    if not windows:
        return Markup("<p>no window was judged</p>")
    peak: dict[str, float] = {}
    for window in windows:
        for name, effect in window.effects.items():
            peak[name] = max(peak.get(name, 0.0), effect)
    names = sorted(peak, key=lambda name: -peak[name])
    times = [stamp(window.at) for window in windows]
    x = Scale(times[0], max(stamp(ended), times[-1] + 1), NAMES, WIDTH - RIGHT)
    bottom = 10 + CELL * len(names)
    parts = [_incident(x, incident, ended, bottom) for incident in incidents]
    wide = max(1.5, min(10.0, (WIDTH - RIGHT - NAMES) / max(len(windows), 1) * 0.9))
    for row, name in enumerate(names):
        top = 10 + CELL * row
        parts.append(f'<text class="name" x="{NAMES - 6}" y="{top + 11}">{escape(name)}</text>')
        for at, window in zip(times, windows, strict=True):
            if name in window.effects:
                parts.append(_cell(x(at), top, wide, name, window))
    parts += [
        f'<text class="tick" x="{x(at)}" y="{bottom + 14}">{label}</text>' for at, label in months(x.low, x.high)
    ]
    return _svg(bottom + 22, parts, "drift of each feature over time")


def _cell(left: float, top: float, wide: float, name: str, window: DriftWindow) -> str:
    effect = window.effects[name]
    strength = min(1.0, effect / 0.8)
    flagged = " flagged" if name in window.flagged else ""
    title = escape(f"{name} on {window.at[:10]}: {effect:.2f} sd{', flagged' if flagged else ''}")
    return (
        f'<rect class="cell{flagged}" x="{left - wide:.1f}" y="{top}" width="{wide:.1f}" height="{CELL - 2}" '
        f'style="fill-opacity:{0.06 + 0.94 * strength:.2f}"><title>{title}</title></rect>'
    )


def _incident(x: Scale, incident: IncidentLine, ended: str, bottom: float) -> str:
    left, right = x(stamp(incident.opened)), x(stamp(incident.closed or ended))
    title = escape(f"incident of {incident.kind}: {', '.join(incident.features)}")
    return (
        f'<rect class="incident" x="{left}" y="4" width="{max(2.0, right - left):.1f}" height="{bottom - 4}">'
        f"<title>{title}</title></rect>"
    )


def _axes(x: Scale, y: Scale, height: float, bottom: float, label: str) -> str:
    parts = [f'<text class="label" x="{LEFT}" y="{height - 2}">{escape(label)}</text>']
    for value in ticks(y.low, y.high):
        place = y(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{place}" y2="{place}"/>')
        parts.append(f'<text class="tick end" x="{LEFT - 6}" y="{place + 4}">{value:g}</text>')
    for at, name in months(x.low, x.high):
        parts.append(f'<text class="tick" x="{x(at)}" y="{bottom + 15}">{name}</text>')
    return "".join(parts)


def _svg(height: float, parts: Sequence[str], label: str) -> Markup:
    return Markup(  # noqa: S704 - every text in the parts was escaped where it came in
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )
