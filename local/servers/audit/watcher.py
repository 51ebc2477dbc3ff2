"""Watches a BigQuery for finished jobs and publishes the log entries that the shipped sink would let through.

Like the sink it passes on only changes that put rows into a table, and never those of anonymous result tables. Like
BigQuery it writes nothing for rows that were streamed: they are found by the watermark tick. The system's own jobs
are left out, or a run would trigger the next one.

Each look lists the jobs since the position, publishes, and then writes the new position: a crash between the two
publishes again what was published, and nothing is lost.
"""

import dataclasses
import json
import logging
import os
import threading
import time
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import grpc
from google.api_core.exceptions import BadRequest, GoogleAPIError, NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.pubsub_v1 import PublisherClient, PubsubMessage
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

from gcp.clock import Clock
from local.servers.audit import position
from local.servers.audit.changes import OWN_LABEL, Change, Job, Table, change, failed, finished, is_own
from local.servers.audit.entry import log_entry
from local.servers.rpc import environment_clock

_log = logging.getLogger(__name__)
_CALL_SECONDS = 30.0


class AuditWatcher:
    """Publishes to ``topic`` (projects/P/topics/T) what jobs of ``project`` change. A context manager.

    ``bigquery_url`` and ``pubsub`` are the servers' addresses (http://host:port, host:port); ``state`` is the
    folder that keeps the position, none to begin anew with every start; ``every`` is the time between looks in
    seconds; jobs of the principals in ``exclude`` are the system's own.
    """

    def __init__(
        self,
        project: str,
        topic: str,
        bigquery_url: str = "",
        pubsub: str = "",
        state: Path | None = None,
        every: float = 0.5,
        exclude: Collection[str] = (),
        clock: Clock | None = None,
    ) -> None:
        self._topic = topic
        self._every = every
        self._excluded = frozenset(exclude)
        self._clock = clock or environment_clock()
        self._file = None if state is None else state / "audit-position.json"
        self._position = position.load(self._file, int(time.time() * 1000))
        self._bigquery = _bigquery_client(project, bigquery_url or os.environ["BIGQUERY_EMULATOR_HOST"])
        self._channel = grpc.insecure_channel(pubsub or os.environ["PUBSUB_EMULATOR_HOST"])
        self._publisher = PublisherClient(transport=PublisherGrpcTransport(channel=self._channel))
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self.published = 0

    def __enter__(self) -> Self:
        # On file from the start: what happens while the watcher is down must not be missed.
        position.save(self._file, self._position)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join()
        self._bigquery.close()  # type: ignore[no-untyped-call]
        self._channel.close()

    def look(self) -> int:
        """Publish what is new and move on; returns how many entries were published. Raises GoogleAPIError."""
        jobs = self._jobs()
        done = [job for job in jobs if finished(job)]
        unfinished = [_created(job) for job in jobs if not finished(job)]
        entries = [entry for job in done for entry in self._readable_entries(job)]
        if entries:
            self._publish(entries)
        reached = self._position.after({_id(job): _created(job) for job in done}, unfinished)
        if reached != self._position:
            position.save(self._file, reached)
            self._position = reached
        return len(entries)

    def _jobs(self) -> list[Job]:
        """Jobs since the position that are not dealt with, oldest first."""
        since = datetime.fromtimestamp(self._position.since / 1000, UTC)
        listed = self._list(min_creation_time=since, all_users=True)
        jobs = [_resource(job) for job in listed]
        return sorted((job for job in jobs if _id(job) not in self._position.seen), key=_created)

    def _list(self, **selection: Any) -> Any:
        # No retry inside a call: the next look is the retry, and a stop does not have to wait for it.
        return self._bigquery.list_jobs(**selection, retry=None, timeout=_CALL_SECONDS)  # type: ignore[arg-type]

    def _readable_entries(self, job: Job) -> list[dict[str, Any]]:
        try:
            return self._entries(job)
        except (KeyError, ValueError) as error:
            # One odd job must not hide the changes of all others.
            _log.error("audit: job %s cannot be read: %s: %s", _id(job), type(error).__name__, error)
            return []

    def _entries(self, job: Job) -> list[dict[str, Any]]:
        """The log entries of one finished job; a script's are those of its statements."""
        if is_own(job, self._excluded):
            return []
        if int(job.get("statistics", {}).get("numChildJobs", 0)):
            children = self._list(parent_job=_id(job))
            ordered = sorted(map(_resource, children), key=_created)
            # A script's statements do not repeat its labels.
            return [entry for child in ordered for entry in self._entries(child)]
        found = None if failed(job) else change(job)
        if found is None:
            return []
        found = self._counted(job, found)
        return [log_entry(job, found, self._clock())] if found.inserted else []

    def _counted(self, job: Job, found: Change) -> Change:
        """``found`` with its rows counted where the job's statistics do not tell them."""
        if found.inserted is not None:
            return found
        after = self._rows(found.table, int(job["statistics"]["endTime"]))
        if after is None:
            after = self._rows_now(found.table)
        before = 0 if found.truncated else self._rows(found.table, int(job["statistics"]["startTime"])) or 0
        return dataclasses.replace(found, inserted=max(0, after - before))

    def _rows(self, table: Table, at: int) -> int | None:
        """How many rows the table had at that time (ms); None when it did not exist or was replaced since."""
        query = f"SELECT COUNT(*) FROM `{table}` FOR SYSTEM_TIME AS OF @at"  # noqa: S608
        moment = bigquery.ScalarQueryParameter("at", "TIMESTAMP", datetime.fromtimestamp(at / 1000, UTC))
        config = bigquery.QueryJobConfig(query_parameters=[moment], labels={OWN_LABEL: "true"})
        try:
            rows = self._bigquery.query_and_wait(query, job_config=config, wait_timeout=_CALL_SECONDS)
        except (BadRequest, NotFound):
            return None
        return int(next(iter(rows))[0])

    def _rows_now(self, table: Table) -> int:
        try:
            return int(self._bigquery.get_table(str(table), timeout=_CALL_SECONDS).num_rows or 0)
        except NotFound:
            return 0

    def _publish(self, entries: list[dict[str, Any]]) -> None:
        messages = [
            PubsubMessage(
                data=json.dumps(entry).encode(),
                attributes={"logging.googleapis.com/timestamp": entry["timestamp"]},
            )
            for entry in entries
        ]
        self._publisher.publish(topic=self._topic, messages=messages, retry=None, timeout=_CALL_SECONDS)
        self.published += len(messages)

    def _run(self) -> None:
        while not self._closed.wait(self._every):
            try:
                self.look()
            except (GoogleAPIError, OSError) as error:
                _log.warning("audit: %s: %s; trying again", type(error).__name__, error)


def _bigquery_client(project: str, url: str) -> bigquery.Client:
    nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]
    return bigquery.Client(project=project, credentials=nobody, client_options={"api_endpoint": url})


def _resource(job: Any) -> Job:
    """The job as the REST API gave it; the client's classes hide some of its fields."""
    content: Job = job._properties
    return content


def _id(job: Job) -> str:
    return str(job["jobReference"]["jobId"])


def _created(job: Job) -> int:
    return int(job["statistics"]["creationTime"])
