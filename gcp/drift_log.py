"""Runs the drift monitor's statements on BigQuery; their texts and meaning belong to the monitor."""

from collections.abc import Mapping
from typing import Any

from gcp.bigquery import BigQuery, Query, Value
from gcp.sql import Sql


class DriftStatements:
    """Statements over one dataset, labelled as our own."""

    def __init__(self, bigquery: BigQuery, dataset: str) -> None:
        self._bigquery = bigquery
        self._dataset = dataset

    def rows(
        self, text: str, parameters: Mapping[str, Value], purpose: str, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Run one statement and return its rows; ``limit`` is in bytes billed. Raises Refused, Temporary."""
        bigquery = self._bigquery if limit is None else BigQuery(self._bigquery.client, limit)
        return bigquery.rows(Query(Sql(text), self._dataset, purpose, dict(parameters)))

    def estimate(self, text: str, parameters: Mapping[str, Value], purpose: str) -> int:
        """Bytes that the statement would read, by a dry run; 0 where the server does not say. Raises Refused,
        Temporary."""
        return self._bigquery.bytes_estimate(Query(Sql(text), self._dataset, purpose, dict(parameters)))
