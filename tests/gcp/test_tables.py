"""This system's own tables: what the code creates on one machine is what Terraform creates in the cloud."""

import json
from pathlib import Path
from typing import Any

import pytest

from gcp.bigquery import BigQuery
from gcp.drift_log import DriftStatements
from gcp.tables import OwnTable, ensure_tables, request_log
from monitoring import tables as drift_tables
from tests.contract.rows import Tables

SCHEMAS = Path(__file__).parents[2] / "terraform" / "tables"


def test_missing_tables_are_created_with_their_partition(tables: Tables) -> None:
    """Fields, partition and clusters are as written down; a second time changes nothing."""
    wanted = OwnTable(
        "clustered", (("at", "TIMESTAMP", "REQUIRED"), ("model", "STRING", "NULLABLE")), "at", ("model",)
    )
    ensure_tables(tables.client, "own", [wanted])
    ensure_tables(tables.client, "own", [wanted])

    made = tables.client.get_table("local.own.clustered")

    assert [(item.name, item.field_type, item.mode) for item in made.schema] == list(wanted.fields)
    assert made.time_partitioning.field == "at"
    assert made.clustering_fields == ["model"]


def test_a_table_that_exists_is_left_as_it_is(tables: Tables) -> None:
    """Its owner may have added columns."""
    wider = OwnTable("kept", (("at", "TIMESTAMP", "REQUIRED"), ("extra", "STRING", "NULLABLE")))
    ensure_tables(tables.client, "own", [wider])

    ensure_tables(tables.client, "own", [OwnTable("kept", wider.fields[:1])])

    assert len(tables.client.get_table("local.own.kept").schema) == 2


@pytest.mark.parametrize("name", ["request_log", "drift_counts", "drift_baseline"])
def test_terraform_creates_what_the_code_uses(tables: Tables, name: str) -> None:
    """Columns, types and modes of the schema file are those of the table that the code makes here."""
    ensure_tables(tables.client, "same", [request_log("request_log")])
    drift_tables.ensure(DriftStatements(BigQuery(tables.client), "same"), "local", "same")
    written: dict[str, Any] = json.loads((SCHEMAS / f"{name}.json").read_text())

    made = tables.client.get_table(f"local.same.{name}")

    assert [_plain(item.to_api_repr()) for item in made.schema] == [_plain(item) for item in written["schema"]]


def _plain(field: dict[str, Any]) -> tuple[str, str, str]:
    """Servers name some types by either of two words."""
    words = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}
    return field["name"], words.get(field["type"], field["type"]), field["mode"]
