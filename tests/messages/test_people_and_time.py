"""Scheduler's ticks, people's requests, watermark ticks and hints."""

import re
from datetime import UTC, datetime

import pytest

from retraining.errors import BadMessage
from retraining.messages import hints, manual, schedule, watermark_tick
from retraining.messages.context import Ignored
from retraining.messages.hints import Hint
from tests.messages.samples import PUBLISHED, changed, context, sample, untriggered

NO_MATTER = {"googclient_schemaencoding": "JSON", "ce-id": "1", "content-type": "application/json"}


def only(found):
    assert isinstance(found, list), found
    [trigger] = found
    return trigger


MONTHLY = {"model": "flights", "schedule": "monthly"}


class TestSchedule:
    @pytest.mark.parametrize(
        ("body", "attributes"),
        [
            ({"model": "flights", "schedule": "monthly"}, {}),
            ({}, {"model": "flights", "schedule": "monthly"}),
            ({"model": "flights"}, {"schedule": "monthly"}),
            ({"model": "flights", "schedule": "monthly"}, {"name": "scheduler"}),
            ({}, {"model": "flights", "schedule": "monthly", **NO_MATTER}),
        ],
        ids=["body", "attributes only", "both", "body and a foreign attribute", "system attributes"],
    )
    def test_a_tick_is_one_trigger_keyed_by_schedule_and_minute(self, body, attributes):
        trigger = only(schedule.parse(body, attributes, context()))

        assert (trigger.model, trigger.kind, trigger.ask) == ("flights", "schedule", "auto")
        assert trigger.key == "schedule|monthly|2026-01-31T03:00Z"
        assert trigger.at == datetime(2026, 1, 31, 3, 0, tzinfo=UTC)

    def test_a_retry_within_the_minute_is_the_same_fact(self):
        late = context(published=PUBLISHED.replace(second=59), message_id="m-2")

        assert only(schedule.parse(MONTHLY, {}, late)).key == "schedule|monthly|2026-01-31T03:00Z"

    @pytest.mark.parametrize("action", ["auto", "train", "tune"])
    def test_the_tick_may_say_what_it_asks_for(self, action):
        assert only(schedule.parse({**MONTHLY, "action": action}, {}, context())).ask == action

    @pytest.mark.parametrize(
        ("body", "why"),
        [
            ({"model": "flights", "image": "evil"}, "'image': no such field; allowed are model, schedule, action"),
            ({"model": "flights", "schedule": "a/b"}, "schedule: expected text like"),
            ({"model": "flights", "schedule": "x" * 64}, "schedule: expected text like"),
            ({**MONTHLY, "action": "deploy"}, "action: expected one of \\['auto', 'train', 'tune'\\]"),
            ({"model": "flights", "kind": "tick"}, "kind: expected one of"),
            ({"model": "flights"}, "schedule: expected text, got nothing"),
            ({"model": ["flights"]}, "model: expected text, got an array"),
            ({"schedule": "monthly"}, "model: expected text, got nothing"),
            ({"model": None}, "model: expected text, got nothing"),
            ("flights", "body: expected a JSON object such as .* got text 'flights'"),
            ([{"model": "flights"}], "body: expected a JSON object such as .* got an array"),
            (3, "got a number 3"),
            (None, "got null"),
        ],
    )
    def test_a_wrong_body_is_refused_with_what_was_expected(self, body, why):
        with pytest.raises(BadMessage, match=why):
            schedule.parse(body, {}, context())

    def test_attributes_alone_are_held_to_the_same_fields(self):
        with pytest.raises(BadMessage, match="'image': no such field"):
            schedule.parse({}, {"model": "flights", "image": "evil"}, context())

    def test_body_and_attributes_may_not_disagree(self):
        with pytest.raises(BadMessage, match="model: the body says 'flights', the attributes 'bikes'"):
            schedule.parse({"model": "flights"}, {"model": "bikes"}, context())

    def test_a_model_without_schedule_gets_none(self):
        found = schedule.parse(MONTHLY, {}, context(models=untriggered()))

        assert found == Ignored("model flights has no schedule", model="flights")


class TestManual:
    def test_a_request_is_one_trigger_keyed_by_its_id(self):
        body = {
            "model": "flights",
            "action": "tune",
            "force": True,
            "dry_run": "false",
            "reason": "new\nairport",
            "request_id": "r-1",
            "actor": "ann@example.com",
        }
        trigger = only(manual.parse(body, {}, context()))

        assert (trigger.key, trigger.ask, trigger.force, trigger.dry_run) == ("manual|r-1", "tune", True, False)
        assert (trigger.reason, trigger.actor) == ("new airport", "ann@example.com")
        assert trigger.details == {"actor_is": "claimed by the message"}

    def test_without_an_id_the_message_is_the_request(self):
        trigger = only(manual.parse({"model": "flights"}, {}, context()))

        assert (trigger.key, trigger.reason, trigger.ask) == ("manual|m-1", "asked by message", "auto")

    def test_a_request_may_stand_in_attributes_alone(self):
        trigger = only(manual.parse({}, {"model": "flights", "force": "TRUE"}, context()))

        assert trigger.force

    @pytest.mark.parametrize(
        "field", ["image", "table", "sql", "path", "budget", "params", "hyperparameters", "endpoint", "__class__"]
    )
    def test_a_message_names_and_never_defines(self, field):
        with pytest.raises(
            BadMessage, match=f"'{field}': no such field; allowed are model, action, force, dry_run"
        ):
            manual.parse({"model": "flights", field: "x"}, {}, context())

    @pytest.mark.parametrize(
        ("field", "value", "why"),
        [
            ("action", "pause", "action: expected one of"),
            ("force", "yes", "force: expected true or false, got text 'yes'"),
            ("force", 1, "force: expected true or false, got a number 1"),
            ("dry_run", [], "dry_run: expected true or false, got an array"),
            ("reason", "x" * 501, "reason: expected at most 500 characters, got 501"),
            ("actor", "x" * 201, "actor: expected at most 200 characters"),
            ("request_id", "../../claims/x", "request_id: expected text like"),
            ("request_id", 7, "request_id: expected text, got a number 7"),
            ("model", "planes", r"model: expected one of \['bikes', 'flights'\], got 'planes'"),
            ("model", "x" * 5000, r"model: expected one of .{,120}$"),
        ],
    )
    def test_a_wrong_value_is_refused_by_field(self, field, value, why):
        with pytest.raises(BadMessage, match=why):
            manual.parse({"model": "flights", field: value}, {}, context())

    def test_a_plain_name_is_not_a_request_and_the_error_shows_one(self):
        with pytest.raises(BadMessage, match=re.escape('such as {"model": "flights", "action": "train"')):
            manual.parse("flights", {}, context())


class TestWatermarkTicks:
    def test_a_tick_names_one_model(self):
        specs = watermark_tick.parse({"kind": "watermark", "model": "bikes"}, {}, context())

        assert [spec.name for spec in specs] == ["bikes"]

    def test_a_tick_without_model_means_all_that_ask_for_runs_on_data(self):
        specs = watermark_tick.parse({}, {"kind": "watermark"}, context())

        assert [spec.name for spec in specs] == ["bikes", "flights"]

    def test_models_that_do_not_ask_are_not_looked_at(self):
        assert watermark_tick.parse({"kind": "watermark"}, {}, context(models=untriggered())) == []

    def test_an_unknown_model_is_refused(self):
        with pytest.raises(BadMessage, match="got 'planes'"):
            watermark_tick.parse({"kind": "watermark", "model": "planes"}, {}, context())

    def test_ticks_are_known_by_their_kind(self):
        assert watermark_tick.is_tick({"kind": "watermark"}, {})
        assert watermark_tick.is_tick({}, {"kind": "watermark"})
        assert not watermark_tick.is_tick("watermark", {})


class TestHints:
    @pytest.mark.parametrize(
        ("body", "attributes", "hint"),
        [
            ({}, {}, Hint()),
            ({"kind": "tick"}, {}, Hint()),
            ({}, {"name": "scheduler"}, Hint()),
            ({}, {"kind": "job-ended", "run_id": "r-1"}, Hint("job-ended", "r-1")),
            (
                {"kind": "job-ended", "run_id": "r-1", "job_id": "projects/1/j", "model": "flights"},
                {},
                Hint("job-ended", "r-1", "projects/1/j"),
            ),
            ({"kind": "candidate", "run_id": "r-1"}, {}, Hint("candidate", "r-1")),
            (sample("pipeline_job_event"), {}, Hint("job-ended", job_id="train-flights-20260131")),
            (sample("ml_job_log"), {}, Hint("job-ended", job_id="123456789")),
        ],
        ids=["empty", "tick", "attribute only", "job in attributes", "job", "candidate", "pipeline log", "job log"],
    )
    def test_a_message_becomes_a_hint(self, body, attributes, hint):
        assert hints.parse(body, attributes) == hint

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ("jsonPayload.state", "PIPELINE_STATE_RUNNING"),
            ("jsonPayload.@type", "type.googleapis.com/google.cloud.aiplatform.logging.PipelineJobTaskLogEntry"),
        ],
        ids=["running", "task"],
    )
    def test_a_pipeline_that_has_not_ended_is_ignored(self, path, value):
        assert isinstance(hints.parse(changed("pipeline_job_event", path, value), {}), Ignored)

    def test_a_log_entry_about_no_job_is_ignored(self):
        assert hints.parse({"textPayload": "hello"}, {}) == Ignored("a log entry about no job")

    @pytest.mark.parametrize(
        ("body", "why"),
        [
            ({"kind": "explode"}, "kind: expected one of"),
            ({"model": "flights"}, "kind: expected text, got nothing"),
            ({"kind": "tick", "image": "evil"}, "'image': no such field; allowed are kind, run_id, job_id, model"),
            ({"kind": "job-ended", "run_id": "../x"}, "run_id: expected text like"),
            ({"kind": "job-ended", "job_id": "a b"}, "job_id: expected text like"),
            ("tick", "body: expected a JSON object"),
        ],
    )
    def test_a_wrong_hint_is_refused(self, body, why):
        with pytest.raises(BadMessage, match=why):
            hints.parse(body, {})
