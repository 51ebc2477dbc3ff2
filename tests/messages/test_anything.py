"""No payload of any shape makes a parser raise anything but BadMessage."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retraining.errors import BadMessage
from retraining.messages import (
    anomaly,
    audit_log,
    drift_incident,
    hints,
    manual,
    monitoring_incident,
    schedule,
    transfer_run,
    watermark_tick,
)
from retraining.messages.context import Ignored
from retraining.triggers import Trigger
from tests.messages.samples import context, sample

PARSERS: dict[str, tuple[Callable[..., Any], str]] = {
    "audit_log": (audit_log.parse, "audit_table_change"),
    "job_change": (audit_log.parse, "audit_job_change"),
    "job_completed": (audit_log.parse, "audit_legacy_load"),
    "transfer_run": (transfer_run.parse, "transfer_to_table"),
    "monitoring_incident": (monitoring_incident.parse, "incident_open"),
    "anomaly": (anomaly.parse, "anomaly_v1"),
    "alert": (anomaly.parse, "anomaly_v2_alert"),
    "drift_incident": (drift_incident.parse, "drift_incident"),
    "schedule": (schedule.parse, "drift_incident"),
    "manual": (manual.parse, "drift_incident"),
    "hints": (lambda payload, attributes, context: hints.parse(payload, attributes), "pipeline_job_event"),
    "watermark_tick": (watermark_tick.parse, "drift_incident"),
}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
LEAF = st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.floats(allow_nan=False) | TEXT
VALUES = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)
FIELDS = ("model", "schedule", "action", "kind", "force", "reason", "request_id", "run_id", "job_id", "actor")


def paths(value: object, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The path of everything inside an object."""
    if not isinstance(value, dict):
        return [above]
    return [above, *(path for key, inner in value.items() for path in paths(inner, (*above, key)))]


def put(payload: Any, path: tuple[str, ...], value: object) -> Any:
    if not path:
        return value
    return {**payload, path[0]: put(payload[path[0]], path[1:], value)}


def accepts(parse: Callable[..., Any], payload: object, attributes: dict[str, str]) -> None:
    try:
        found = parse(payload, attributes, context(serves=lambda deployed_id: "flights"))
    except BadMessage as error:
        found = Ignored(str(error))
        assert found.reason.isprintable()
        assert len(found.reason) < 700
    for trigger in found if isinstance(found, list) else []:
        if isinstance(trigger, Trigger):
            assert Trigger.from_json(trigger.to_json()) == trigger
    assert found is not None
    assert isinstance(found, list | Ignored | hints.Hint)


@pytest.mark.parametrize("name", PARSERS)
@given(payload=VALUES, attributes=st.dictionaries(TEXT, TEXT, max_size=3))
@settings(max_examples=60, deadline=None)
def test_any_value_is_parsed_or_refused(name, payload, attributes):
    accepts(PARSERS[name][0], payload, attributes)


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_value_at_any_place_of_a_real_payload_is_parsed_or_refused(name, data):
    parse, real = PARSERS[name]
    payload = sample(real)
    place = data.draw(st.sampled_from(paths(payload)))
    accepts(parse, put(payload, place, data.draw(VALUES)), {})


@pytest.mark.parametrize("name", ["schedule", "manual", "hints", "watermark_tick"])
@given(body=st.dictionaries(st.sampled_from(FIELDS), LEAF | st.sampled_from(["flights", "tune", "true"])))
@settings(max_examples=150, deadline=None)
def test_any_value_in_the_fields_of_a_small_message_is_parsed_or_refused(name, body):
    accepts(PARSERS[name][0], body, {})


def test_the_samples_are_json_objects_below_the_size_limit():
    assert all(len(json.dumps(sample(real))) < 64 * 1024 for _, real in PARSERS.values())
