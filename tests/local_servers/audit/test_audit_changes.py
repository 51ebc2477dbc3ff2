"""Which table a job changed and by how many rows, as the job resource tells."""

from typing import Any

import pytest

from local.servers.audit.changes import Change, Table, change, is_own
from local.servers.audit.position import OVERLAP_MS, Position

TABLE = {"projectId": "p", "datasetId": "d", "tableId": "t"}
T = Table("p", "d", "t")


def job(configuration: dict[str, Any], **statistics: Any) -> dict[str, Any]:
    return {
        "jobReference": {"projectId": "p", "jobId": "j"},
        "configuration": configuration,
        "statistics": statistics,
        "status": {"state": "DONE"},
        "user_email": "loader@p.iam.gserviceaccount.com",
    }


def dml(sql: str, kind: str, **rows: str) -> dict[str, Any]:
    return job({"query": {"query": sql}}, query={"statementType": kind, "dmlStats": rows})


def test_a_load_tells_its_rows() -> None:
    found = change(job({"load": {"destinationTable": TABLE}}, load={"outputRows": "5"}))

    assert found == Change(T, 5, reason="JOB")


def test_a_load_that_replaces_says_so() -> None:
    settings = {"destinationTable": TABLE, "writeDisposition": "WRITE_TRUNCATE"}

    found = change(job({"load": settings}, load={"outputRows": "5"}))

    assert found == Change(T, 5, truncated=True, reason="JOB")


def test_a_load_into_a_partition_changes_its_table() -> None:
    settings = {"destinationTable": {**TABLE, "tableId": "t$20130101"}}

    found = change(job({"load": settings}, load={"outputRows": "5"}))

    assert found == Change(T, 5, reason="JOB")


@pytest.mark.parametrize(
    ("sql", "kind", "rows", "expected"),
    [
        ("INSERT INTO d.t VALUES (1)", "INSERT", {"insertedRowCount": "1"}, (1, 0)),
        ("INSERT INTO `p.d.t` (a, b) SELECT a, b FROM d.s", "INSERT", {"insertedRowCount": "7"}, (7, 0)),
        ("UPDATE d.t SET a = 1 WHERE true", "UPDATE", {"updatedRowCount": "3"}, (3, 3)),
        ("DELETE FROM d.t WHERE true", "DELETE", {"deletedRowCount": "2"}, (0, 2)),
        (
            "MERGE d.t x USING d.s y ON x.a = y.a WHEN NOT MATCHED THEN INSERT (a) VALUES (y.a)",
            "MERGE",
            {"insertedRowCount": "4", "updatedRowCount": "1", "deletedRowCount": "2"},
            (5, 3),
        ),
    ],
)
def test_the_target_of_a_statement_is_read_from_its_text(
    sql: str, kind: str, rows: dict[str, str], expected: tuple[int, int]
) -> None:
    found = change(dml(sql, kind, **rows))

    assert found == Change(T, *expected)


def test_a_table_without_a_dataset_is_in_the_default_one() -> None:
    configuration = {"query": {"query": "INSERT INTO t VALUES (1)", "defaultDataset": {"datasetId": "d"}}}

    found = change(job(configuration, query={"statementType": "INSERT", "dmlStats": {"insertedRowCount": "1"}}))

    assert found is not None
    assert found.table == T


def test_the_destination_that_bigquery_names_counts_first() -> None:
    configuration = {"query": {"query": "INSERT INTO x.y VALUES (1)", "destinationTable": TABLE}}

    found = change(job(configuration, query={"statementType": "INSERT", "dmlStats": {"insertedRowCount": "1"}}))

    assert found == Change(T, 1)


def test_a_created_table_is_changed_by_an_unknown_count() -> None:
    statistics = {"statementType": "CREATE_TABLE_AS_SELECT", "ddlTargetTable": TABLE}

    found = change(job({"query": {"query": "CREATE TABLE d.t AS SELECT 1"}}, query=statistics))

    assert found == Change(T, None, truncated=True)


@pytest.mark.parametrize(
    "reference",
    [{**TABLE, "datasetId": "_results"}, {**TABLE, "tableId": "anon123"}, {**TABLE, "datasetId": "_6a"}],
)
def test_an_anonymous_result_is_no_change(reference: dict[str, str]) -> None:
    configuration = {"query": {"query": "SELECT 1", "destinationTable": reference}}

    assert change(job(configuration, query={"statementType": "SELECT"})) is None


def test_a_statement_that_cannot_be_read_is_no_change() -> None:
    assert change(dml("((", "INSERT", insertedRowCount="1")) is None


def test_own_work_is_known_by_its_label_or_its_principal() -> None:
    labelled = job({"load": {"destinationTable": TABLE}, "labels": {"retrain-own": "true"}})
    plain = job({"load": {"destinationTable": TABLE}, "labels": {"retrain-own": "false"}})

    assert is_own(labelled, ())
    assert not is_own(plain, ())
    assert is_own(plain, {"loader@p.iam.gserviceaccount.com"})


def test_the_position_waits_for_a_job_that_still_runs() -> None:
    """Jobs end in another order than they begin in."""
    position = Position(0, {}).after({"b": 60_000}, unfinished=[20_000])

    assert position == Position(20_000, {"b": 60_000})


def test_the_position_forgets_jobs_before_its_overlap() -> None:
    position = Position(0, {"a": 1_000}).after({"b": 60_000}, unfinished=[])

    assert position == Position(60_000 - OVERLAP_MS, {"b": 60_000})


def test_the_position_never_goes_back() -> None:
    start = Position(50_000, {})

    assert start.after({}, unfinished=[]) == start
