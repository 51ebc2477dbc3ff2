"""The views over the records' files, run as SQL over records that the engine wrote."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.cloud.bigquery import Client, LoadJobConfig, SchemaField

from gcp.bigquery import connect
from local.memory.store import MemoryStore
from retraining.audit import record_event
from retraining.records import Decision, Run, RunState

VIEWS = Path(__file__).parents[2] / "terraform" / "views"
NOW = datetime(2026, 5, 4, 14, tzinfo=UTC)


@pytest.fixture(scope="module")
def client(bigquery: str) -> Client:
    """A client of the local BigQuery."""
    return connect("local", bigquery)


def ask(client: Client, view: str, lines: list[str]) -> list[dict[str, Any]]:
    """The rows of a view over files that hold these lines."""
    client.create_dataset("records", exists_ok=True)
    name = f"records.{view}_files"
    config = LoadJobConfig(schema=[SchemaField("line", "STRING")], write_disposition="WRITE_TRUNCATE")
    client.load_table_from_json(
        [{"line": line} for line in lines], f"{client.project}.{name}", job_config=config
    ).result()
    text = (VIEWS / f"{view}.sql").read_text().replace("${files}", f"{client.project}.{name}")
    return [dict(row) for row in client.query(text).result()]


def test_an_audit_entry_can_be_asked_for_in_sql(client: Client) -> None:
    """With its details as JSON."""
    store = MemoryStore()
    record_event(store, NOW, "run promoted", "flights", "flights-1", reason="no worse")
    (path,) = store.list("events/")
    stored = store.read(path)
    assert stored is not None

    (row,) = ask(client, "events", [stored.body])

    assert (row["at"], row["what"], row["model"], row["run_id"]) == (NOW, "run promoted", "flights", "flights-1")
    details = row["details"]
    assert (json.loads(details) if isinstance(details, str) else details) == {"reason": "no worse"}


def test_a_run_can_be_asked_for_in_sql(client: Client) -> None:
    """State, reason and cost."""
    decision = Decision(action="train", code="fit", text="1,000 rows are new", at=NOW)
    run = Run(
        run_id="flights-1", model="flights", state=RunState.PROMOTED, opened=NOW, entered=NOW, spec_digest="d",
        causes=(), decision=decision, spent=1.5,
    )  # fmt: skip

    (row,) = ask(client, "runs", [run.to_json()])

    assert (row["run_id"], row["state"], row["decision"], row["spent"]) == ("flights-1", "promoted", "fit", 1.5)
    assert row["opened"] == NOW


def test_every_view_has_files_to_read() -> None:
    """The Terraform code names a folder of records for each."""
    text = (VIEWS.parent / "bigquery.tf").read_text()

    assert sorted(path.stem for path in VIEWS.glob("*.sql")) == ["events", "runs"]
    assert 'record_files = { events = "events/*", runs = "runs/*" }' in text


def test_a_record_is_one_line_whatever_its_strings_hold() -> None:
    """The files are read by lines, and cut at a character that JSON text of ours cannot hold."""
    run = Run(
        run_id="r", model="m", state=RunState.WAITING, opened=NOW, entered=NOW, spec_digest="a\nb\x01", causes=()
    )

    assert set("\n\x01").isdisjoint(run.to_json())
