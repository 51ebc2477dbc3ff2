"""The whole stack with its real servers, started once: what it holds, and that it is one machine's own."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import requests
from google.cloud import scheduler_v1
from google.cloud.storage import Client as StorageClient
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from typer.testing import CliRunner

from console.main import app
from gcp.bigquery import connect as connect_bigquery
from gcp.storage import connect as connect_storage
from local.stack.layout import MARKER
from local.stack.options import Options
from local.stack.resources import ROOT
from local.stack.stack import Stack
from local.stack.status import Phase
from local.stack.strays import strays
from tests.stack.supervising import until

PROJECT = "projects/local-project"
REGION = f"{PROJECT}/locations/us-central1"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="stack-") as folder:
        options = Options(clock="2013-03-01T12:01:00Z*1", crons={"monitor": "30 * * * *"})
        with Stack(Path(folder), options) as one:
            yield one
        assert strays(MARKER, str(one.root)) == []


@pytest.fixture
def publisher(stack: Stack) -> Iterator[PublisherClient]:
    with grpc.insecure_channel(stack.addresses["pubsub"]) as channel:
        yield PublisherClient(transport=PublisherGrpcTransport(channel=channel))


@pytest.fixture
def subscriber(stack: Stack) -> Iterator[SubscriberClient]:
    with grpc.insecure_channel(stack.addresses["pubsub"]) as channel:
        yield SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))


@pytest.fixture
def storage(stack: Stack) -> StorageClient:
    return connect_storage("local-project", stack.env["STORAGE_EMULATOR_HOST"])


def _jobs(stack: Stack) -> dict[str, scheduler_v1.Job]:
    kind = scheduler_v1.CloudSchedulerClient.get_transport_class("grpc")
    with grpc.insecure_channel(stack.addresses["scheduler"]) as channel:
        client = scheduler_v1.CloudSchedulerClient(transport=kind(channel=channel))
        return {job.name.rpartition("/")[2]: job for job in client.list_jobs(parent=REGION)}


def _endpoints(stack: Stack) -> dict[str, dict[str, object]]:
    url = f"{stack.env['RETRAIN_VERTEX_REST']}/v1/{REGION}/endpoints"
    return {one["displayName"]: one for one in requests.get(url, timeout=10).json()["endpoints"]}


def test_every_server_serves_and_every_task_is_done(stack: Stack) -> None:
    phases = {name: server.phase for name, server in stack.status.servers.items()}

    assert {name for name, phase in phases.items() if phase is Phase.DONE} == {"provision", "endpoints"}
    assert set(phases.values()) == {Phase.READY, Phase.DONE}


def test_nothing_listens_beyond_this_machine(stack: Stack) -> None:
    mine = {inode for pid in strays(MARKER, str(stack.root)) for inode in _sockets(pid)}
    rows = [
        row.split() for name in ("tcp", "tcp6") for row in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    listening = [row[1].partition(":")[0] for row in rows if row[3] == "0A" and row[9] in mine]

    assert len(listening) >= 8
    assert set(listening) <= {"0100007F", "0000000000000000FFFF00000100007F"}  # 127.0.0.1, also as IPv6 writes it


def _sockets(pid: int) -> set[str]:
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            match = re.fullmatch(r"socket:\[(\d+)\]", str(link.readlink()))
        except FileNotFoundError:
            continue
        found |= {match[1]} if match else set()
    return found


def test_every_function_has_its_topic(stack: Stack, subscriber: SubscriberClient) -> None:
    pushed = {
        (one.topic.rpartition("/")[2], one.push_config.push_endpoint.rpartition("/")[2])
        for one in subscriber.list_subscriptions(project=PROJECT)
        if one.push_config.push_endpoint.startswith(stack.env["RETRAIN_FUNCTIONS"])
    }

    assert pushed == {
        ("data-changes", "on_data"),
        ("drift", "on_drift"),
        ("schedules", "on_schedule"),
        ("retrain-requests", "on_manual"),
        ("monitor-ticks", "on_monitor"),
        ("ticks", "on_tick"),
        ("candidates", "on_candidate"),
        ("ticks", "on_candidate"),
    }


def test_what_cannot_be_delivered_is_kept(subscriber: SubscriberClient) -> None:
    kept = subscriber.get_subscription(subscription=f"{PROJECT}/subscriptions/dead-letters-kept")
    tick = subscriber.get_subscription(subscription=f"{PROJECT}/subscriptions/on-tick")

    assert tick.dead_letter_policy.dead_letter_topic == kept.topic == f"{PROJECT}/topics/dead-letters"
    assert not kept.push_config.push_endpoint


def test_scheduler_drives_every_model(stack: Stack) -> None:
    jobs = _jobs(stack)

    assert set(jobs) >= {"tick", "monitor", "watermark-flights", "watermark-bikes", "schedule-flights"}
    assert jobs["schedule-flights"].pubsub_target.topic_name == f"{PROJECT}/topics/schedules"


def test_another_cron_is_in_force(stack: Stack) -> None:
    assert _jobs(stack)["monitor"].schedule == "30 * * * *"


def test_the_source_table_is_typed_by_the_model_file(stack: Stack) -> None:
    client = connect_bigquery("local-project", stack.env["BIGQUERY_EMULATOR_HOST"])
    table = client.get_table("local-project.flights.history")
    types = {column.name: column.field_type for column in table.schema}

    assert types["departure"] == "TIMESTAMP"
    assert types["flight_id"] == types["carrier"] == "STRING"
    assert (types["dep_delay"], types["is_weekend"], types["ontime"]) == ("FLOAT", "BOOLEAN", "INTEGER")
    assert table.time_partitioning.field == "departure"


def test_the_systems_own_tables_are_there(stack: Stack) -> None:
    client = connect_bigquery("local-project", stack.env["BIGQUERY_EMULATOR_HOST"])
    names = {table.table_id for table in client.list_tables("local-project.retraining")}

    assert names >= {"drift_counts", "drift_baseline", "flights_requests", "bikes_requests"}


def test_every_model_has_an_endpoint_that_logs(stack: Stack) -> None:
    logging = _endpoints(stack)["flights"]["predictRequestResponseLoggingConfig"]

    assert logging == {
        "enabled": True,
        "samplingRate": 1.0,
        "bigqueryDestination": {"outputUri": "bq://local-project.retraining.flights_requests"},
    }


def test_creating_everything_again_changes_nothing(stack: Stack, subscriber: SubscriberClient) -> None:
    def everything() -> tuple[object, ...]:
        subscriptions = [str(one) for one in subscriber.list_subscriptions(project=PROJECT)]
        return _endpoints(stack), subscriptions, {name: job.schedule for name, job in _jobs(stack).items()}

    before = everything()
    for module in ("local.stack.provision", "local.stack.endpoints"):
        command = [sys.executable, "-m", module] + ["--cron", "monitor=30 * * * *"] * module.endswith("provision")
        subprocess.run(command, env={**os.environ, **stack.env}, cwd=ROOT, check=True, timeout=60)

    assert everything() == before


def test_a_published_request_becomes_a_record_of_the_stacks_own_day(
    publisher: PublisherClient, storage: StorageClient
) -> None:
    message = {"data": b'{"model": "flights", "requested_by": "test"}'}
    publisher.publish(topic=f"{PROJECT}/topics/retrain-requests", messages=[message])

    def days() -> set[str]:
        return {blob.name.split("/")[1] for blob in storage.list_blobs("retrain-state", prefix="events/")}

    until(days)
    assert days() == {"2013-03-01"}


def test_a_killed_server_comes_back_with_what_it_held(stack: Stack, subscriber: SubscriberClient) -> None:
    server = stack.status.servers["pubsub"]
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: stack.status.servers["pubsub"].restarts == 1)
    until(lambda: stack.status.servers["pubsub"].phase is Phase.READY)

    assert stack.status.servers["pubsub"].addresses == server.addresses
    names = {one.name for one in subscriber.list_subscriptions(project=PROJECT, timeout=10)}
    assert f"{PROJECT}/subscriptions/on-tick" in names


def test_a_second_start_says_where_it_runs(stack: Stack) -> None:
    answer = CliRunner().invoke(app, ["local", "up", "--state", str(stack.root)])

    assert answer.exit_code == 0
    assert "runs already" in answer.output
    assert f"pubsub={stack.addresses['pubsub']}" in answer.output


def test_the_printed_variables_lead_to_the_stack(stack: Stack) -> None:
    answer = CliRunner().invoke(app, ["local", "env", "--state", str(stack.root)])

    assert f"export BIGQUERY_EMULATOR_HOST={stack.env['BIGQUERY_EMULATOR_HOST']}\n" in answer.output
    assert MARKER not in answer.output


def test_each_server_has_its_log(stack: Stack) -> None:
    answer = CliRunner().invoke(app, ["local", "logs", "storage", "--state", str(stack.root)])

    assert stack.addresses["storage"] in answer.output
