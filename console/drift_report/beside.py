"""Windows of a series beside the ordinary ones before them: what a distribution chart and the distances show."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from monitoring.baseline import Definition
from monitoring.counts import Counts, add
from monitoring.distances import Distances, distances
from monitoring.log import Windows
from monitoring.ordinary import KEEP, alike

FEW = 8  # ordinary windows, without which the training rows stand for them

Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Bar:
    """One cell: its share now and on ordinary days; None where the cell means nothing there."""

    label: str
    now: float
    before: float
    is_fault: bool = False  # missing or unseen values: of all rows, not of those with a value


@dataclass(frozen=True)
class Beside:
    """The rows of some windows, and of the ordinary ones before."""

    now: Counts | None  # None: none was counted
    before: Counts
    against: str  # "ordinary days" or "training rows"
    definition: Definition

    @property
    def bars(self) -> tuple[Bar, ...]:
        """The share of each cell, and then of what has none."""
        return _bars(self.definition, self.now, self.before) if self.now else ()

    @property
    def distances(self) -> Distances | None:
        """How far both are apart, in other tools' words."""
        return distances(self.definition, self.now, self.before) if self.now else None


def beside(
    definition: Definition, windows: Windows, span: Span, apart: Sequence[Span], phase: int | None, cycle: int
) -> Beside:
    """The windows that start in ``span`` beside those before it that do not start in one of ``apart``.

    Args:
        phase: of the windows in the span, which are compared with others of it where there are enough.
        cycle: after how many windows traffic repeats itself.
    """
    name = definition.name
    counted = [(at, windows[at][name]) for at in sorted(windows) if name in windows[at]]
    now = [one for at, one in counted if span[0] <= at < span[1]]
    early = [
        (at.hour if cycle == 24 else at.weekday(), one)
        for at, one in counted
        if at < span[0] and not any(begin <= at < end for begin, end in apart)
    ]
    known, recent = len(early) >= FEW, early[-KEEP[cycle] :]
    return Beside(
        add(now) if now else None,
        add(alike(recent, phase) or [one for _, one in recent]) if known else definition.training,
        "ordinary days" if known else "training rows",
        definition,
    )


def _bars(definition: Definition, now: Counts, before: Counts) -> tuple[Bar, ...]:
    labels = cell_labels(definition)
    held, held_before = max(1, sum(now.cells)), max(1, sum(before.cells))
    cells = [
        Bar(label, here / held, there / held_before)
        for label, here, there in zip(labels, now.cells, before.cells, strict=True)
    ]
    faults = [("missing", now.n_null + now.n_unparseable, before.n_null + before.n_unparseable)]
    if definition.complete:
        faults.append(("unseen", now.n_unseen, before.n_unseen))
    return (
        *cells,
        *(Bar(label, here / max(1, now.n), there / max(1, before.n), True) for label, here, there in faults),
    )


def cell_labels(definition: Definition) -> list[str]:
    """What each cell holds, for people."""
    if definition.kind == "pair":
        return [f"{a + 1}·{b + 1}" for a in range(4) for b in range(4)]
    if definition.kind == "categorical":
        return [*definition.categories, "others"]
    edges = [f"{edge:.3g}" for edge in definition.edges]
    if not edges:
        return ["all"]
    inner = [f"{low} to {high}" for low, high in pairwise(edges)]
    return [f"below {edges[0]}", *inner, f"from {edges[-1]}"]
