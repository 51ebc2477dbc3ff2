"""Transfer runs become data triggers when they succeeded and their table is known."""

import pytest

from retraining.errors import BadMessage
from retraining.messages.context import Ignored
from retraining.messages.transfer_run import is_run, parse
from tests.messages.samples import changed, context, sample, untriggered

UNKNOWN = "table unknown; the watermark tick will see it"


def test_a_run_into_a_models_table_is_one_data_trigger_keyed_by_the_run():
    payload = sample("transfer_to_table")
    found = parse(payload, {}, context())

    assert isinstance(found, list)
    assert [(t.model, t.kind, t.key) for t in found] == [
        ("flights", "data", f"data|flights.history|{payload['name']}")
    ]
    assert found[0].at.isoformat() == "2025-05-02T03:41:51.291622+00:00"


def test_a_script_names_no_table():
    assert parse(sample("transfer_script"), {}, context()) == Ignored(UNKNOWN)


@pytest.mark.parametrize(
    "template", ["", "history_{run_date}", "{table}", '{run_time|"%Y"}_history', "$20260131", "   "], ids=repr
)
def test_a_template_that_gives_no_fixed_table_leaves_it_unknown(template):
    payload = changed("transfer_to_table", "params.destination_table_name_template", template)

    assert parse(payload, {}, context()) == Ignored(UNKNOWN)


@pytest.mark.parametrize(
    "template", ["history${run_date}", "history$20260131", 'history${run_time|"%Y%m"}'], ids=repr
)
def test_a_partition_of_a_table_is_that_table(template):
    found = parse(changed("transfer_to_table", "params.destination_table_name_template", template), {}, context())

    assert isinstance(found, list)
    assert found[0].details["table"] == "flights.history"


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED"])
def test_a_run_that_failed_is_ignored_and_told_to_people(state):
    payload = {**sample("transfer_to_table"), "state": state, "errorStatus": {"code": 5, "message": "no\nfiles"}}
    found = parse(payload, {}, context())

    assert found == Ignored(f"transfer run {state.lower()}: no files", audit="feed failed", model="flights")


def test_a_failed_run_without_reason_or_table_is_still_told():
    payload = {**sample("transfer_script"), "state": "FAILED"}

    assert parse(payload, {}, context()) == Ignored("transfer run failed: no reason given", audit="feed failed")


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "SOMETHING_NEW"])
def test_a_run_that_has_not_ended_is_ignored(state):
    found = parse({**sample("transfer_to_table"), "state": state}, {}, context())

    assert found == Ignored(f"the transfer run has not ended ({state})")


def test_a_table_that_no_model_reads_is_ignored():
    payload = changed("transfer_to_table", "destinationDatasetId", "sales")

    assert parse(payload, {}, context()) == Ignored("no model reads table sales.history")


def test_a_model_that_does_not_ask_for_runs_on_data_gets_none():
    found = parse(sample("transfer_to_table"), {}, context(models=untriggered()))

    assert found == Ignored("no model that reads flights.history asks for runs on new data")


@pytest.mark.parametrize("field", ["name", "state"])
@pytest.mark.parametrize("value", [..., 7, None], ids=["absent", "number", "null"])
def test_a_run_without_name_or_state_is_refused(field, value):
    with pytest.raises(BadMessage, match=f"{field}: expected text"):
        parse(changed("transfer_to_table", field, value), {"eventType": "TRANSFER_RUN_FINISHED"}, context())


def test_a_name_of_another_resource_is_refused():
    with pytest.raises(BadMessage, match="name: expected projects/P/locations"):
        parse(changed("transfer_to_table", "name", "../../models/x"), {}, context())


def test_runs_are_known_by_attribute_or_by_name():
    assert is_run({}, {"eventType": "TRANSFER_RUN_FINISHED"})
    assert is_run(sample("transfer_to_table"), {})
    assert not is_run({"name": "x"}, {})
    assert not is_run([], {})
