"""What a window is compared with: the ordinary windows before it, of the same weekday or hour where there are enough.

Ordinary means: judged without a flag, and no incident was open. Before there are two full weeks of them (two days of
hourly windows) the training rows are the only reference, and how much days differ is not known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monitoring.baseline import Definitions
from monitoring.counts import Counts
from monitoring.judge import Reference, trailing

PER_GROUP = 4  # windows of the same weekday (hour) that are enough to compare with them alone
KEEP = {7: 60, 24: 24 * 8}  # ordinary windows that are looked back on, by length of the cycle


@dataclass(frozen=True)
class Unit:
    """One ordinary window. ``phase`` is its weekday or hour; None when it spans several."""

    phase: int | None
    counts: Mapping[str, Counts]


def reference_for(
    definitions: Definitions, history: Sequence[Unit], phase: int | None, cycle: int, spreads: Reference | None = None
) -> Reference:
    """The reference of a window of this phase. ``history`` are ordinary windows, oldest first; ``cycle`` is 7 for
    days and 24 for hours; ``spreads`` is what an earlier model's windows taught about variation."""
    recent = history[-KEEP[cycle] :]
    if len(recent) < 2 * cycle:
        known = spreads.spreads if spreads else {}
        return Reference(definitions.training(), known, is_training=True)
    of_phase = sum(unit.phase == phase for unit in recent) if phase is not None else 0
    return trailing(
        definitions,
        [(unit.phase, unit.counts) for unit in recent if of_phase < PER_GROUP or unit.phase is not None],
        phase if of_phase >= PER_GROUP else None,
    )
