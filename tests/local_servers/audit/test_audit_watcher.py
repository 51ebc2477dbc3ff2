"""The watcher on a real local BigQuery and the local Pub/Sub, both through the real clients."""

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.api_core.exceptions import NotFound, ServiceUnavailable
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from local.servers.audit import AuditWatcher
from local.servers.pubsub import PubSubServer
from tests.servers import bigquery_server

PROJECT = "local"
NOW = datetime(2013, 5, 1, 6, 0, tzinfo=UTC)
_numbers = itertools.count()


@dataclass
class World:
    """A BigQuery with a table ``data.<name>`` for each test, and a topic with a subscription for it."""

    bigquery_url: str
    pubsub: PubSubServer
    client: bigquery.Client
    publisher: Any
    subscriber: Any
    number: int = field(default_factory=lambda: next(_numbers))

    def __post_init__(self) -> None:
        self.table = f"{PROJECT}.data.t{self.number}"
        self.topic = f"projects/{PROJECT}/topics/audit-{self.number}"
        self.subscription = f"projects/{PROJECT}/subscriptions/audit-{self.number}"
        self.publisher.create_topic(name=self.topic)
        self.subscriber.create_subscription(name=self.subscription, topic=self.topic)
        self.run(f"CREATE TABLE `{self.table}` (a INT64)")

    def run(self, sql: str, **settings: Any) -> bigquery.QueryJob:
        job = self.client.query(sql, job_config=bigquery.QueryJobConfig(**settings))
        job.result()
        return job

    def load(self, rows: int, table: str = "", **settings: Any) -> bigquery.LoadJob:
        config = bigquery.LoadJobConfig(schema=[bigquery.SchemaField("a", "INT64")], **settings)
        content = [{"a": number} for number in range(rows)]
        job = self.client.load_table_from_json(content, table or self.table, job_config=config)
        job.result()
        return job

    def watcher(self, **settings: Any) -> AuditWatcher:
        defaults = {"bigquery_url": self.bigquery_url, "pubsub": self.pubsub.address, "clock": lambda: NOW}
        return AuditWatcher(PROJECT, self.topic, **{**defaults, **settings})

    def entries(self, wait: float = 0.0) -> list[dict[str, Any]]:
        """The log entries published so far; with ``wait``, as soon as there is one."""
        end = time.monotonic() + wait
        while not self.pubsub.undelivered(self.subscription) and time.monotonic() < end:
            time.sleep(0.02)
        if not self.pubsub.undelivered(self.subscription):
            return []
        found = self.subscriber.pull(subscription=self.subscription, max_messages=100).received_messages
        ids = [one.ack_id for one in found]
        self.subscriber.acknowledge(subscription=self.subscription, ack_ids=ids)
        return [json.loads(one.message.data) for one in found]

    def changes(self) -> list[tuple[str, str]]:
        """(table, inserted rows) of each published entry."""
        payloads = [one["protoPayload"] for one in self.entries()]
        return [
            (one["resourceName"].rsplit("/", 1)[1], one["metadata"]["tableDataChange"]["insertedRowsCount"])
            for one in payloads
        ]


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[str, PubSubServer, Any]]:
    with (
        bigquery_server(project=PROJECT) as url,
        PubSubServer() as pubsub,
        grpc.insecure_channel(pubsub.address) as channel,
    ):
        client = _client(url)
        client.create_dataset("data")
        yield url, pubsub, channel
        client.close()


@pytest.fixture
def world(servers: tuple[str, PubSubServer, Any]) -> Iterator[World]:
    url, pubsub, channel = servers
    publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
    subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
    client = _client(url)
    yield World(url, pubsub, client, publisher, subscriber)
    client.close()


def _client(url: str) -> bigquery.Client:
    options = {"api_endpoint": url}
    return bigquery.Client(project=PROJECT, credentials=AnonymousCredentials(), client_options=options)


def test_a_load_publishes_the_entry_of_the_sink(world: World) -> None:
    watcher = world.watcher()
    job = world.load(5)
    published = watcher.look()
    (entry,) = world.entries()
    payload = entry["protoPayload"]
    name = world.table.rsplit(".", 1)[1]

    assert published == 1
    assert payload["metadata"]["tableDataChange"] == {
        "insertedRowsCount": "5",
        "reason": "JOB",
        "jobName": f"projects/{PROJECT}/jobs/{job.job_id}",
    }
    assert payload["metadata"]["@type"] == "type.googleapis.com/google.cloud.audit.BigQueryAuditMetadata"
    assert payload["resourceName"] == f"projects/{PROJECT}/datasets/data/tables/{name}"
    assert payload["methodName"] == "google.cloud.bigquery.v2.JobService.InsertJob"
    assert payload["authenticationInfo"]["principalEmail"] == job.user_email
    assert entry["resource"]["labels"] == {"project_id": PROJECT, "dataset_id": "data"}
    assert entry["logName"] == f"projects/{PROJECT}/logs/cloudaudit.googleapis.com%2Fdata_access"
    assert entry["timestamp"] == "2013-05-01T06:00:00Z"
    assert entry["insertId"]


def test_statements_that_write_rows_are_published(world: World) -> None:
    watcher = world.watcher()
    name = world.table.rsplit(".", 1)[1]
    world.run(f"INSERT INTO `{world.table}` VALUES (1), (2)")
    world.run(f"UPDATE `{world.table}` SET a = 3 WHERE a = 1")
    world.run(f"CREATE TABLE `{world.table}_copy` AS SELECT * FROM `{world.table}`")
    watcher.look()

    assert world.changes() == [(name, "2"), (name, "1"), (f"{name}_copy", "2")]


def test_a_query_that_appends_tells_what_it_added(world: World) -> None:
    world.load(3)
    watcher = world.watcher()
    target = bigquery.TableReference.from_string(f"{world.table}_sum")
    for _ in range(2):
        world.run(f"SELECT a FROM `{world.table}`", destination=target, write_disposition="WRITE_APPEND")
    watcher.look()

    assert [rows for _, rows in world.changes()] == ["3", "3"]


def test_a_table_that_is_gone_again_is_not_published(world: World) -> None:
    watcher = world.watcher()
    world.run(f"CREATE TABLE `{world.table}_gone` AS SELECT 1 AS a")
    world.run(f"DROP TABLE `{world.table}_gone`")
    watcher.look()

    assert world.entries() == []


def test_each_statement_of_a_script_is_published(world: World) -> None:
    watcher = world.watcher()
    name = world.table.rsplit(".", 1)[1]
    world.run(f"BEGIN INSERT INTO `{world.table}` VALUES (1); INSERT INTO `{world.table}` VALUES (2), (3); END")
    watcher.look()

    assert world.changes() == [(name, "1"), (name, "2")]


def test_a_copied_table_is_published(world: World) -> None:
    world.load(4)
    watcher = world.watcher()
    world.client.copy_table(world.table, f"{world.table}_copy").result()
    watcher.look()

    assert [rows for _, rows in world.changes()] == ["4"]


def test_what_adds_no_rows_is_not_published(world: World) -> None:
    world.load(2)
    watcher = world.watcher()
    world.run(f"SELECT * FROM `{world.table}`")
    world.run(f"CREATE TABLE `{world.table}_empty` (a INT64)")
    world.run(f"INSERT INTO `{world.table}` SELECT a FROM `{world.table}` WHERE false")
    world.run(f"DELETE FROM `{world.table}` WHERE true")
    with pytest.raises(NotFound):
        world.run("INSERT INTO `local.data.absent` VALUES (1)")
    watcher.look()

    assert world.entries() == []


def test_streamed_rows_are_not_published(world: World) -> None:
    """BigQuery writes no entry for them either: the watermark tick must find them."""
    watcher = world.watcher()
    world.client.insert_rows_json(world.table, [{"a": 1}])
    watcher.look()

    assert world.entries() == []


def test_the_systems_own_jobs_are_not_published(world: World) -> None:
    watcher = world.watcher()
    world.load(1, labels={"retrain-own": "true"})
    world.run(f"INSERT INTO `{world.table}` VALUES (1)", labels={"retrain-own": "true"})
    world.run(
        f"BEGIN INSERT INTO `{world.table}` VALUES (1); INSERT INTO `{world.table}` VALUES (2); END",
        labels={"retrain-own": "true"},
    )
    world.load(2)
    watcher.look()

    assert [rows for _, rows in world.changes()] == ["2"]


def test_jobs_of_an_excluded_principal_are_not_published(world: World) -> None:
    watcher = world.watcher()
    job = world.load(1)
    excluding = world.watcher(exclude=[job.user_email])

    assert (watcher.look(), excluding.look()) == (1, 0)


def test_each_change_is_published_once(world: World) -> None:
    watcher = world.watcher()
    counts = []
    for rows in (1, 2):
        world.load(rows)
        counts += [watcher.look(), watcher.look()]

    assert counts == [1, 0, 1, 0]


def test_a_restart_goes_on_where_it_stopped(world: World, tmp_path: Path) -> None:
    with world.watcher(state=tmp_path, every=0.05):
        world.load(1)
        before = world.entries(wait=5)
    world.load(2)
    with world.watcher(state=tmp_path, every=0.05):
        after = world.entries(wait=5)

    rows = [one["protoPayload"]["metadata"]["tableDataChange"]["insertedRowsCount"] for one in before + after]
    assert rows == ["1", "2"]


def test_a_failed_publish_loses_nothing(world: World) -> None:
    watcher = world.watcher()
    world.load(7)
    world.pubsub.fail_next("Publish")
    with pytest.raises(ServiceUnavailable):
        watcher.look()

    assert watcher.look() == 1
    assert [rows for _, rows in world.changes()] == ["7"]


def test_the_watcher_outlives_an_outage(world: World) -> None:
    world.pubsub.fail_next("Publish", 3)
    with world.watcher(every=0.05):
        world.load(1)
        found = world.entries(wait=5)

    assert len(found) == 1


def test_the_process_watches_and_stops_on_sigterm(world: World, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "local.servers.audit", "--project", PROJECT, "--topic", world.topic]
    command += ["--bigquery", world.bigquery_url, "--pubsub", world.pubsub.address, "--state", str(tmp_path)]
    with subprocess.Popen([*command, "--every", "0.1"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        world.load(1)
        found = world.entries(wait=5)
        process.terminate()
        code = process.wait(timeout=10)

    assert ready == {"topic": world.topic}
    assert (len(found), code) == (1, 0)
