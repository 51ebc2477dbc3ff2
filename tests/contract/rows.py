"""Tables of few rows on the local BigQuery."""

import itertools
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from google.cloud.bigquery import Client, LoadJobConfig, SchemaField, Table, TimePartitioning

from gcp.tables import ensure_tables, request_log

Row = dict[str, Any]

SOURCE = {
    "flight_id": "STRING",
    "departure": "TIMESTAMP",
    "ontime": "INT64",
    "delay": "FLOAT64",
    "weekend": "BOOL",
    "carrier": "STRING",
}
_NUMBERS = itertools.count(1)


class Tables:
    """Makes tables and fills them."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def source(self, rows: Sequence[Row], **types: str) -> str:
        """A new table of labelled rows, ``dataset.table``; ``types`` are columns that differ from SOURCE."""
        name = f"flights.history_{next(_NUMBERS)}"
        self.client.create_dataset("flights", exists_ok=True)
        schema = [SchemaField(column, kind) for column, kind in (SOURCE | types).items()]
        table = Table(f"{self.client.project}.{name}", schema)
        table.time_partitioning = TimePartitioning(field="departure")
        self.client.create_table(table)
        self._load(name, schema, rows)
        return name

    def log(self, name: str, rows: Sequence[Row]) -> str:
        """A new log of requests in dataset ``retraining``."""
        ensure_tables(self.client, "retraining", [request_log(name)])
        schema = [SchemaField(*field) for field in request_log(name).fields]
        self._load(f"retraining.{name}", schema, rows)
        return name

    def _load(self, name: str, schema: list[SchemaField], rows: Sequence[Row]) -> None:
        if rows:
            plain = json.loads(json.dumps(rows, default=_text))
            config = LoadJobConfig(schema=schema)
            self.client.load_table_from_json(plain, f"{self.client.project}.{name}", job_config=config).result()


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"expected a datetime, got {value!r}")
