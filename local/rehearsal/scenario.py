"""What happens in the rehearsal's year, and on which day. What is injected is named so; the rest is 2013 as it was.

Half of the flights are replayed, picked by a hash of the flight, which keeps the rehearsal at about ten minutes.
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
BROKEN_DAYS = 4  # of rows that arrive with a wrong unit
LEAK_DAYS = 95  # of rows whose taxi_out comes to know the answer
LEAK_MINUTES = 90.0


@dataclass
class Stage:
    """What the world outside may touch, and where it has tampered."""

    feed: Feed
    bus: Bus
    settings: Settings
    say: Callable[[str], None]
    loaded: datetime = START  # rows before this have been delivered
    broken: tuple[datetime, datetime] = (START, START)
    leaking_since: datetime = START


@dataclass(frozen=True)
class Happening:
    """Something that happens at the start of a day: on ``at``, or on the first day after it without an open run."""

    at: datetime
    what: str  # one sentence for people
    act: Callable[[Stage], None]
    when_idle: bool = False


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
    stage.broken = (stage.loaded - BROKEN_DAYS * DAY, stage.loaded)
    stage.feed.delete(*stage.broken)
    stage.feed.load(*stage.broken, breakage=in_seconds)
    manual("train", "a look at the newest rows", "newest-rows")(stage)


def _mend_feed(stage: Stage) -> None:
    stage.feed.delete(*stage.broken)
    stage.feed.load(*stage.broken)


def leaking(rows: pd.DataFrame) -> pd.DataFrame:
    """A backfill that lets taxi_out know who arrived late."""
    late = rows["ontime"] == 0
    return rows.assign(taxi_out=rows["taxi_out"] + LEAK_MINUTES * late)


def _leak(stage: Stage) -> None:
    stage.leaking_since = stage.loaded - LEAK_DAYS * DAY
    stage.feed.add_where_late("taxi_out", LEAK_MINUTES, stage.leaking_since, stage.loaded)
    stage.feed.habit = leaking
    manual("train", "fresh rows after the backfill", "after-backfill")(stage)


def _stop_leak(stage: Stage) -> None:
    stage.feed.habit = None
    stage.feed.add_where_late("taxi_out", -LEAK_MINUTES, stage.leaking_since, stage.loaded)


HAPPENINGS = (
    Happening(
        day(6, 20),
        "the warehouse delivers dep_delay of four days in seconds instead of minutes (injected), and an operator "
        "asks for a training",
        _break_feed,
        when_idle=True,
    ),
    Happening(day(6, 24), "the warehouse mends dep_delay", _mend_feed),
    Happening(
        TAXI_CHANGE,
        "Newark reads its taxi clock at push-back from today: taxi_out grows by 20 minutes there (injected)",
        lambda stage: None,  # the rows themselves carry it
    ),
    Happening(
        day(8, 25),
        "an operator publishes a request to tune",
        manual("tune", "the season changes, look for better hyperparameters", "autumn-tuning"),
    ),
    Happening(
        day(10, 14),
        "a backfill in the warehouse lets taxi_out know who arrived late, live requests do not (injected), and an "
        "operator asks for a training on it",
        _leak,
    ),
    Happening(day(11, 18), "the warehouse takes the backfill back", _stop_leak),
)
