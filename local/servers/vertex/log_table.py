"""Writes the request-response log into BigQuery, in the table that Vertex AI makes."""

import os
from collections.abc import Sequence
from typing import Any

from google.api_core.exceptions import GoogleAPICallError, NotFound, RetryError
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from requests.exceptions import RequestException

from local.servers.vertex.request_log import Row

_TIMEOUT_S = 10.0
_FIELDS = (
    ("endpoint", "STRING", "NULLABLE"),
    ("deployed_model_id", "STRING", "NULLABLE"),
    ("logging_time", "TIMESTAMP", "NULLABLE"),
    ("request_id", "NUMERIC", "NULLABLE"),
    ("request_payload", "STRING", "REPEATED"),
    ("response_payload", "STRING", "REPEATED"),
)


class BigQuerySink:
    """Streams rows; ``BIGQUERY_EMULATOR_HOST`` says where BigQuery is, and then no credentials are asked for."""

    def __init__(self) -> None:
        self._client: Any = None

    def write(self, table: str, rows: Sequence[Row]) -> int:
        """Append rows; the table and its dataset are made when they are missing. See Sink."""
        try:
            try:
                return self._insert(table, rows)
            except NotFound:
                self._create(table)
                return self._insert(table, rows)
        except (GoogleAPICallError, GoogleAuthError, RetryError, RequestException) as error:
            raise OSError(f"{table}: {error}") from error

    def _insert(self, table: str, rows: Sequence[Row]) -> int:
        ids = [row["request_id"] for row in rows]
        errors = self._connect(table).insert_rows_json(table, rows, row_ids=ids, retry=None, timeout=_TIMEOUT_S)
        return len({error["index"] for error in errors})

    def _create(self, table: str) -> None:
        from google.cloud import bigquery

        schema = [bigquery.SchemaField(name, kind, mode) for name, kind, mode in _FIELDS]
        client = self._connect(table)
        client.create_dataset(table.rpartition(".")[0], exists_ok=True, retry=None, timeout=_TIMEOUT_S)
        client.create_table(bigquery.Table(table, schema), exists_ok=True, retry=None, timeout=_TIMEOUT_S)

    def _connect(self, table: str) -> Any:
        if self._client is None:
            # Here, because it takes a second with pandas, and most servers start without a log.
            from google.cloud import bigquery

            local = bool(os.environ.get("BIGQUERY_EMULATOR_HOST"))
            credentials = AnonymousCredentials() if local else None  # type: ignore[no-untyped-call]
            self._client = bigquery.Client(project=table.partition(".")[0], credentials=credentials)
        return self._client
