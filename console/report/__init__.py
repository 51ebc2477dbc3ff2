"""The page of a rehearsal: one self-contained HTML file, readable on a phone and at a desk, in light and dark."""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from console.report.charts import drift_chart, loss_chart, traffic_chart
from console.summary import RunLine, Summary

_PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(summary: Summary) -> str:
    """The page as HTML text."""
    page = _PAGES.get_template("page.html.j2")
    return page.render(
        s=summary,
        losses=loss_chart(summary.weeks, summary.rollouts, summary.loss_name),
        traffic=traffic_chart(summary.traffic, summary.ended),
        drift=drift_chart(summary.drift, summary.incidents, summary.ended),
        figures=_figures(summary),
        trained=[run for run in summary.runs if run.metrics or run.state in ("blocked_data", "failed")],
        skipped=_skipped(summary.runs),
        means=_means(summary),
    )


def _figures(summary: Summary) -> list[tuple[str, str]]:
    states = Counter(run.state for run in summary.runs)
    trained = sum(1 for run in summary.runs if run.metrics)
    return [
        ("triggers", str(len(summary.triggers))),
        ("runs that trained", str(trained)),
        ("promoted", str(states["promoted"])),
        ("rolled back", str(states["rolled_back"])),
        ("rejected", str(states["rejected"])),
        ("blocked feeds", str(states["blocked_data"])),
        ("skipped", str(states["skipped"])),
        ("spent", f"{summary.money.spent:.2f}"),
    ]


def _skipped(runs: tuple[RunLine, ...]) -> list[tuple[str, list[RunLine]]]:
    """Skipped runs by the code of their reason, the most frequent first."""
    groups: dict[str, list[RunLine]] = defaultdict(list)
    for run in runs:
        if run.state == "skipped":
            groups[run.code or run.reason.split(":", 1)[0]].append(run)
    return sorted(groups.items(), key=lambda item: -len(item[1]))


def _means(summary: Summary) -> list[dict[str, Any]]:
    """Mean loss of each way over the weeks that all of them have, and the share of the gap it closes."""
    kinds = ("never", "calendar", "ours", "oracle")
    weeks = [w for w in summary.weeks if all(getattr(w, kind) is not None for kind in kinds)]
    rows = sum(week.rows for week in weeks)
    if not rows:
        return []
    mean = {kind: sum(getattr(w, kind) * w.rows for w in weeks) / rows for kind in kinds}
    gap = mean["never"] - mean["oracle"]
    names = {
        "never": "never retrained",
        "calendar": "monthly calendar, no gate",
        "ours": "this system",
        "oracle": "oracle",
    }
    return [
        {
            "name": names[k],
            "loss": mean[k],
            "closed": (mean["never"] - mean[k]) / gap if gap > 0 else None,
            "kind": k,
        }
        for k in kinds
    ]
