"""Counts of one feature over some rows: what a window, a baseline and any sum of windows are made of."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Counts:
    """One feature over ``n`` rows. n = n_null + n_unparseable + sum(cells); counts of disjoint rows add up."""

    n: int
    n_null: int  # null, absent or empty text
    n_unparseable: int  # the payload is no JSON object, or the value no finite number
    n_unseen: int  # values that no baseline row had; 0 where the baseline does not list all its values
    n_low: int  # below the smallest baseline value
    n_high: int  # above the largest
    cells: tuple[int, ...]
    sum: float = 0.0
    sum_sq: float = 0.0
    unlogged: float = 0.0  # requests that were answered and not logged, as the log's sampling rate has it

    @property
    def requests(self) -> float:
        """How many requests the rows stand for. Tests are made on rows, volumes on requests."""
        return self.n + self.unlogged

    @property
    def valid(self) -> int:
        """Rows with a value."""
        return self.n - self.n_null - self.n_unparseable


def add(parts: Iterable[Counts]) -> Counts:
    """The counts over all the rows of ``parts``, which are disjoint and of one feature. Raises ValueError when
    there are none or their cells do not match."""
    found = tuple(parts)
    if not found:
        raise ValueError("counts to add: expected at least one part, got none")
    if len({len(part.cells) for part in found}) != 1:
        raise ValueError(f"counts to add: expected equal cells, got {sorted({len(p.cells) for p in found})}")
    return Counts(
        n=sum(part.n for part in found),
        n_null=sum(part.n_null for part in found),
        n_unparseable=sum(part.n_unparseable for part in found),
        n_unseen=sum(part.n_unseen for part in found),
        n_low=sum(part.n_low for part in found),
        n_high=sum(part.n_high for part in found),
        cells=tuple(map(sum, zip(*(part.cells for part in found), strict=True))),
        sum=sum(part.sum for part in found),
        sum_sq=sum(part.sum_sq for part in found),
        unlogged=sum(part.unlogged for part in found),
    )
