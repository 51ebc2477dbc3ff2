"""From the view to the page's text."""

from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from console.drift_report.charts import (
    calibration_chart,
    distribution_chart,
    effect_chart,
    loss_chart,
    slice_chart,
    time_frame,
    volume_chart,
)
from console.drift_report.view import NOW, SeriesView, View
from console.report.drift import drift_chart
from console.summary import DriftWindow, IncidentLine
from monitoring.advice import in_words
from monitoring.distances import VERTEX
from monitoring.judge import NOTHING_VISIBLE

SIZES = (("desk", 928, 110), ("phone", 358, 88))  # class of the picture, its width, room for names on the left


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}" if at.hour == at.minute == 0 else f"{at:%Y-%m-%d %H:%M}"


PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
PAGES.filters.update(day=_day, in_words=in_words)


def render(view: View) -> str:
    """The page as HTML text."""
    open_ = next((one for one in view.incidents if one.closed is None), None)
    return PAGES.get_template("page.html.j2").render(
        v=view,
        open=open_,
        figures=_figures(view),
        wide={size: _wide(view, width, left) for size, width, left in SIZES},
        cards=[(one, distribution_chart(one), effect_chart(view, one), _state(view, one)) for one in view.series],
        calibration=calibration_chart(view.performance.calibration) if view.performance else "",
        slices=_slices(view),
        **_distances(view),
    )


def _distances(view: View) -> dict[str, Any]:
    """The table of other tools' distances, and what Vertex AI's monitoring would have made of them."""
    rows = [(one.name, *one.late(NOW), one.distances) for one in view.series if one.distances is not None]
    alarms = [name for name, _, _, far in rows if far.vertex > VERTEX]
    return {
        "distances": rows,
        "threshold": VERTEX,
        "alarms": alarms,
        "missed": [name for name, _, flagged, _ in rows if flagged and name not in alarms],
    }


def _wide(view: View, width: int, left: int) -> dict[str, Markup | str]:
    """The charts that span the page, drawn for a width in px so that their letters keep their size."""
    return {
        "drift": strip(view, width, left),
        "volume": volume_chart(view, width),
        "loss": loss_chart(view, view.performance, width) if view.performance else "",
    }


def strip(view: View, width: int, left: int) -> Markup:
    """All series over time, with the incidents above them."""
    frame = time_frame(view, left, width)
    shown = {one.name for one in view.series}
    windows = [
        DriftWindow(
            at=one.end.isoformat(),
            effects={f.feature: f.effect for f in one.findings if f.feature in shown},
            flagged=tuple(f.feature for f in one.flagged),
            kind=one.kind,
        )
        for one in view.verdicts
    ]
    lines = [
        IncidentLine(
            opened=one.opened.isoformat(),
            closed=one.closed.isoformat() if one.closed else None,
            kind=one.kind,
            features=one.features,
        )
        for one in view.incidents
    ]
    return drift_chart(frame, windows, lines)


def _figures(view: View) -> list[tuple[str, str]]:
    judged = len(view.verdicts)
    flagged = sum(bool(one.flagged) for one in view.verdicts)
    least = view.verdicts[-1].minimum_detectable if judged else NOTHING_VISIBLE
    return [
        ("windows judged", f"{judged:,}"),
        ("with something flagged", f"{flagged:,}"),
        ("incidents", f"{len(view.incidents):,}"),
        ("rows in the last window", f"{view.verdicts[-1].rows:,}" if judged else "–"),
        ("smallest effect it could show", f"{least:.2f} sd" if least < NOTHING_VISIBLE else "none"),
        ("series shown", f"{len(view.series):,}"),
    ]


def _state(view: View, series: SeriesView) -> str:
    """What to say of a series in one line. Without power there is no "no drift"."""
    if not series.points:
        return "not judged yet"
    last = series.points[-1]
    if last.flagged:
        return f"moved: {last.effect:.2f} standard deviations in the last window"
    if last.least >= NOTHING_VISIBLE:
        return "too few rows in the last window to tell"
    if last.least > 2 * view.min_effect:
        return f"nothing seen in the last window, which could have shown {last.least:.2f} or more"
    return "within what ordinary windows vary by"


def _slices(view: View) -> Markup | str:
    if view.performance is None or not view.performance.slices:
        return ""
    return slice_chart(view.performance.slices, view.performance.measures[view.performance.metric])
