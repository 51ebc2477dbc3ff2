"""A running stack is sound; whatever is broken in it, through its own services, is found with what mends it."""

import io
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
import requests
from google.cloud import bigquery, pubsub_v1, scheduler_v1
from typer.testing import CliRunner

from console.doctor.command import examine
from console.doctor.finding import Finding, Report
from console.main import app
from gcp.bigquery import connect
from gcp.installation import Installation
from gcp.storage import connect as connect_storage
from local.stack import messaging
from local.stack.endpoints import create_endpoints
from local.stack.options import Options
from local.stack.provision import create_tables
from local.stack.resources import load_resources
from local.stack.stack import Stack
from retraining.modelfile import load_models

MODELS = Path(__file__).parents[1] / "e2e" / "models"
SPECS = load_models(MODELS)
RESOURCES = load_resources()
REMOTE = {"clock", "APIs", "caller", "functions", "image", "accounts", "roles", "permissions", "sinks", "metrics"}
REMOTE |= {"alarms", "quotas"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything on this machine, with one small model whose table has rows, and its addresses set."""
    before = dict(os.environ)
    with Stack(tmp_path_factory.mktemp("stack"), Options(models=str(MODELS)), fresh=True) as running:
        os.environ.update(running.env)
        put_rows(connect(running.settings.project))
        yield running
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def bq(stack: Stack) -> bigquery.Client:
    """The stack's BigQuery."""
    return connect(stack.settings.project)


def put_rows(client: bigquery.Client, late_hours: float = 0.0) -> None:
    """A row for each of the last 1200 quarter hours; those younger than ``late_hours`` have no label."""
    now = datetime.now(UTC)
    age = [timedelta(minutes=15 * number) for number in range(1, 1200)]
    frame = pd.DataFrame(
        {
            "row_id": [f"r{number}" for number in range(len(age))],
            "at": pd.Series([now - one for one in age]).astype("datetime64[us, UTC]"),
            "hit": pd.array([None if one < timedelta(hours=late_hours) else 1 for one in age], dtype="Int64"),
            "x": 0.5,
            "y": 0.5,
            "colour": "red",
        }
    )
    client.query("DELETE FROM tiny.rows WHERE TRUE").result()
    body = io.BytesIO()
    frame.to_parquet(body, index=False)
    body.seek(0)
    config = bigquery.LoadJobConfig(source_format="PARQUET", write_disposition="WRITE_APPEND")
    client.load_table_from_file(body, f"{client.project}.tiny.rows", job_config=config).result()


def found(check: str, environ: dict[str, str] | None = None) -> list[Finding]:
    """Findings of one check, which must have been done."""
    report = examine(dict(os.environ) if environ is None else environ)
    assert check in report.looked
    return [one for one in report.findings if one.check == check]


def scheduler(stack: Stack) -> scheduler_v1.CloudSchedulerClient:
    """A client of the stack's Cloud Scheduler."""
    import grpc

    transport = scheduler_v1.CloudSchedulerClient.get_transport_class("grpc")
    channel = grpc.insecure_channel(stack.env["RETRAIN_SCHEDULER_API"])
    return scheduler_v1.CloudSchedulerClient(transport=transport(channel=channel))


def job_name(stack: Stack, name: str) -> str:
    """A job's full name."""
    return f"projects/{stack.settings.project}/locations/{stack.settings.region}/jobs/{name}"


def put_back_messages(stack: Stack) -> None:
    """What provisioning does for topics, subscriptions and jobs."""
    settings = stack.settings
    messaging.create_topics(settings.project, RESOURCES)
    messaging.create_subscriptions(settings.project, RESOURCES, stack.env["RETRAIN_FUNCTIONS"])
    jobs = RESOURCES.all_jobs(SPECS)
    messaging.create_jobs(settings.project, settings.region, jobs, stack.env["RETRAIN_SCHEDULER_API"])


def run(command: str) -> None:
    """Do what a finding says."""
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def test_a_fresh_stack_is_sound(stack: Stack) -> None:
    """And everything that this machine has was looked at."""
    report = examine(dict(os.environ), probe=True)

    assert report.findings == ()
    assert {one.check for one in report.skipped} == REMOTE
    assert report.code == 0


def test_the_command_ends_with_0_and_prints_json(stack: Stack) -> None:
    """For programs."""
    result = CliRunner().invoke(app, ["doctor", "--json"])

    assert (result.exit_code, json.loads(result.stdout)["clean"]) == (0, True)


def test_a_missing_subscription_is_found(stack: Stack) -> None:
    """With the function that hears nothing, and exit code 1."""
    with pubsub_v1.SubscriberClient() as client:
        client.delete_subscription(subscription=f"projects/{stack.settings.project}/subscriptions/on-drift")
    result = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "200"})
    (one,) = found("subscriptions")
    put_back_messages(stack)

    assert one.what.startswith("subscription on-drift: expected it to exist; on_drift hears nothing of drift")
    assert one.mend.startswith("retrain local down && retrain local up --models ")
    assert result.exit_code == 1
    assert one.mend in result.stdout
    assert found("subscriptions") == []


def test_a_subscription_that_calls_another_address_is_found(stack: Stack) -> None:
    """And one without patience."""
    name = f"projects/{stack.settings.project}/subscriptions/on-tick"
    with pubsub_v1.SubscriberClient() as client:
        client.modify_push_config(subscription=name, push_config={"push_endpoint": "http://127.0.0.1:9/on_tick"})
        client.update_subscription(
            subscription={"name": name, "ack_deadline_seconds": 10}, update_mask={"paths": ["ack_deadline_seconds"]}
        )
    findings = found("subscriptions")
    put_back_messages(stack)

    assert [one.what.split(",")[0] for one in findings] == [
        f"subscription on-tick: address: expected {stack.env['RETRAIN_FUNCTIONS']}/on_tick",
        "subscription on-tick: time to acknowledge: expected 540",
    ]


def test_a_missing_topic_is_found(stack: Stack) -> None:
    """Before somebody publishes to it."""
    with pubsub_v1.PublisherClient() as client:
        client.delete_topic(topic=f"projects/{stack.settings.project}/topics/schedules")
    (one,) = found("topics")
    put_back_messages(stack)
    with pubsub_v1.SubscriberClient() as subscriber:
        # It still points to the topic that was deleted.
        subscriber.delete_subscription(subscription=f"projects/{stack.settings.project}/subscriptions/on-schedule")
    put_back_messages(stack)

    assert one.what == "topic schedules: expected it to exist; what is published to it is lost"
    assert found("topics") == []
    assert found("subscriptions") == []


def test_dead_letters_are_found_and_stay(stack: Stack) -> None:
    """Looking takes nothing away."""
    topic = f"projects/{stack.settings.project}/topics/dead-letters"
    with pubsub_v1.PublisherClient() as client:
        client.publish(topic, b"nobody could read this").result()
    first, second = found("dead letters"), found("dead letters")
    name = f"projects/{stack.settings.project}/subscriptions/dead-letters-kept"
    with pubsub_v1.SubscriberClient() as subscriber:
        pulled = subscriber.pull(subscription=name, max_messages=10, timeout=10)
        ids = [one.ack_id for one in pulled.received_messages]
        subscriber.acknowledge(subscription=name, ack_ids=ids)

    assert first == second
    assert first[0].mend == "retrain local logs functions"
    assert "got 1 messages or more that no function took" in first[0].what
    assert found("dead letters") == []


def test_a_changed_cron_is_found(stack: Stack) -> None:
    """With both times."""
    client, name = scheduler(stack), job_name(stack, "tick")
    job = client.get_job(name=name)
    job.schedule = "0 0 1 1 *"
    client.update_job(job=job)
    (one,) = found("jobs")
    put_back_messages(stack)

    assert one.what == "Scheduler job tick: cron: expected */5 * * * *, got 0 0 1 1 *"
    assert found("jobs") == []


def test_a_paused_job_is_found_and_its_mend_resumes_it(stack: Stack) -> None:
    """The command that is printed does it."""
    scheduler(stack).pause_job(name=job_name(stack, "watermark-tiny"))
    (one,) = found("jobs")
    run(one.mend)

    assert one.what == "Scheduler job watermark-tiny: expected it to run, it is paused"
    assert found("jobs") == []


def test_a_job_of_a_model_that_is_gone_is_found(stack: Stack) -> None:
    """It would ask for runs of nothing, every hour."""
    client = scheduler(stack)
    job = client.get_job(name=job_name(stack, "watermark-tiny"))
    job.name = job_name(stack, "watermark-gone")
    client.create_job(parent=job.name.rpartition("/jobs/")[0], job=job)
    (one,) = found("jobs")
    put_back_messages(stack)

    assert (one.severity, one.what) == (
        "warning",
        "Scheduler job watermark-gone: expected none, there is no such model",
    )
    assert found("jobs") == []


def test_a_missing_table_is_found(stack: Stack, bq: bigquery.Client) -> None:
    """By its name in the dataset."""
    bq.delete_table(f"{bq.project}.retraining.drift_counts")
    (one,) = found("tables")
    create_tables(stack.settings, SPECS)

    assert one.what == "table retraining.drift_counts: expected it to exist"
    assert one.mend.startswith("retrain local down && retrain local up")
    assert found("tables") == []


def test_a_missing_column_is_found(stack: Stack, bq: bigquery.Client) -> None:
    """With the type it must have."""
    bq.query("ALTER TABLE retraining.tiny_requests DROP COLUMN request_id").result()
    (one,) = found("tables")
    bq.delete_table(f"{bq.project}.retraining.tiny_requests")
    create_tables(stack.settings, SPECS)

    assert one.what == "table retraining.tiny_requests: column request_id: expected NUMERIC NULLABLE, got none"
    assert one.mend == "retrain local down && retrain local up --fresh"
    assert found("tables") == []


def test_a_source_table_without_a_feature_is_found(stack: Stack, bq: bigquery.Client) -> None:
    """And one whose label has a type that does not fit the task."""
    kinds = "row_id STRING, at TIMESTAMP, hit STRING, x FLOAT64, colour STRING"
    bq.delete_table(f"{bq.project}.tiny.rows")
    bq.query(f"CREATE TABLE tiny.rows ({kinds}) PARTITION BY DATE(at)").result()
    findings = found("sources")
    bq.delete_table(f"{bq.project}.tiny.rows")
    create_tables(stack.settings, SPECS)
    put_rows(bq)

    assert [one.what for one in findings] == [
        "model tiny: table tiny.rows: column hit: expected BOOLEAN or INTEGER, got STRING",
        "model tiny: table tiny.rows: column y: expected BIGNUMERIC or FLOAT or INTEGER or NUMERIC, got none",
    ]
    assert found("sources") == []


def test_labels_that_come_later_than_the_file_says_are_found(stack: Stack, bq: bigquery.Client) -> None:
    """With the delay that the rows show: here a day and a half."""
    put_rows(bq, late_hours=36)
    (one,) = found("labels")
    put_rows(bq)

    assert one.what.startswith(
        "model tiny: table tiny.rows: labels of rows older than label_delay (1h): expected 80%, got 0%"
    )
    assert "label_delay: 37h/' models/tiny.yaml" in one.mend
    assert found("labels") == []


def test_a_feed_that_has_ended_is_found_and_its_mend_shows_the_rows(stack: Stack, bq: bigquery.Client) -> None:
    """The newest row is older than the model's checks allow."""
    bq.query("DELETE FROM tiny.rows WHERE at > TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 5 DAY)").result()
    one, few = found("labels")
    shown = subprocess.run(["bash", "-c", one.mend], capture_output=True, text=True, env=dict(os.environ))
    put_rows(bq)

    assert one.what == "model tiny: table tiny.rows: newest row: expected at most 3d old, got 5d"
    assert few.what.startswith("model tiny: table tiny.rows: labelled rows of 60d: expected 1000 for a run, got ")
    assert json.loads(shown.stdout)["totalRows"] != "0"


def test_an_endpoint_that_logs_nothing_is_found_and_its_mend_switches_it_on(stack: Stack) -> None:
    """Drift and rollouts would be blind. A missing endpoint is found, too."""
    endpoint = Installation(stack.settings).endpoints()[0]
    url = f"{stack.env['RETRAIN_VERTEX_REST']}/v1/{endpoint.name}"
    off = {"predictRequestResponseLoggingConfig": {"enabled": False}}
    mask = {"updateMask": "predictRequestResponseLoggingConfig"}
    requests.patch(url, params=mask, json=off, timeout=10).raise_for_status()
    (one,) = found("endpoints")
    run(one.mend)
    mended = found("endpoints")
    requests.delete(url, timeout=10).raise_for_status()
    gone = found("endpoints")
    create_endpoints(stack.settings, SPECS, stack.env["RETRAIN_VERTEX_REST"])

    assert "got no log: drift and rollouts see nothing" in one.what
    assert mended == []
    assert [one.what for one in gone] == ["endpoint tiny: expected it to exist in us-central1"]
    assert found("endpoints") == []


def test_settings_of_another_region_are_found(stack: Stack) -> None:
    """By where the buckets are; the mend sets this shell right."""
    findings = found("buckets", {**os.environ, "RETRAIN_REGION": "europe-west1"})

    assert [one.what for one in findings] == [
        "bucket retrain-state: expected it in europe-west1, got us-central1",
        "bucket retrain-artifacts: expected it in europe-west1, got us-central1",
    ]
    assert {one.mend for one in findings} == {'eval "$(retrain local env)"'}


def test_a_missing_bucket_is_found(stack: Stack) -> None:
    """By its name."""
    (one,) = found("buckets", {**os.environ, "RETRAIN_ARTIFACT_BUCKET": "other-bucket"})

    assert one.what == "bucket other-bucket: expected it to exist"


def test_the_probe_leaves_nothing(stack: Stack) -> None:
    """And says so when the bucket cannot be written to."""
    examine(dict(os.environ), probe=True)
    left = list(connect_storage(stack.settings.project).list_blobs("retrain-state", prefix="doctor/"))
    blind = examine({**os.environ, "RETRAIN_ARTIFACT_BUCKET": "other-bucket"}, probe=True)

    assert left == []
    assert "other-bucket" in next(one.why for one in blind.skipped if one.check == "probe")


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"RETRAIN_DRIFT_TOPIC": "drifts"}, "settings"),
        ({"RETRAIN_REGION": "nowhere"}, "settings"),
        ({"RETRAIN_MODELS": "no/such/folder"}, "models"),
    ],
)
def test_unusable_settings_are_a_finding(stack: Stack, change: dict[str, str], check: str) -> None:
    """Not a traceback."""
    report: Report = examine({**os.environ, **change})

    assert report.code == 1
    assert check in {one.check for one in report.findings}


def test_a_stack_that_is_gone_ends_with_2(stack: Stack, tmp_path: Path, unreachable: Callable[[], None]) -> None:
    """Nothing could be looked at, which is not the same as nothing is wrong."""
    unreachable()
    result = CliRunner().invoke(app, ["doctor", "--json"])

    assert result.exit_code == 2
    assert json.loads(result.stdout)["looked"] == ["settings"]


@pytest.fixture
def unreachable() -> Iterator[Callable[[], None]]:
    """Call it to point every address at a port where nobody listens; undone at the end."""
    before = dict(os.environ)

    def point() -> None:
        for name in ("PUBSUB_EMULATOR_HOST", "RETRAIN_SCHEDULER_API", "RETRAIN_VERTEX_API"):
            os.environ[name] = "127.0.0.1:9"
        for name in ("STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST"):
            os.environ[name] = "http://127.0.0.1:9"

    yield point
    os.environ.clear()
    os.environ.update(before)
