"""Records in memory that note every write and fail when they are told, and what a right record looks like."""

import json
from datetime import UTC, datetime, timedelta

from functions.world import World
from local.memory.store import MemoryStore
from local.memory.warehouse import MemoryWarehouse
from retraining import names
from retraining.audit import AuditEvent
from retraining.errors import RetrainingError, Temporary
from retraining.intake import Intake, Parked
from retraining.messages.hints import Hint
from retraining.modelfile import MAX_BYTES
from tests.functions.events import SETTINGS
from tests.messages.samples import MODELS

NOW = datetime(2026, 1, 31, 3, 1, tzinfo=UTC)
INTAKE = ("inbox/", "quarantine/", "events/")


class Witness(MemoryStore):
    """A store that remembers what was written since ``forget``, and fails at the write that it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.forget()

    def forget(self, fails_at: int = 0) -> None:
        """Begin anew; the write of this number, counted from one, fails."""
        self.created: list[tuple[str, str]] = []
        self.changed: list[str] = []  # replaced or deleted: intake may do neither
        self.fails_at = fails_at
        self.failed = ""  # path of the write that failed

    def create(self, path: str, body: str) -> str:
        """See Store."""
        self.fails_at -= 1
        if self.fails_at == 0:
            self.failed = path
            raise Temporary("the store does not answer")
        version = super().create(path, body)
        self.created.append((path, body))
        return version

    def replace(self, path: str, body: str, version: str) -> str:
        """See Store."""
        self.changed.append(f"replace {path}")
        return super().replace(path, body, version)

    def delete(self, path: str) -> None:
        """See Store."""
        self.changed.append(f"delete {path}")
        super().delete(path)


class Place:
    """A world whose ticks only count: what a tick writes is no part of taking in a message."""

    def __init__(self) -> None:
        self.store = Witness()
        self.warehouse = MemoryWarehouse()
        self.warehouse.labelled["flights"] = [NOW - timedelta(days=2)] * 5000
        self.ticks = 0

    def clear(self) -> None:
        """Forget all records, so that a million messages do not need a million records."""
        self.store = Witness()

    def world(self) -> World:
        """What the entry points are given."""
        return World(
            settings=SETTINGS,
            intake=Intake(MODELS, self.store, lambda: NOW),
            warehouse=lambda: self.warehouse,
            run_tick=self._tick,
            candidate_tick=self._tick,
            monitor_tick=self._tick,
        )

    def _tick(self, hint: Hint) -> None:
        self.ticks += 1


PLACE = Place()


def wrong(path: str, body: str) -> str:
    """What is wrong with a record that intake wrote; empty when nothing is."""
    if not path.startswith(INTAKE):
        return f"{path} is none of intake's records"
    if len(body.encode()) > MAX_BYTES:
        return f"{path} has {len(body.encode())} bytes"
    try:
        if path.startswith("inbox/"):
            trigger = Parked.from_json(body).trigger
            if trigger.model not in MODELS or path != names.inbox_path(trigger.model, trigger.key):
                return f"{path} holds {trigger.model} {trigger.key!r}"
            told = (trigger.key, trigger.reason, *trigger.details, *trigger.details.values())
        elif path.startswith("events/"):
            event = AuditEvent.from_json(body)
            told = (event.what, event.model, event.details.get("reason", ""))
        else:
            told = (json.loads(body)["entry"],)
    except (RetrainingError, ValueError, KeyError, TypeError) as error:
        return f"{path}: {type(error).__name__}: {error}"
    return next((f"{path}: not printable: {text!r:.200}" for text in told if not text.isprintable()), "")
