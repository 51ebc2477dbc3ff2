"""Reads what a trial has measured, from the file that ``cloudml-hypertune`` writes."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

# Every other key of a line is a metric's tag.
_OTHER_KEYS = frozenset({"timestamp", "trial", "global_step", "checkpoint_path"})


@dataclass(frozen=True)
class Measurement:
    """One value of the study's metric at a step; ``at`` is in unix seconds of the trial's clock."""

    step: int
    value: float
    at: float


@dataclass(frozen=True)
class Reported:
    """What the file holds: measurements of the metric, and the tags of everything else."""

    measurements: tuple[Measurement, ...]
    other_tags: frozenset[str]

    def why_none(self, metric: str) -> str:
        """A sentence for a trial that has no measurement of ``metric``."""
        if self.other_tags:
            tags = ", ".join(repr(tag) for tag in sorted(self.other_tags))
            return f"the trial reported no measurement of the metric {metric!r}; it reported {tags}"
        return f"the trial ended without a finite measurement of the metric {metric!r}"


def read(path: Path, metric: str) -> Reported:
    """The measurements so far. The trial rewrites the file as it goes: a broken line waits for the next look."""
    if not path.exists():
        return Reported((), frozenset())
    found, others = [], set()
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
            step, at = int(entry.get("global_step", 0)), float(entry.get("timestamp", 0))
            value = float(entry[metric]) if metric in entry else math.nan
        except (ValueError, TypeError, AttributeError):
            continue
        others.update(set(entry) - _OTHER_KEYS - {metric})
        if math.isfinite(value):
            found.append(Measurement(step, value, at))
    return Reported(tuple(found), frozenset(others))
