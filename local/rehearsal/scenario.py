"""What happens in the rehearsal's year, and on which day. What is injected is named so; the rest is 2013 as it was.

Half of the flights are replayed, picked by a hash of the flight, which keeps the rehearsal under eight minutes.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pandas as pd

from local.rehearsal.feed import Feed
from retraining.ports import Bus
from retraining.settings import Settings

DAY = timedelta(days=1)


def day(month: int, number: int) -> datetime:
    """Midnight UTC of a day of 2013."""
    return datetime(2013, month, number, tzinfo=UTC)


FIRST, START, END = day(1, 1), day(3, 1), day(12, 31)
TAXI_CHANGE = day(7, 9)
TAXI_MINUTES = 20.0
BROKEN = (day(6, 23), day(6, 26))  # rows that arrive with a wrong unit
LEAK = (day(9, 20), day(11, 22))  # rows whose taxi_out comes to know the answer
LEAK_MINUTES = 30.0


@dataclass(frozen=True)
class Stage:
    """What the world outside may touch."""

    feed: Feed
    bus: Bus
    settings: Settings
    say: Callable[[str], None]


@dataclass(frozen=True)
class Happening:
    """Something that happens at the start of a day."""

    at: datetime
    what: str  # one sentence for people
    act: Callable[[Stage], None]


def prepare(flights: pd.DataFrame) -> pd.DataFrame:
    """The rows of the rehearsal: half of the flights, and Newark's taxi clock that is read earlier from July."""
    half = pd.util.hash_pandas_object(flights["flight_id"], index=False) % 2 == 0
    rows = flights[half].sort_values("departure").reset_index(drop=True)
    moved = (rows["departure"] >= TAXI_CHANGE) & (rows["origin"] == "EWR")
    rows.loc[moved, "taxi_out"] += TAXI_MINUTES
    return rows


def in_seconds(rows: pd.DataFrame) -> pd.DataFrame:
    """A broken feed: dep_delay in seconds where minutes are due."""
    return rows.assign(dep_delay=rows["dep_delay"] * 60)


def manual(action: str, reason: str, request: str) -> Callable[[Stage], None]:
    """An operator publishes a message."""

    def act(stage: Stage) -> None:
        body = {
            "model": "flights",
            "action": action,
            "reason": reason,
            "request_id": request,
            "actor": "operator@example.com",
        }
        stage.bus.publish(stage.settings.manual_topic, json.dumps(body), {})

    return act


def _break_feed(stage: Stage) -> None:
    stage.feed.delete(*BROKEN)
    stage.feed.load(*BROKEN, breakage=in_seconds)


def _mend_feed(stage: Stage) -> None:
    stage.feed.delete(*BROKEN)
    stage.feed.load(*BROKEN)


def _leak(stage: Stage) -> None:
    stage.feed.add_where_late("taxi_out", LEAK_MINUTES, *LEAK)


def _stop_leak(stage: Stage) -> None:
    stage.feed.add_where_late("taxi_out", -LEAK_MINUTES, *LEAK)


HAPPENINGS = (
    Happening(
        TAXI_CHANGE,
        "Newark reads its taxi clock at push-back from today: taxi_out grows by 20 minutes there (injected)",
        lambda stage: None,  # the rows themselves carry it
    ),
    Happening(
        day(6, 30),
        "the warehouse delivers dep_delay of three days in seconds instead of minutes (injected)",
        _break_feed,
    ),
    Happening(day(7, 4), "the warehouse mends dep_delay", _mend_feed),
    Happening(
        day(9, 10),
        "an operator publishes a request to tune",
        manual("tune", "the season changes, look for better hyperparameters", "autumn-tuning"),
    ),
    Happening(
        day(9, 26),
        "an operator publishes a request to train once more",
        manual("train", "to be sure", "to-be-sure"),
    ),
    Happening(
        day(11, 22),
        "a backfill in the warehouse lets taxi_out know who arrived late: live requests do not (injected)",
        _leak,
    ),
    Happening(
        day(11, 23),
        "an operator publishes a request to train on the backfilled rows",
        manual("train", "fresh rows after the backfill", "after-backfill"),
    ),
    Happening(day(12, 14), "the warehouse takes the backfill back", _stop_leak),
)
