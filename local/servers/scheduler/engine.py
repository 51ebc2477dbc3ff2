"""Fires jobs when their slot comes, repeats failed attempts, and keeps what happened in the job.

Slots follow the given clock, which may be faster than real time; the loop looks at it many times a second. Waiting
before a repeated attempt is real time: what failed is a process of this machine, and it recovers in real seconds. A
new slot replaces a repetition that still waits, and waits itself while an attempt of its job is under way.
"""

import logging
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import grpc
from google.cloud.scheduler_v1 import Job
from google.rpc import status_pb2

from gcp.clock import Clock
from local.servers.rpc import not_found
from local.servers.scheduler.jobs import backoff, due, next_slot
from local.servers.scheduler.storage import JobStore
from local.servers.scheduler.targets import Publish, attempt

_log = logging.getLogger(__name__)
_LOOK_EVERY = 0.01
"""Real seconds between two looks at the clock."""
_NEVER = datetime.max.replace(tzinfo=UTC)
_UNAVAILABLE = grpc.StatusCode.UNAVAILABLE.value[0]


@dataclass(frozen=True)
class _Pending:
    """A failed slot that is tried again: at ``due`` (monotonic s), as attempt ``number``, begun at ``began``."""

    slot: datetime
    due: float
    number: int
    began: float


class Engine:
    """All jobs and their firing. Every public method is safe for threads; jobs are handed out as copies."""

    def __init__(self, store: JobStore, clock: Clock, publish: Publish) -> None:
        self._store = store
        self.clock = clock
        self._publish = publish
        self._lock = threading.RLock()
        self._jobs = store.load()
        self._pending: dict[str, _Pending] = {}
        self._busy: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        # No slot comes before it, so that most looks cost nothing; and the clock at the last look.
        self._earliest, self._last = _NEVER, _NEVER
        self._closed = threading.Event()
        self._pool = ThreadPoolExecutor(16, thread_name_prefix="scheduler-attempt")
        self._loop = threading.Thread(target=self._run, name="scheduler", daemon=True)

    def start(self) -> None:
        """Begin to fire."""
        self._loop.start()

    def close(self) -> None:
        """Stop firing and wait for attempts under way."""
        self._closed.set()
        self._loop.join()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def get(self, name: str) -> Any:
        """A copy of the job. Raises NOT_FOUND."""
        with self._lock:
            if name not in self._jobs:
                raise not_found(f"Job not found: {name}")
            return _copy(self._jobs[name])

    def names(self) -> list[str]:
        """All job names, sorted."""
        with self._lock:
            return sorted(self._jobs)

    def skipped(self, name: str) -> int:
        """How many slots of a job were passed over because the clock jumped over several at once."""
        return self._skipped[name]

    def put(self, job: Any) -> None:
        """Create or replace a job; its next slot is counted from now."""
        with self._lock:
            job.schedule_time.FromDatetime(next_slot(job, self.clock()))
            self._jobs[job.name] = job
            self._earliest = min(self._earliest, job.schedule_time.ToDatetime(tzinfo=UTC))
            self._pending.pop(job.name, None)
            self._store.put(job)

    def set_state(self, name: str, state: int) -> Any:
        """Pause or resume a job; a resumed job goes on with its next slot from now. Raises NOT_FOUND."""
        job = self.get(name)
        job.state = state
        self.put(job)
        return job

    def remove(self, name: str) -> None:
        """Raises NOT_FOUND."""
        with self._lock:
            self.get(name)
            del self._jobs[name]
            self._pending.pop(name, None)
            self._store.remove(name)

    def run_now(self, name: str) -> Any:
        """Force one run, whatever the state; the schedule stays. Raises NOT_FOUND."""
        with self._lock:
            job = self.get(name)
            self._submit(job, self.clock(), 1, time.monotonic())
        return job

    def look(self) -> None:
        """Fire what is due now, and repeat what waits for it."""
        now, instant = self.clock(), time.monotonic()
        with self._lock:
            if now < self._last:
                self._clock_went_back(now)
            self._last = now
            if now < self._earliest and not self._pending:
                return
            for job in self._jobs.values():
                if job.state == Job.State.ENABLED and not self._busy[job.name]:
                    self._look_at(job, now, instant)
            enabled = [job for job in self._jobs.values() if job.state == Job.State.ENABLED]
            self._earliest = min((job.schedule_time.ToDatetime(tzinfo=UTC) for job in enabled), default=_NEVER)

    def _look_at(self, job: Any, now: datetime, instant: float) -> None:
        slot, pending = due(job, now), self._pending.get(job.name)
        if slot is not None:
            self._skipped[job.name] += slot.skipped
            job.schedule_time.FromDatetime(slot.following)
            self._submit(job, slot.slot, 1, instant)
        elif pending is not None and pending.due <= instant:
            self._submit(job, pending.slot, pending.number, pending.began)

    def _clock_went_back(self, now: datetime) -> None:
        """A rehearsal was begun anew, or the server was started again: no job may wait for the old clock's time."""
        for job in self._jobs.values():
            following = next_slot(job, now)
            if following < job.schedule_time.ToDatetime(tzinfo=UTC):
                job.schedule_time.FromDatetime(following)
        self._earliest = now

    def _submit(self, job: Any, slot: datetime, number: int, began: float) -> None:
        self._pending.pop(job.name, None)
        self._busy[job.name] += 1
        self._pool.submit(self._attempt, _copy(job), slot, number, began)

    def _attempt(self, job: Any, slot: datetime, number: int, began: float) -> None:
        started, failure = self.clock(), ""
        try:
            attempt(job, slot, self._publish)
        except Exception as error:  # noqa: BLE001  # whatever the target does wrong is a failed attempt
            failure = f"{type(error).__name__}: {error}"
            _log.warning("%s: attempt %d failed: %s", job.name, number, failure)
        with self._lock:
            self._busy[job.name] -= 1
            current = self._jobs.get(job.name)
            if current is None:
                return
            current.last_attempt_time.FromDatetime(started)
            current.status.CopyFrom(status_pb2.Status(code=_UNAVAILABLE if failure else 0, message=failure))
            if failure:
                self._repeat(current, slot, number, began)
            self._store.put(current)

    def _repeat(self, job: Any, slot: datetime, number: int, began: float) -> None:
        """Plan the next attempt, unless the count is used up and the time for retries too.

        As documented by Google: without a count there are no repetitions unless a time is set, and with both, both
        must be used up.
        """
        retry = job.retry_config
        limit = retry.max_retry_duration.ToTimedelta().total_seconds()
        due_at = time.monotonic() + backoff(retry, number)
        if number <= retry.retry_count or (limit and due_at - began <= limit):
            self._pending[job.name] = _Pending(slot, due_at, number + 1, began)

    def _run(self) -> None:
        while not self._closed.wait(_LOOK_EVERY):
            self.look()


def _copy(job: Any) -> Any:
    copy = type(job)()
    copy.CopyFrom(job)
    return copy
