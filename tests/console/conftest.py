"""One installation for each test: a bucket of its own, and topics that the whole module shares."""

import itertools
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
from typer.testing import CliRunner, Result

from console.main import app
from gcp.storage import connect
from gcp.store import GcsStore
from local.servers.pubsub import PubSubServer
from retraining import names
from retraining.intake import direct
from retraining.record import Record
from retraining.records import Run
from retraining.state import put

PROJECT = "test-project"
NUMBERS = itertools.count(1)
TOPICS = ("retrain-requests", "ticks")


@dataclass
class Desk:
    """A person's terminal, and the installation behind it."""

    environ: dict[str, str | None]
    store: GcsStore
    subscriber: SubscriberClient
    runner: CliRunner = field(default_factory=CliRunner)

    def type(self, *words: str, **environ: str | None) -> Result:
        """What a command prints, and how it ends."""
        return self.runner.invoke(app, list(words), env=self.environ | environ)

    def put(self, path: str, record: Record) -> None:
        """A record that was written earlier."""
        put(self.store, direct, "test", path, record, "")

    def put_run(self, run: Run) -> Run:
        """A run's record."""
        self.put(names.run_path(run.run_id), run)
        return run

    def body(self, path: str) -> dict[str, Any]:
        """A record as it is stored now."""
        stored = self.store.read(path)
        assert stored is not None, path
        return dict(json.loads(stored.body))

    def events(self) -> list[dict[str, Any]]:
        """The audit, oldest first."""
        return [self.body(path) for path in self.store.list("events/")]

    def messages(self, topic: str) -> list[dict[str, Any]]:
        """Messages that were published since the test began."""
        path = f"projects/{PROJECT}/subscriptions/{topic}"
        request = {"subscription": path, "max_messages": 10, "return_immediately": True}
        with warnings.catch_warnings(action="ignore"):  # of the flag: waiting for what is not there takes seconds
            answer = self.subscriber.pull(request=request, timeout=10)
        return [json.loads(one.message.data) for one in answer.received_messages]


@pytest.fixture(scope="session")
def pubsub() -> Iterator[str]:
    """The address of a Pub/Sub."""
    with PubSubServer() as server:
        yield server.address


@pytest.fixture
def desk(gcs: str, pubsub: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """An empty installation; nobody has heard any message yet."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub)
    bucket = f"desk-{next(NUMBERS)}"
    connect(PROJECT, gcs).create_bucket(bucket)
    publisher, subscriber = PublisherClient(), SubscriberClient()
    known = {topic.name for topic in publisher.list_topics(project=f"projects/{PROJECT}")}
    for topic in TOPICS:
        path = f"projects/{PROJECT}/topics/{topic}"
        if path not in known:
            publisher.create_topic(name=path)
        subscriber.create_subscription(request={"name": f"projects/{PROJECT}/subscriptions/{topic}", "topic": path})
    environ: dict[str, str | None] = {
        "RETRAIN_PROJECT": PROJECT,
        "RETRAIN_REGION": "us-central1",
        "RETRAIN_STATE_BUCKET": bucket,
        "RETRAIN_ARTIFACT_BUCKET": "artifacts",
        "RETRAIN_DATASET": "retraining",
        "STORAGE_EMULATOR_HOST": gcs,
        "PUBSUB_EMULATOR_HOST": pubsub,
        "COLUMNS": "200",
    }
    yield Desk(environ, GcsStore(connect(PROJECT, gcs), bucket), subscriber)
    for topic in TOPICS:
        subscriber.delete_subscription(subscription=f"projects/{PROJECT}/subscriptions/{topic}")
    subscriber.close()
    publisher.transport.close()
