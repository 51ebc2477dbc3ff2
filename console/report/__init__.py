"""The page of a rehearsal: one self-contained HTML file, readable on a phone and at a desk, in light and dark."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from console.report.drift import drift_chart
from console.report.frame import frame
from console.report.losses import loss_chart
from console.report.tables import answered, conclusion, figures, skips, ways
from console.report.traffic import traffic_chart
from console.summary import Summary

SIZES = (("desk", 928, 92), ("phone", 358, 84))  # class of the picture, its width, room for names on the left


def _words(name: str) -> str:
    return name.replace("_", " ")


def _minute(at: str) -> str:
    return at[:16].replace("T", " ")


_PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PAGES.filters.update(words=_words, minute=_minute)


def render(summary: Summary) -> str:
    """The page as HTML text. Raises ValueError for a time that is not ISO."""
    compared = ways(summary.weeks)
    return _PAGES.get_template("page.html.j2").render(
        s=summary,
        charts={size: _charts(summary, width, left) for size, width, left in SIZES},
        figures=figures(summary),
        ways=compared,
        conclusion=conclusion(compared),
        answered=answered(summary),
        skips=skips(summary),
        runs=[run for run in summary.runs if run.state != "skipped"],
    )


def _charts(summary: Summary, width: int, left: int) -> dict[str, Markup]:
    """The same three charts, drawn for a width in px so that their letters keep their size."""
    shared = frame(summary, width, left)
    return {
        "loss": loss_chart(shared, summary.weeks, summary.rollouts, summary.loss_name),
        "traffic": traffic_chart(shared, summary.traffic, summary.runs, summary.rollouts),
        "drift": drift_chart(shared, summary.drift, summary.incidents),
    }
