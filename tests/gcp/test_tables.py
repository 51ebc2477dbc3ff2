"""This system's own tables, and the audit's rows in them."""

import json

import pytest

from gcp.bigquery import BigQuery
from gcp.tables import AUDIT, OwnTable, ensure_tables
from gcp.warehouse import BigQueryWarehouse
from tests.contract.rows import Tables


def test_missing_tables_are_created_with_their_partition(tables: Tables) -> None:
    """Fields, partition and clusters are as written down; a second time changes nothing."""
    ensure_tables(tables.client, "own", [AUDIT])
    ensure_tables(tables.client, "own", [AUDIT])

    made = tables.client.get_table("local.own.audit")

    assert [(item.name, item.field_type, item.mode) for item in made.schema] == list(AUDIT.fields)
    assert made.time_partitioning.field == "at"
    assert made.clustering_fields == ["model"]


def test_a_table_that_exists_is_left_as_it_is(tables: Tables) -> None:
    """Its owner may have added columns."""
    wider = OwnTable("kept", (("at", "TIMESTAMP", "REQUIRED"), ("extra", "STRING", "NULLABLE")))
    ensure_tables(tables.client, "own", [wider])

    ensure_tables(tables.client, "own", [OwnTable("kept", wider.fields[:1])])

    assert len(tables.client.get_table("local.own.kept").schema) == 2


def test_an_event_becomes_a_row_of_the_audit(tables: Tables) -> None:
    """What is recorded can be asked for in SQL."""
    ensure_tables(tables.client, "events", [AUDIT])
    warehouse = BigQueryWarehouse(BigQuery(tables.client), "events")
    details = json.dumps({"reason": "drift"})

    warehouse.record_event(
        {
            "at": "2013-06-10T00:00:00Z",
            "what": "run promoted",
            "model": "flights",
            "run_id": "r",
            "details": details,
        }
    )

    rows = tables.client.query(
        "SELECT what, model, JSON_VALUE(details, '$.reason') AS reason FROM events.audit"
    ).result()
    assert [tuple(row) for row in rows] == [("run promoted", "flights", "drift")]


def test_a_row_that_does_not_fit_is_reported_and_nothing_else(
    tables: Tables, capsys: pytest.CaptureFixture[str]
) -> None:
    """The audit table is a copy for people: losing a row of it stops nobody."""
    ensure_tables(tables.client, "misfit", [AUDIT])

    BigQueryWarehouse(BigQuery(tables.client), "misfit").record_event({"what": "no time"})

    assert "row lost" in capsys.readouterr().out
