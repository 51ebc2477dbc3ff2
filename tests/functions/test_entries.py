"""Each entry point finds the format of its message and writes down what it means."""

from datetime import UTC, datetime

import pytest

from functions.entries import ENTRIES, ON_CANDIDATE, ON_DATA, ON_DRIFT, ON_MANUAL, ON_MONITOR, ON_SCHEDULE, ON_TICK
from functions.message import receive
from retraining import names
from retraining.messages.hints import Hint
from retraining.records import ModelState
from retraining.rollouts import Rollout, Serving
from tests.functions.events import NOW, Place, event, published
from tests.messages.samples import JOB_KEY, changed, sample

DEPLOYED = "1645828169292316672"


def keys(place):
    return [record["trigger"]["key"] for record in place.records("inbox/")]


def told(place):
    return [(entry["what"], entry["model"]) for entry in place.records("events/")]


def quarantined(place):
    return [record["reason"] for record in place.records("quarantine/")]


class TestData:
    def test_an_audit_entry_is_a_trigger(self):
        place = Place()
        receive(event(published(sample("audit_table_change"))), ON_DATA, place.world)

        assert keys(place) == [JOB_KEY]

    def test_an_audit_entry_without_pubsub_is_a_trigger(self):
        place = Place()
        receive(event(sample("audit_table_change")), ON_DATA, place.world)

        assert keys(place) == [JOB_KEY]

    def test_one_job_told_in_three_forms_is_one_trigger(self):
        place = Place()
        for name in ("audit_table_change", "audit_job_change", "audit_legacy_load"):
            receive(event(published(sample(name))), ON_DATA, place.world)

        assert keys(place) == [JOB_KEY]

    def test_an_entry_with_a_long_statement_is_still_read(self):
        place = Place()
        payload = changed("audit_table_change", "protoPayload.metadata.firstPartyAppMetadata", {"q": "x" * 100_000})
        receive(event(published(payload)), ON_DATA, place.world)

        assert keys(place) == [JOB_KEY]

    def test_our_own_write_is_no_trigger(self):
        place = Place()
        own = "trainer@shop-prod.iam.gserviceaccount.com"
        payload = changed("audit_table_change", "protoPayload.authenticationInfo.principalEmail", own)
        receive(event(published(payload)), ON_DATA, place.world)

        assert keys(place) == quarantined(place) == []

    def test_a_transfer_run_is_a_trigger(self):
        place = Place()
        receive(event(published(sample("transfer_to_table"))), ON_DATA, place.world)

        assert keys(place) == [f"data|flights.history|{sample('transfer_to_table')['name']}"]

    def test_a_failed_feed_is_told_to_people(self):
        place = Place()
        payload = {**sample("transfer_to_table"), "state": "FAILED"}
        receive(event(published(payload)), ON_DATA, place.world)

        assert (keys(place), told(place)) == ([], [("feed failed", "flights")])

    def test_a_watermark_tick_asks_the_table(self):
        place = Place()
        place.warehouse.labelled["flights"] = [datetime(2026, 1, 30, 23, 59, tzinfo=UTC)] * 20_000
        receive(event(published({"kind": "watermark", "model": "flights"})), ON_DATA, place.world)

        assert keys(place) == ["data|flights.history|watermark-2026-01-30T23:59Z"]
        assert place.records("inbox/")[0]["trigger"]["message_id"] == "m-1"

    def test_a_watermark_tick_with_too_few_rows_asks_for_nothing(self):
        place = Place()
        place.warehouse.labelled["flights"] = [datetime(2026, 1, 30, tzinfo=UTC)] * 19_999
        receive(event(published(attributes={"kind": "watermark", "model": "flights"})), ON_DATA, place.world)

        assert keys(place) == quarantined(place) == []

    def test_only_a_watermark_tick_builds_a_warehouse(self):
        place = Place()
        receive(event(published(sample("audit_table_change"))), ON_DATA, place.world)
        receive(event(published(sample("transfer_to_table"))), ON_DATA, place.world)

        assert place.warehouses_built == 0

    @pytest.mark.parametrize("body", ["flights.history", [], 3, {"model": "flights"}, {}], ids=repr)
    def test_anything_else_is_put_aside_with_what_was_expected(self, body):
        place = Place()
        receive(event(published(body)), ON_DATA, place.world)

        [reason] = quarantined(place)
        assert reason.startswith("body: expected an audit log entry of BigQuery, a transfer run or")


class TestDrift:
    @pytest.mark.parametrize("name", ["drift_incident", "incident_open", "incident_log_match", "anomaly_v2_alert"])
    def test_a_finding_is_a_trigger(self, name):
        place = Place()
        receive(event(published(sample(name))), ON_DRIFT, place.world)

        [key] = keys(place)
        assert key.startswith("drift|")

    @pytest.mark.parametrize("arm", ["champion", "challenger"])
    def test_an_anomaly_belongs_to_the_model_whose_rollout_names_the_deployed_model(self, arm):
        place = Place()
        serving = Serving(run_id="r", deployed_id=DEPLOYED)
        record = Rollout(endpoint="bikes", model="bikes").but(**{arm: serving})
        place.store.create(names.rollout_path("bikes"), record.to_json())
        receive(event(published(sample("anomaly_v1"))), ON_DRIFT, place.world)

        assert place.records("inbox/")[0]["trigger"]["model"] == "bikes"

    @pytest.mark.parametrize("body", ["{", "[]", '{"champion": 7}', '{"champion": {"deployed_id": "1"}}'])
    def test_an_anomaly_of_a_stranger_is_put_aside_by_its_id(self, body):
        place = Place()
        place.store.create(names.rollout_path("flights"), body)
        receive(event(published(sample("anomaly_v1"))), ON_DRIFT, place.world)

        assert DEPLOYED in quarantined(place)[0]

    def test_an_open_incident_that_is_told_again_is_one_trigger(self):
        place = Place()
        for state in ("open", "OPEN", "closed"):
            receive(event(published(changed("incident_open", "incident.state", state))), ON_DRIFT, place.world)

        assert keys(place) == ["drift|cloud-monitoring|0.nrwotmyokd9n"]
        assert ("incident closed", "flights") in told(place)

    @pytest.mark.parametrize("name", ["incident_test_button", "anomaly_progress"])
    def test_what_asks_for_nothing_is_acknowledged(self, name):
        place = Place()
        receive(event(published(sample(name))), ON_DRIFT, place.world)

        assert keys(place) == quarantined(place) == told(place) == []

    def test_anything_else_is_put_aside(self):
        place = Place()
        receive(event(published({"drift": True})), ON_DRIFT, place.world)

        assert quarantined(place)[0].startswith("body: expected an incident of the monitor")


class TestScheduleAndManual:
    def test_a_tick_of_the_schedule_is_one_trigger_for_its_minute(self):
        place = Place()
        for second in ("01", "59"):
            tick = published({"model": "flights", "schedule": "main"}, publishTime=f"2026-01-31T03:00:{second}Z")
            receive(event(tick), ON_SCHEDULE, place.world)

        assert keys(place) == ["schedule|main|2026-01-31T03:00Z"]

    def test_a_request_is_a_trigger(self):
        place = Place()
        receive(event(published({"model": "flights", "action": "tune", "force": "true"})), ON_MANUAL, place.world)

        [record] = place.records("inbox/")
        assert (record["trigger"]["ask"], record["trigger"]["force"]) == ("tune", True)


class TestTicks:
    @pytest.mark.parametrize(
        ("entry", "name"),
        [(ON_TICK, "run"), (ON_CANDIDATE, "candidate"), (ON_MONITOR, "monitor")],
        ids=["on_tick", "on_candidate", "on_monitor"],
    )
    def test_a_tick_starts_its_own_engine_only(self, entry, name):
        place = Place()
        receive(event(published({"kind": "tick"})), entry, place.world)

        assert place.ticks == [(name, Hint())]

    def test_a_job_that_ended_is_passed_on(self):
        place = Place()
        body = {"kind": "job-ended", "run_id": "flights-20260131-030000-1a2b", "job_id": "j"}
        receive(event(published(body)), ON_TICK, place.world)

        assert place.ticks == [("run", Hint("job-ended", "flights-20260131-030000-1a2b", "j"))]

    def test_a_pipeline_that_still_runs_starts_nothing(self):
        place = Place()
        payload = changed("pipeline_job_event", "jsonPayload.state", "PIPELINE_STATE_RUNNING")
        receive(event(published(payload)), ON_TICK, place.world)

        assert place.ticks == []

    def test_an_unknown_kind_is_put_aside(self):
        place = Place()
        receive(event(published({"kind": "explode"})), ON_TICK, place.world)

        assert quarantined(place)[0].startswith("kind: expected one of")


class TestWatermark:
    @pytest.mark.parametrize(
        ("last", "asked"), [(datetime(2026, 1, 1, tzinfo=UTC), 1), (NOW, 0)], ids=["old", "new"]
    )
    def test_rows_are_counted_from_the_last_snapshot_on(self, last, asked):
        place = Place()
        place.store.create(names.model_path("flights"), ModelState(model="flights", watermark=last).to_json())
        place.warehouse.labelled["flights"] = [datetime(2026, 1, 30, tzinfo=UTC)] * 20_000
        receive(event(published({"kind": "watermark", "model": "flights"})), ON_DATA, place.world)

        assert len(keys(place)) == asked

    def test_the_trigger_says_since_when(self):
        place = Place()
        since = datetime(2026, 1, 1, tzinfo=UTC)
        place.store.create(names.model_path("flights"), ModelState(model="flights", watermark=since).to_json())
        place.warehouse.labelled["flights"] = [datetime(2026, 1, 30, tzinfo=UTC)] * 20_000
        receive(event(published({"kind": "watermark", "model": "flights"})), ON_DATA, place.world)

        assert place.records("inbox/")[0]["trigger"]["details"]["since"] == since.isoformat()

    def test_a_table_without_labelled_rows_asks_for_nothing(self):
        place = Place()
        receive(event(published({"kind": "watermark"})), ON_DATA, place.world)

        assert (keys(place), place.warehouses_built) == ([], 1)


def test_there_are_seven_entry_points_and_each_has_its_name():
    assert sorted(entry.name for entry in ENTRIES) == [
        "on_candidate", "on_data", "on_drift", "on_manual", "on_monitor", "on_schedule", "on_tick",
    ]  # fmt: skip
