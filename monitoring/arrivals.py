"""How logged rows arrived, from the series that the counting pass keeps beside the features.

It is no feature and is never judged for drift: its cells are the parts of a window in which rows were logged,
copies included. Rows that came again stand under ``n_unseen``, those with names that nobody knows under ``n_high``.
"""

from datetime import datetime, timedelta

from monitoring.counts import Counts
from monitoring.feed import Arrival
from monitoring.passes import PIECES

ARRIVALS = "(arrivals)"  # no column may be called so


def arrival(start: datetime, length: timedelta, counts: Counts) -> Arrival:
    """How the rows of one window arrived."""
    return Arrival(
        start=start,
        volume=round(counts.requests),
        rows=counts.n,
        repeats=counts.n_unseen,
        silence_s=round(_silence(counts, length)),
        unknown_rows=counts.n_high,
    )


def _silence(counts: Counts, length: timedelta) -> float:
    """Seconds from the last row to the window's end.

    All that is known of the last row is its part of the window; within it, rows are taken to lie evenly.
    """
    piece = length.total_seconds() / PIECES
    last = max((place for place, rows in enumerate(counts.cells) if rows), default=-1)
    after = piece * (len(counts.cells) - 1 - last)
    return after + piece / (counts.cells[last] + 1) if last >= 0 else after
