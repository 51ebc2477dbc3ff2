"""BigQuery's audit log entries become data triggers, once per job and only for our tables."""

from datetime import UTC, datetime

import pytest

from retraining.errors import BadMessage
from retraining.messages.audit_log import is_entry, parse
from retraining.messages.context import Ignored
from tests.messages.samples import JOB_KEY, MODELS, TABLE, changed, context, sample, untriggered

CHANGE = "protoPayload.metadata.tableDataChange"
JOB = "protoPayload.metadata.jobChange.job"
LEGACY = "protoPayload.serviceData.jobCompletedEvent.job"


def triggers(payload):
    found = parse(payload, {}, context())
    assert isinstance(found, list), found
    return found


def ignored(payload, **fields):
    found = parse(payload, {}, context(**fields))
    assert isinstance(found, Ignored), found
    return found.reason


def test_a_table_change_is_one_data_trigger_for_the_model_that_reads_the_table():
    [trigger] = triggers(sample("audit_table_change"))

    assert (trigger.model, trigger.kind, trigger.key) == ("flights", "data", JOB_KEY)
    assert trigger.details["rows"] == "1234"
    assert trigger.at == datetime(2026, 1, 31, 3, 0, 7, 123456, tzinfo=UTC)
    assert trigger.message_id == "m-1"


def test_two_models_that_read_one_table_get_a_trigger_each():
    second = MODELS["flights"].model_copy(update={"name": "delays"})
    found = parse(sample("audit_table_change"), {}, context(models={**MODELS, "delays": second}))

    assert isinstance(found, list)
    assert {trigger.model for trigger in found} == {"flights", "delays"}


@pytest.mark.parametrize("name", ["audit_table_change", "audit_job_change", "audit_legacy_load"])
def test_one_job_has_one_key_in_every_form_of_the_log(name):
    [trigger] = triggers(sample(name))

    assert trigger.key == JOB_KEY


@pytest.mark.parametrize("rows", ["0", ..., "-3"], ids=["zero", "absent because zero", "negative"])
def test_a_change_without_inserted_rows_is_ignored(rows):
    reason = ignored(changed("audit_table_change", f"{CHANGE}.insertedRowsCount", rows))

    assert reason == "no rows were inserted"


def test_a_count_may_be_a_number():
    [trigger] = triggers(changed("audit_table_change", f"{CHANGE}.insertedRowsCount", 7))

    assert trigger.details["rows"] == "7"


@pytest.mark.parametrize("rows", ["many", True, 1.5, [], "1_000", "٣"], ids=repr)
def test_a_count_that_is_no_whole_number_is_refused(rows):
    with pytest.raises(BadMessage, match="insertedRowsCount: expected a whole number"):
        parse(changed("audit_table_change", f"{CHANGE}.insertedRowsCount", rows), {}, context())


@pytest.mark.parametrize(
    ("resource", "why"),
    [
        ("projects/shop-prod/datasets/flights/tables/other", "no model reads table flights.other"),
        ("projects/elsewhere/datasets/flights/tables/history", "a table of project elsewhere, not of shop-prod"),
        ("projects/shop-prod/datasets/_f00/tables/anonf00", "an anonymous table with a query's result"),
        ("projects/shop-prod/datasets/flights", "not a table: projects/shop-prod/datasets/flights"),
    ],
    ids=["other table", "other project", "anonymous", "dataset"],
)
def test_other_resources_are_ignored(resource, why):
    assert ignored(changed("audit_table_change", "protoPayload.resourceName", resource)) == why


def test_a_partition_still_names_its_table():
    [trigger] = triggers(
        changed(
            "audit_table_change",
            "protoPayload.resourceName",
            "projects/shop-prod/datasets/flights/tables/history$20260131",
        )
    )

    assert trigger.details["table"] == TABLE


def test_our_own_writes_are_ignored():
    own = "trainer@shop-prod.iam.gserviceaccount.com"
    payload = changed("audit_table_change", "protoPayload.authenticationInfo.principalEmail", own)

    assert ignored(payload) == f"our own write, by {own}"


def test_a_failed_call_is_ignored():
    payload = changed("audit_table_change", "protoPayload.status", {"code": 7, "message": "denied"})

    assert ignored(payload) == "status: denied"


def test_a_stream_is_keyed_by_entry_because_it_takes_many_appends():
    change = {"insertedRowsCount": "5", "reason": "WRITE_API", "streamName": "s/_default"}
    [trigger] = triggers(changed("audit_table_change", CHANGE, change))

    assert trigger.key == "data|flights.history|s/_default#-k2x9ude3kq1"


def test_a_change_that_names_neither_job_nor_entry_is_refused():
    payload = changed("audit_table_change", CHANGE, {"insertedRowsCount": "5"})
    del payload["insertId"]

    with pytest.raises(BadMessage, match="insertId"):
        parse(payload, {}, context())


def test_an_entry_that_lost_its_details_is_accepted_with_unknown_rows():
    [trigger] = triggers(changed("audit_table_change", "protoPayload.metadata", {}))

    assert (trigger.details["rows"], trigger.key) == ("unknown", "data|flights.history|-k2x9ude3kq1")


def test_a_read_without_details_is_ignored():
    payload = changed("audit_table_change", "protoPayload.metadata", {})
    payload["protoPayload"]["methodName"] = "google.cloud.bigquery.storage.v1.BigQueryRead.ReadRows"

    assert ignored(payload) == "an audit record without a change of a table"


@pytest.mark.parametrize("event", ["tableDataRead", "tableCreation", "jobInsertion", "modelDataChange"])
def test_other_events_add_no_rows(event):
    assert ignored(changed("audit_table_change", "protoPayload.metadata", {event: {}})) == f"a {event} adds no rows"


def test_a_failed_job_is_ignored_although_it_is_done():
    status = {"jobState": "DONE", "errorResult": {"code": 11, "message": "Bad CSV"}}

    assert ignored(changed("audit_job_change", f"{JOB}.jobStatus", status)) == "job failed: Bad CSV"


def test_a_running_job_is_ignored():
    payload = changed("audit_job_change", "protoPayload.metadata.jobChange.after", "RUNNING")

    assert ignored(payload) == "the job has not ended (RUNNING)"


def test_a_job_that_only_exports_is_ignored():
    config = {
        "type": "EXPORT",
        "extractConfig": {"sourceTable": "projects/shop-prod/datasets/flights/tables/history"},
    }

    assert ignored(changed("audit_job_change", f"{JOB}.jobConfig", config)) == "a job that writes no table"


@pytest.mark.parametrize("statement", ["DELETE", "TRUNCATE_TABLE", "DROP_TABLE"])
def test_a_statement_that_only_takes_rows_away_is_ignored(statement):
    table = "projects/shop-prod/datasets/flights/tables/history"
    config = {"type": "QUERY", "queryConfig": {"destinationTable": table, "statementType": statement}}

    assert ignored(changed("audit_job_change", f"{JOB}.jobConfig", config)) == f"{statement} adds no rows"


@pytest.mark.parametrize("statement", ["INSERT", "MERGE", "SELECT", "CREATE_TABLE_AS_SELECT"])
def test_a_statement_that_may_add_rows_is_a_trigger(statement):
    table = "projects/shop-prod/datasets/flights/tables/history"
    config = {"type": "QUERY", "queryConfig": {"destinationTable": table, "statementType": statement}}
    [trigger] = triggers(changed("audit_job_change", f"{JOB}.jobConfig", config))

    assert trigger.key == JOB_KEY


def test_a_copy_job_is_a_trigger():
    config = {"tableCopyConfig": {"destinationTable": "projects/shop-prod/datasets/flights/tables/history"}}
    [trigger] = triggers(changed("audit_job_change", f"{JOB}.jobConfig", config))

    assert trigger.key == JOB_KEY


def test_the_older_form_of_a_query_into_an_anonymous_table_is_ignored():
    reason = ignored(sample("audit_legacy_anonymous"), project="my-project")

    assert reason == "an anonymous table with a query's result"


def test_the_older_form_of_a_failed_job_is_ignored():
    status = {"state": "DONE", "error": {"code": 11, "message": "Bad CSV"}}

    assert ignored(changed("audit_legacy_load", f"{LEGACY}.jobStatus", status)) == "job failed: Bad CSV"


def test_the_older_form_of_a_running_job_is_ignored():
    status = {"state": "RUNNING"}

    assert ignored(changed("audit_legacy_load", f"{LEGACY}.jobStatus", status)) == "the job has not ended"


def test_a_model_that_does_not_ask_for_runs_on_data_gets_none():
    reason = ignored(sample("audit_table_change"), models=untriggered())

    assert reason == "no model that reads flights.history asks for runs on new data"


def test_another_services_record_is_ignored():
    reason = ignored(changed("audit_table_change", "protoPayload.serviceName", "storage.googleapis.com"))

    assert reason == "an audit record of storage.googleapis.com, not of BigQuery"


@pytest.mark.parametrize("path", ["protoPayload", "protoPayload.metadata", CHANGE])
def test_a_part_of_another_type_is_refused_by_name(path):
    with pytest.raises(BadMessage, match=f"{path.rpartition('.')[2]}: expected an object, got an array"):
        parse(changed("audit_table_change", path, []), {}, context())


def test_an_entry_without_a_time_happened_when_it_was_published():
    [trigger] = triggers(changed("audit_table_change", "timestamp", "yesterday"))

    assert trigger.at == context().published


def test_entries_are_known_by_their_audit_record():
    assert is_entry(sample("audit_table_change"))
    assert not is_entry(sample("transfer_to_table"))
    assert not is_entry("protoPayload")
