"""The newest window in other tools' words, for people and for programs."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from console.collect import iso
from console.drift_report.view import compared
from monitoring.distances import VERTEX
from monitoring.pages import Reign
from monitoring.passes import length
from monitoring.verdict import Judged
from retraining.incidents import Incident
from retraining.modelspec import ModelSpec


def newest(
    spec: ModelSpec, reign: Reign, verdicts: Sequence[Judged], incidents: Sequence[Incident]
) -> dict[str, Any]:
    """The newest counted window beside the ordinary ones of its weekday or hour; ours is None before it is judged.
    Features without a value on either side are left out."""
    start = max(reign.windows)
    span = (start, start + length(spec))
    judged = next((one for one in reversed(verdicts) if one.start <= start < one.end), None)
    ours = {one.feature: one for one in judged.findings} if judged else {}
    lines = []
    for name, definition in reign.definitions.features.items():
        found = compared(spec, reign, definition, verdicts, incidents, span)
        if found.distances is None:
            continue
        finding = ours.get(name)
        lines.append(
            {
                "feature": name,
                "effect": finding.effect if finding else None,
                "flagged": finding.flagged if finding else None,
                **asdict(found.distances),
                "against": found.against,
                "vertex_default_alarms": found.distances.vertex > VERTEX,
            }
        )
    return {"model": spec.name, "start": iso(span[0]), "end": iso(span[1]), "features": lines}


def print_newest(data: dict[str, Any]) -> None:
    """For people: what moved furthest first."""
    console = Console(markup=False)
    console.print(f"{data['model']}, window of {data['start'][:16]}, beside ordinary ones", highlight=False)
    numbers = [Column(name, justify="right", no_wrap=True) for name in ("ours, sd", "JSD", "L∞", "PSI", "KS")]
    table = Table("feature", *numbers, "", box=None)
    for one in sorted(data["features"], key=lambda one: -(one["effect"] or 0.0)):
        keys = ("effect", "jensen_shannon", "l_infinity", "stability", "kolmogorov_smirnov")
        shown = ("-" if one[key] is None else f"{one[key]:.3f}" for key in keys)
        table.add_row(one["feature"], *shown, "flagged" if one["flagged"] else "")
    console.print(table, highlight=False)
    alarms = [one["feature"] for one in data["features"] if one["vertex_default_alarms"]]
    said = ", ".join(alarms) or "nothing"
    console.print(f"the default threshold of Vertex AI, {VERTEX:g}, would have said: {said}", highlight=False)
