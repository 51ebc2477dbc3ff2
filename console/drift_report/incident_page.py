"""From an incident's view to the text of its page."""

from datetime import timedelta

from markupsafe import Markup

from console.drift_report.charts import distribution_chart, effect_chart
from console.drift_report.incident_view import IncidentView
from console.drift_report.page import PAGES, SIZES, strip
from console.drift_report.view import SeriesView
from monitoring.advice import in_words


def render_incident(view: IncidentView) -> str:
    """The page as HTML text."""
    return PAGES.get_template("incident.html.j2").render(
        v=view.page,
        one=view.incident,
        worst=view.worst,
        runs=view.runs,
        figures=_figures(view),
        wide={size: strip(view.page, width, left) for size, width, left in SIZES},
        cards=[_card(view, series) for series in view.page.series],
    )


def _card(view: IncidentView, series: SeriesView) -> tuple[SeriesView, str, Markup | str, Markup]:
    """A feature: what moved, its distribution where it was counted, and its course."""
    effect, part = view.incident.features[series.name], view.incident.parts.get(series.name)
    moved = f"{in_words(part)}, {effect:.2f}" if part else f"{effect:.2f}"
    return series, moved, distribution_chart(series) if series.bars else "", effect_chart(view.page, series)


def _figures(view: IncidentView) -> list[tuple[str, str]]:
    one = view.incident
    until = one.closed or view.page.end
    strongest = max(one.features.values(), default=0.0)
    return [
        ("open, until it closed" if one.closed else "open, and still is", _lasted(until - one.opened)),
        ("windows counted", f"{len(one.windows):,}"),
        ("rows in its windows", f"{sum(seen.rows for seen in one.course):,}"),
        ("features", f"{len(one.features):,}"),
        ("strongest effect", f"{strongest:.2f} sd"),
        ("runs that name it", f"{len(view.runs):,}"),
    ]


def _lasted(time: timedelta) -> str:
    hours = time / timedelta(hours=1)
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"
