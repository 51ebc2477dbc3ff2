"""What an installation really has, as plain values: read by ``gcp/installation.py`` and ``gcp/google_rest.py``,
judged by whoever asked.

Names are the last part of a resource's full name. None stands for "not set", never for "not read".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Topic:
    """A topic; how long it keeps messages that were delivered."""

    name: str
    retention_s: float | None
    regions: tuple[str, ...] = ()  # where messages may be stored; empty: anywhere


@dataclass(frozen=True)
class Subscription:
    """A subscription; ``endpoint`` is empty when nothing is pushed, ``expires_s`` None when it never ends."""

    name: str
    topic: str
    endpoint: str
    account: str
    audience: str
    dead_letter_topic: str
    max_attempts: int
    min_backoff_s: float | None
    max_backoff_s: float | None
    ack_deadline_s: int
    retention_s: float
    expires_s: float | None


@dataclass(frozen=True)
class Job:
    """A job of Cloud Scheduler that publishes ``body`` (decoded JSON, or the text when it is none)."""

    name: str
    cron: str
    time_zone: str
    topic: str
    body: Any
    paused: bool


@dataclass(frozen=True)
class Bucket:
    """A bucket and how it is guarded. ``location`` is in lower case."""

    name: str
    location: str
    versioning: bool
    uniform_access: bool
    public_access_prevention: str


@dataclass(frozen=True)
class Table:
    """A table: column → (type, mode) in BigQuery's short words, and the partitioning column."""

    name: str
    columns: Mapping[str, tuple[str, str]]
    partition: str | None


@dataclass(frozen=True)
class Dataset:
    """A dataset; ``location`` is in lower case."""

    name: str
    location: str


@dataclass(frozen=True)
class LabelAge:
    """Rows of a source table that are ``hours`` old, and how many of them have a label."""

    hours: int
    rows: int
    labelled: int


@dataclass(frozen=True)
class Labels:
    """What a source table says about when labels come; ages rise."""

    newest: datetime | None  # of all rows
    newest_labelled: datetime | None
    ages: tuple[LabelAge, ...]


@dataclass(frozen=True)
class Endpoint:
    """An endpoint; ``log`` is the address of the table it logs to, empty when it logs nothing."""

    name: str  # the full resource name: gcloud wants its last part
    display_name: str
    log: str
    deployed: tuple[str, ...]


@dataclass(frozen=True)
class Function:
    """A deployed function; ``service`` is its Cloud Run service."""

    name: str
    state: str
    uri: str
    service: str
    account: str
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Binding:
    """Who has a role somewhere, and under which condition (an expression; empty: always)."""

    role: str
    member: str
    condition: str = ""


@dataclass(frozen=True)
class Quota:
    """A limit of one region; -1 is no limit."""

    metric: str
    limit: int
    quota_id: str = ""


@dataclass(frozen=True)
class Alarm:
    """An alert policy: its name, the filters of its conditions, whether it is on and has someone to call."""

    name: str
    filters: tuple[str, ...]
    enabled: bool
    channels: int


@dataclass(frozen=True)
class Sink:
    """A log sink: where it writes, what it lets through, and as whom."""

    name: str
    destination: str
    filter: str
    writer: str
