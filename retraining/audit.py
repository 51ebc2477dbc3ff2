"""The audit: one create-only entry for every decision, effect and action of a person."""

import secrets
from datetime import datetime

from retraining import migrations, names
from retraining.errors import RetrainingError
from retraining.ports import Store
from retraining.record import Record


class AuditEvent(Record):
    """Something that happened to a model: what, why, and to which run."""

    format = migrations.AUDIT_EVENT

    at: datetime
    what: str
    model: str
    run_id: str = ""
    details: dict[str, str] = {}


def record_event(store: Store, at: datetime, what: str, model: str, run_id: str = "", **details: str) -> None:
    """Write one entry. A failure to write is not a reason to stop: the records themselves hold the truth."""
    event = AuditEvent(at=at, what=what, model=model, run_id=run_id, details=details)
    try:
        store.create(names.event_path(at, secrets.token_hex(4)), event.to_json())
    except RetrainingError as error:
        print(f'{{"severity": "ERROR", "message": "audit entry lost: {what} {model}: {type(error).__name__}"}}')
