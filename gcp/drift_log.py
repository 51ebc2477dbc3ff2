"""Runs the drift monitor's statements on BigQuery; their texts and meaning belong to the monitor."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gcp.bigquery import BigQuery, Query
from gcp.sql import Sql

MAX_BYTES = 200 * 2**30  # of one pass over the new windows of a log; a statement that would bill more is refused


class DriftStatements:
    """Statements over one dataset, labelled as our own."""

    def __init__(self, bigquery: BigQuery, dataset: str) -> None:
        self._bigquery = bigquery
        self._dataset = dataset

    def rows(
        self, text: str, parameters: Mapping[str, datetime | int | float | str], purpose: str
    ) -> list[dict[str, Any]]:
        """Run one statement and return its rows. Raises Refused, Temporary."""
        return self._bigquery.rows(Query(Sql(text), self._dataset, purpose, dict(parameters)))
