"""Events as they reach a function, and a world in memory for them to reach."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from functions.envelope import Event
from functions.world import World
from local.memory.store import MemoryStore
from local.memory.warehouse import MemoryWarehouse
from retraining.errors import Temporary
from retraining.intake import Intake
from retraining.messages.hints import Hint
from retraining.ports import Store
from retraining.settings import Settings
from tests.messages.samples import MODELS, PROJECT

NOW = datetime(2026, 1, 31, 3, 1, tzinfo=UTC)
PUBLISHED = "2026-01-31T03:00:42.109Z"
PUBSUB = "google.cloud.pubsub.topic.v1.messagePublished"
AUDIT = "google.cloud.audit.log.v1.written"
SETTINGS = Settings(
    project=PROJECT,
    region="us-central1",
    state_bucket="state",
    artifact_bucket="artifacts",
    dataset="retraining",
    own_principals=f"trainer@{PROJECT}.iam.gserviceaccount.com",
)


def encoded(body: object) -> str:
    """``body`` as Pub/Sub carries it: bytes as they are, text in UTF-8, anything else as JSON."""
    if isinstance(body, bytes):
        return base64.b64encode(body).decode()
    return base64.b64encode((body if isinstance(body, str) else json.dumps(body)).encode()).decode()


def published(body: object = None, **more: Any) -> dict[str, Any]:
    """The data of a message that Pub/Sub delivers; ``more`` adds fields to the message, ``...`` takes one away."""
    message: dict[str, Any] = {"messageId": "m-1", "publishTime": PUBLISHED, "attributes": {}}
    if body is not None:
        message["data"] = encoded(body)
    message = {key: value for key, value in {**message, **more}.items() if value is not ...}
    return {"message": message, "subscription": "projects/shop-prod/subscriptions/s"}


def event(data: object, **more: Any) -> Event:
    """An event around ``data``; ``more`` are its other fields."""
    return Event(data, **{"id": "e-1", "time": "2026-01-31T03:00:43Z", **more})


@dataclass
class Place:
    """A world in memory, and what happened in it."""

    store: Store = field(default_factory=MemoryStore)
    warehouse: MemoryWarehouse = field(default_factory=MemoryWarehouse)
    ticks: list[tuple[str, Hint]] = field(default_factory=list)
    warehouses_built: int = 0

    @property
    def world(self) -> World:
        """The world that entry points are given."""
        return World(
            settings=SETTINGS,
            intake=Intake(MODELS, self.store, lambda: NOW),
            warehouse=self._warehouse,
            run_tick=self._note("run"),
            candidate_tick=self._note("candidate"),
            monitor_tick=self._note("monitor"),
        )

    def _warehouse(self) -> MemoryWarehouse:
        self.warehouses_built += 1
        return self.warehouse

    def _note(self, name: str) -> Callable[[Hint], None]:
        return lambda hint: self.ticks.append((name, hint))

    def records(self, prefix: str) -> list[dict[str, Any]]:
        """The records below ``prefix``, oldest path first."""
        found = [self.store.read(path) for path in self.store.list(prefix)]
        return [json.loads(stored.body) for stored in found if stored is not None]


class BrokenStore(MemoryStore):
    """A store that cannot write below some prefixes."""

    def __init__(self, *prefixes: str, error: Exception | None = None) -> None:
        super().__init__()
        self._prefixes = prefixes
        self._error = error or Temporary("the store does not answer")

    def create(self, path: str, body: str) -> str:
        if path.startswith(self._prefixes):
            raise self._error
        return super().create(path, body)
