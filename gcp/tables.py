"""This system's own tables as plain data, and one function that creates whatever is missing."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gcp.errors import translated

Field = tuple[str, str, str]  # name, type, mode


@dataclass(frozen=True)
class OwnTable:
    """A table to create. ``partition`` is a timestamp column, one partition a day; empty: none."""

    name: str
    fields: tuple[Field, ...]
    partition: str = ""
    cluster: tuple[str, ...] = ()
    description: str = ""


def request_log(name: str) -> OwnTable:
    """The log of an endpoint's requests, in Vertex AI's own columns."""
    return OwnTable(
        name,
        (
            ("endpoint", "STRING", "NULLABLE"),
            ("deployed_model_id", "STRING", "NULLABLE"),
            ("logging_time", "TIMESTAMP", "NULLABLE"),
            ("request_id", "NUMERIC", "NULLABLE"),
            ("request_payload", "STRING", "REPEATED"),
            ("response_payload", "STRING", "REPEATED"),
        ),
        partition="logging_time",
        description="Requests and answers of an endpoint, one array element per instance.",
    )


def ensure_tables(client: Any, dataset: str, tables: Iterable[OwnTable]) -> None:
    """Create ``dataset`` and each table that is missing in it; what exists is left as it is. ``client`` is a
    BigQuery client."""
    from google.cloud.bigquery import SchemaField, Table, TimePartitioning

    with translated(f"creating dataset {dataset}"):
        client.create_dataset(f"{client.project}.{dataset}", exists_ok=True)
    for wanted in tables:
        schema = [SchemaField(name, kind, mode) for name, kind, mode in wanted.fields]
        table = Table(f"{client.project}.{dataset}.{wanted.name}", schema)
        table.description = wanted.description
        if wanted.partition:
            table.time_partitioning = TimePartitioning(field=wanted.partition)
        if wanted.cluster:
            table.clustering_fields = list(wanted.cluster)
        with translated(f"creating table {dataset}.{wanted.name}"):
            client.create_table(table, exists_ok=True)
