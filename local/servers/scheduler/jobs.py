"""What a scheduler job is: what Google refuses, what it fills in, and when it is due. No clock, no effects."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterError, croniter

from local.servers.rpc import invalid

_JOB = re.compile(r"projects/[^/]+/locations/[^/]+/jobs/[A-Za-z0-9_-]{1,500}")
_PARENT = re.compile(r"projects/[^/]+/locations/[^/]+")
_TOPIC = re.compile(r"projects/[^/]+/topics/[^/]+")
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_DEFAULT_DEADLINE = 180
MAX_COUNTED = 10_000


def check_parent(parent: str) -> None:
    """Raises INVALID_ARGUMENT unless it is ``projects/P/locations/L``."""
    if not _PARENT.fullmatch(parent):
        raise invalid(f"parent: expected projects/PROJECT/locations/LOCATION, got {parent!r}")


def check_job(job: Any, parent: str) -> None:
    """Complete ``job`` with Google's defaults and refuse what Google refuses. Raises INVALID_ARGUMENT."""
    if not _JOB.fullmatch(job.name) or not job.name.startswith(f"{parent}/jobs/"):
        raise invalid(f"name: expected {parent}/jobs/ID with letters, digits, - and _, got {job.name!r}")
    job.time_zone = job.time_zone or "UTC"
    next_slot(job, datetime(2000, 1, 1, tzinfo=UTC))
    target = job.WhichOneof("target")
    if target == "pubsub_target":
        _check_pubsub(job.pubsub_target)
    elif target == "http_target":
        _check_http(job)
    else:
        raise invalid(f"{job.name}: expected a pubsub_target or an http_target, got {target or 'none'}")
    _check_retry(job.retry_config)


def _check_pubsub(target: Any) -> None:
    if not _TOPIC.fullmatch(target.topic_name):
        raise invalid(f"pubsub_target.topic_name: expected projects/PROJECT/topics/ID, got {target.topic_name!r}")
    if not target.data and not target.attributes:
        raise invalid("pubsub_target: must contain either non-empty data, or at least one attribute")


def _check_http(job: Any) -> None:
    address = urlsplit(job.http_target.uri)
    if address.scheme not in ("http", "https") or address.hostname not in _LOOPBACK:
        raise invalid(f"http_target.uri: expected http://127.0.0.1:PORT/..., got {job.http_target.uri!r}")
    if not job.http_target.http_method:
        job.http_target.http_method = 1  # POST
    if not job.HasField("attempt_deadline"):
        job.attempt_deadline.FromSeconds(_DEFAULT_DEADLINE)
    deadline = job.attempt_deadline.ToTimedelta().total_seconds()
    if not 15 <= deadline <= 1800:
        raise invalid(f"attempt_deadline: expected 15 s to 30 min, got {deadline} s")


def _check_retry(retry: Any) -> None:
    if not 0 <= retry.retry_count <= 5:
        raise invalid(f"retry_config.retry_count: expected 0 to 5, got {retry.retry_count}")
    for name, default in (("min_backoff_duration", 5), ("max_backoff_duration", 3600)):
        if not retry.HasField(name):
            getattr(retry, name).FromSeconds(default)
    retry.max_doublings = retry.max_doublings or 5
    low = retry.min_backoff_duration.ToTimedelta()
    high = retry.max_backoff_duration.ToTimedelta()
    if not timedelta(0) <= low <= high:
        raise invalid(f"retry_config: expected min_backoff <= max_backoff, got {low} and {high}")


def next_slot(job: Any, after: datetime) -> datetime:
    """The first time after ``after`` that ``job.schedule`` names, in UTC. Raises INVALID_ARGUMENT."""
    try:
        zone = ZoneInfo(job.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise invalid(
            f"time_zone: expected a name of the tz database such as Europe/Berlin, got {job.time_zone!r}"
        ) from error
    if len(job.schedule.split()) != 5:
        raise invalid(f"schedule: expected unix-cron with five fields such as '*/5 * * * *', got {job.schedule!r}")
    try:
        found: datetime = croniter(job.schedule, after.astimezone(zone)).get_next(datetime)
    except (CroniterError, ValueError) as error:
        raise invalid(f"schedule: {job.schedule!r} is no unix-cron expression: {error}") from error
    return found.astimezone(UTC)


@dataclass(frozen=True)
class Due:
    """The slot to fire, how many earlier ones are skipped, and the slot after it."""

    slot: datetime
    skipped: int
    following: datetime


def due(job: Any, now: datetime) -> Due | None:
    """What to fire at ``now``, or None.

    When the clock jumped over several slots the latest is fired once and the others are counted (up to
    ``MAX_COUNTED`` in one jump): a rehearsal's clock may pass a thousand slots in one step, and each tick does all
    that is left undone. Google fires every slot, since its clock never jumps.
    """
    slot = job.schedule_time.ToDatetime(tzinfo=UTC)
    if slot > now:
        return None
    slots = _slots(job, slot)
    following, skipped = slots.get_next(datetime), 0
    while following <= now and skipped < MAX_COUNTED:
        slot, following, skipped = following, slots.get_next(datetime), skipped + 1
    if following <= now:
        slot = _slots(job, now + timedelta(microseconds=1)).get_prev(datetime)
        following = _slots(job, now).get_next(datetime)
    return Due(slot.astimezone(UTC), skipped, following.astimezone(UTC))


def _slots(job: Any, start: datetime) -> Any:
    return croniter(job.schedule, start.astimezone(ZoneInfo(job.time_zone)))


def backoff(retry: Any, attempt: int) -> float:
    """Seconds before the attempt that follows failed attempt number ``attempt`` (from 1).

    The time doubles ``max_doublings`` times and then grows by the last step, up to the maximum.
    """
    low = float(retry.min_backoff_duration.ToTimedelta().total_seconds())
    high = float(retry.max_backoff_duration.ToTimedelta().total_seconds())
    doubled = min(attempt - 1, retry.max_doublings)
    wait: float = low * 2.0**doubled * (1 + max(0, attempt - 1 - retry.max_doublings))
    return min(high, wait)
