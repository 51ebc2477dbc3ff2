"""Statements on BigQuery: labelled as our own, limited in bytes, and found again when an answer was lost."""

import os
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from google.api_core.exceptions import BadRequest, ClientError, Conflict, NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from gcp.errors import translated
from gcp.sql import Sql
from retraining.errors import Refused, Temporary
from retraining.names import label, short_hash

MAX_BYTES = 10**12  # a statement that would bill more is refused
CALL_SECONDS = 30.0
JOB_SECONDS = 300.0  # then the tick gives up waiting; the next one finds the job again
ATTEMPTS = 5  # of one statement of one run
OWN_LABEL = "retrain-own"

_TYPES = {datetime: "TIMESTAMP", int: "INT64", float: "FLOAT64", str: "STRING"}
_SAME = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "DECIMAL": "NUMERIC"}

Value = datetime | int | float | str


def connect(project: str, address: str = "") -> bigquery.Client:
    """A client for ``project``. ``address`` (``http://host:port``) names another server than Google's, without
    credentials; empty: what ``BIGQUERY_EMULATOR_HOST`` says, else Google's."""
    address = address or os.environ.get("BIGQUERY_EMULATOR_HOST", "")
    if not address:
        with translated("connecting to BigQuery"):
            return bigquery.Client(project=project)
    nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]
    return bigquery.Client(project=project, credentials=nobody, client_options={"api_endpoint": address})


@dataclass(frozen=True)
class Query:
    """A statement to run where ``dataset`` lives. Those of a run are repeat-safe: same text, same job."""

    sql: Sql
    dataset: str
    purpose: str
    parameters: dict[str, Value] = field(default_factory=dict)
    run_id: str = ""

    def job_id(self, attempt: int) -> str:
        """Chosen by us, so that a second request for the same work finds the first."""
        if not self.run_id:
            return f"retrain-{self.purpose}-{uuid.uuid4().hex}"
        content = short_hash(f"{self.sql}{sorted(self.parameters.items())}")
        return f"{self.run_id}-{self.purpose}-{content}-{attempt}"


class BigQuery:
    """Runs statements in one project."""

    def __init__(self, client: bigquery.Client, max_bytes: int = MAX_BYTES) -> None:
        self.client = client
        self._max_bytes = max_bytes
        self._location = cache(self._find_location)

    def rows(self, query: Query) -> list[dict[str, Any]]:
        """Run the statement and return what its last SELECT gave. Raises Refused, Temporary."""
        for attempt in range(1, ATTEMPTS + 1):
            with translated(f"starting {query.purpose}"):
                job, is_old = self._start(query, query.job_id(attempt))
                failed_before = is_old and job.state == "DONE" and job.error_result is not None
            try:
                with translated(query.purpose):
                    return [dict(row) for row in job.result(timeout=JOB_SECONDS, job_retry=None)]
            except Temporary:
                if not failed_before:
                    raise
        raise Refused(f"{query.purpose} of {query.run_id}: failed {ATTEMPTS} times")

    def bytes_estimate(self, query: Query) -> int:
        """Bytes that the statement would read; 0 where the server does not say."""
        config = self._config(query)
        config.dry_run = True
        config.use_query_cache = False
        with translated(f"estimating {query.purpose}"):
            job = self.client.query(
                query.sql, job_config=config, location=self._location(query.dataset), timeout=CALL_SECONDS
            )
        return int(job.total_bytes_processed or 0)

    def columns(self, name: str) -> dict[str, str] | None:
        """Column → type of ``dataset.table``, or None when there is no such table."""
        with translated(f"looking at table {name}"):
            try:
                found = self.client.get_table(f"{self.client.project}.{name}", timeout=CALL_SECONDS)
            except NotFound:
                return None
        return {item.name: _SAME.get(item.field_type, item.field_type) for item in found.schema}

    def tables(self, dataset: str) -> list[str]:
        """Names of the tables in ``dataset``; empty when there is no such dataset."""
        with translated(f"listing tables of {dataset}"):
            try:
                found = self.client.list_tables(f"{self.client.project}.{dataset}", timeout=CALL_SECONDS)
                return sorted(item.table_id for item in found)
            except NotFound:
                return []

    def _start(self, query: Query, job_id: str) -> tuple[Any, bool]:
        """The job, and whether somebody had started it before."""
        location = self._location(query.dataset)
        try:
            job = self.client.query(
                query.sql,
                job_config=self._config(query),
                job_id=job_id,
                location=location,
                timeout=CALL_SECONDS,
                job_retry=None,
            )
        except (Conflict, BadRequest) as error:
            return self._started(job_id, location, error), True
        return job, False

    def _started(self, job_id: str, location: str, error: ClientError) -> Any:
        """The job that had this id before. Of two requests at the same moment, the second may be refused with other
        words than "already exists"; if the job is there, it was started. Raises ``error`` when it is not."""
        try:
            return self.client.get_job(job_id, location=location, timeout=CALL_SECONDS)
        except NotFound:
            raise error from None

    def _config(self, query: Query) -> bigquery.QueryJobConfig:
        labels = {OWN_LABEL: "true", "purpose": label(query.purpose)}
        return bigquery.QueryJobConfig(
            query_parameters=[
                bigquery.ScalarQueryParameter(name, _TYPES[type(value)], value)
                for name, value in query.parameters.items()
            ],
            labels={**labels, "run_id": label(query.run_id)} if query.run_id else labels,
            maximum_bytes_billed=self._max_bytes,
        )

    def _find_location(self, dataset: str) -> str:
        """Where the dataset lives: a job is only found again by asking in its own location."""
        found = self.client.get_dataset(f"{self.client.project}.{dataset}", timeout=CALL_SECONDS)
        return str(found.location)
