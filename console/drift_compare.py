"""What other settings would have said, beside what was said: for people and for programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from console.collect import iso
from monitoring.verdict import Judged
from retraining.incidents import Incident

SHOWN = 40  # windows that people see


@dataclass(frozen=True)
class Said:
    """Verdicts and incidents of one way of judging."""

    verdicts: Sequence[Judged]
    incidents: Sequence[Incident]


def compare(settings: dict[str, Any], was: Said, would: Said) -> dict[str, Any]:
    """Both side by side, window by window; ``was`` is None for a window that was never judged."""
    before = {one.start: one for one in was.verdicts}
    after = {one.start: one for one in would.verdicts}
    starts = sorted(set(before) | set(after))
    return {
        "settings": settings,
        "windows": len(after),
        "flagged": {"was": _flagged(before.values()), "would": _flagged(after.values())},
        "never_judged": sum(start not in before for start in after),
        "incidents": {
            "was": [_brief(one) for one in was.incidents],
            "would": [_brief(one) for one in would.incidents],
        },
        "lines": [
            {
                "start": iso(start),
                "rows": (after.get(start) or before[start]).rows,
                "was": _features(before.get(start)),
                "would": _features(after.get(start)),
            }
            for start in starts
            if any(one is not None and one.flagged for one in (before.get(start), after.get(start)))
        ],
    }


def print_compared(data: dict[str, Any]) -> None:
    """For people."""
    console = Console(markup=False)
    flagged, opened = data["flagged"], data["incidents"]
    settings = ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in data["settings"].items()
    )
    console.print(f"{data['windows']} windows judged again with {settings}", highlight=False)
    console.print(f"windows flagged: {flagged['was']} were, {flagged['would']} would have been", highlight=False)
    if data["never_judged"]:
        console.print(f"{data['never_judged']} of the windows were never judged, or longer ago than is kept")
    for which, said in (("opened", "was"), ("would have opened", "would")):
        for one in opened[said] or [None]:
            console.print(f"{which}: {_incident(one)}" if one else f"{which}: none", highlight=False)
    if not data["lines"]:
        return
    table = Table("window", "rows", "was", "would have been", box=None)
    for line in data["lines"][-SHOWN:]:
        cells = ("not judged" if line[key] is None else ", ".join(line[key]) or "-" for key in ("was", "would"))
        table.add_row(line["start"][:16], f"{line['rows']:,}", *cells)
    console.print(table, highlight=False)
    if len(data["lines"]) > SHOWN:
        console.print(f"and {len(data['lines']) - SHOWN} windows before; --json shows all", highlight=False)


def _flagged(verdicts: Any) -> int:
    return sum(bool(one.flagged) for one in verdicts)


def _features(judged: Judged | None) -> list[str] | None:
    if judged is None:
        return None
    return [f"{one.feature} {one.component} {one.effect:.2f}" for one in judged.flagged]


def _brief(incident: Incident) -> dict[str, Any]:
    return {
        "incident": incident.incident_id,
        "kind": incident.kind,
        "opened": iso(incident.opened),
        "closed": iso(incident.closed) if incident.closed else None,
        "features": dict(incident.ranked),
    }


def _incident(one: dict[str, Any]) -> str:
    until = one["closed"][:10] if one["closed"] else "now"
    moved = ", ".join(f"{name} {effect:.2f}" for name, effect in list(one["features"].items())[:4])
    return f"{one['kind']} from {one['opened'][:10]} to {until}: {moved}"
