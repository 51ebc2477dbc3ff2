"""Days that are like no other: their traffic is judged and shown, but nothing follows from it.

A window that touches such a day neither opens, grows nor closes an incident, and teaches nothing about
ordinary traffic. Days are those of UTC, as the windows are.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from retraining.modelspec import Holiday


def holiday(holidays: Iterable[Holiday], start: datetime, end: datetime) -> str:
    """The name of the first holiday that [start, end) touches; empty when there is none."""
    last = (end - timedelta(microseconds=1)).date()
    return next((one.name for one in holidays if one.first <= last and start.date() <= one.until), "")
