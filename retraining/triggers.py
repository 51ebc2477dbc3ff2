"""Triggers: facts that may ask for a run, each with a key made of what it means."""

from datetime import datetime
from enum import StrEnum

from retraining.record import Record


class Kind(StrEnum):
    """Where a trigger comes from."""

    DATA = "data"  # labelled rows are new
    DRIFT = "drift"  # an incident is open
    SCHEDULE = "schedule"  # it is time
    MANUAL = "manual"  # a person asked


class Ask(StrEnum):
    """What a trigger asks for. Only people may ask for more than AUTO."""

    AUTO = "auto"  # let the policy choose
    TRAIN = "train"  # retrain with the champion's hyperparameters
    TUNE = "tune"  # search hyperparameters first


class Trigger(Record):
    """One fact. ``key`` says what it means, so that the same fact told twice is one trigger."""

    model: str
    kind: Kind
    key: str
    at: datetime  # when the fact became true
    reason: str  # one sentence for people
    ask: Ask = Ask.AUTO
    force: bool = False  # skip cooldown and the comparison with the champion; recorded, and never the data checks
    dry_run: bool = False  # decide and record, launch nothing
    actor: str = ""  # who asked, for manual triggers
    message_id: str = ""
    details: dict[str, str] = {}


def data_key(table: str, change: str) -> str:
    """A change of a table: the job, stream, transfer run or watermark that made it."""
    return f"data|{table}|{change}"


def drift_key(detector: str, window_end: str) -> str:
    """One detector's finding for one window."""
    return f"drift|{detector}|{window_end}"


def schedule_key(schedule: str, slot: datetime) -> str:
    """One slot of a schedule, by its minute."""
    return f"schedule|{schedule}|{slot:%Y-%m-%dT%H:%MZ}"


def manual_key(request: str) -> str:
    """One request of a person, by the id that came with it."""
    return f"manual|{request}"
