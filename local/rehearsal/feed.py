"""The warehouse team: loads labelled rows days after the fact, and sometimes breaks them.

Loads are real BigQuery load jobs, so the audit log reports them and the system hears of new data as it would in the
cloud. Corrections are statements of the same team: the system has no part in them.
"""

import io
from collections.abc import Callable
from datetime import datetime

import pandas as pd
from google.cloud import bigquery

from retraining.modelspec import ModelSpec

Breakage = Callable[[pd.DataFrame], pd.DataFrame]


class Feed:
    """Writes rows of ``frame`` into the model's source table."""

    def __init__(self, client: bigquery.Client, spec: ModelSpec, frame: pd.DataFrame) -> None:
        self._client, self._spec, self._frame = client, spec, frame
        self._table = f"{client.project}.{spec.source.table}"
        self.habit: Breakage | None = None  # what every delivery goes through until somebody stops it

    def load(self, since: datetime, until: datetime, breakage: Breakage | None = None) -> int:
        """Load the rows of [since, until) with their labels, in one load job; return how many."""
        stamp = self._frame[self._spec.source.timestamp]
        rows = self._frame[(stamp >= since) & (stamp < until)]
        for change in (self.habit, breakage):
            if change is not None:
                rows = change(rows.copy())
        body = io.BytesIO()
        columns = [
            self._spec.source.key,
            self._spec.source.timestamp,
            self._spec.source.label,
            *self._spec.features,
        ]
        rows[columns].to_parquet(body, index=False)
        body.seek(0)
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET, write_disposition=bigquery.WriteDisposition.WRITE_APPEND
        )
        self._client.load_table_from_file(body, self._table, job_config=config).result()
        return len(rows)

    def delete(self, since: datetime, until: datetime) -> None:
        """Take the rows of [since, until) out again."""
        self._run(
            f"DELETE FROM `{self._table}` WHERE {self._spec.source.timestamp} >= @since AND "
            f"{self._spec.source.timestamp} < @until",
            since,
            until,
        )

    def add_where_late(self, column: str, amount: float, since: datetime, until: datetime) -> None:
        """Add ``amount`` to a column of rows whose label is 0: a column that has come to know the answer."""
        self._run(
            f"UPDATE `{self._table}` SET {column} = {column} + {amount} WHERE {self._spec.source.label} = 0 AND "
            f"{self._spec.source.timestamp} >= @since AND {self._spec.source.timestamp} < @until",
            since,
            until,
        )

    def _run(self, sql: str, since: datetime, until: datetime) -> None:
        parameters = [
            bigquery.ScalarQueryParameter("since", "TIMESTAMP", since),
            bigquery.ScalarQueryParameter("until", "TIMESTAMP", until),
        ]
        self._client.query_and_wait(sql, job_config=bigquery.QueryJobConfig(query_parameters=parameters))
