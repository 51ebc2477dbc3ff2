"""The archive alone, as Cloud Functions runs it: unpacked elsewhere, started by the framework's own command."""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from functions.package import ROOT, build, contents
from gcp.storage import connect
from gcp.store import GcsStore
from retraining import names
from tests.functions.events import encoded
from tests.messages.samples import PROJECT, changed, sample
from tests.servers import free_port

HEADERS = {
    "content-type": "application/json",
    "ce-id": "e-1",
    "ce-source": "//pubsub.googleapis.com/projects/shop-prod/topics/t",
    "ce-specversion": "1.0",
    "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
    "ce-time": "2026-01-31T03:00:42Z",
}
TICK = {"kind": "tick"}
EVENTS = {
    "on_data": (sample("audit_table_change"), "trigger accepted"),
    "on_drift": (sample("drift_incident"), "trigger accepted"),
    "on_schedule": ({"model": "flights", "schedule": "main"}, "trigger accepted"),
    "on_manual": ({"model": "flights", "reason": "try the archive"}, "trigger accepted"),
    # Its engine asks BigQuery at once; this message gets as far as that and asks for nothing.
    "on_monitor": (
        changed("pipeline_job_event", "jsonPayload.state", "PIPELINE_STATE_RUNNING"),
        "ignored: a pipeline job that has not ended (PIPELINE_STATE_RUNNING)",
    ),
    "on_tick": (TICK, "tick done"),
    "on_candidate": (TICK, "tick done"),
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive, unpacked where nothing else lies."""
    folder = tmp_path_factory.mktemp("archive")
    build(folder / "functions.zip")
    with zipfile.ZipFile(folder / "functions.zip") as file:
        file.extractall(folder / "unpacked")
    return folder / "unpacked"


@pytest.fixture
def settings(gcs: str) -> dict[str, str]:
    """What a deployed function has in its environment: settings, and the addresses of local servers, of which only
    Storage runs. Each test has its own records."""
    bucket = f"package-{uuid.uuid4().hex[:12]}"
    connect(PROJECT, gcs).create_bucket(bucket)
    return {
        "PATH": os.environ["PATH"],
        "RETRAIN_PROJECT": PROJECT,
        "RETRAIN_REGION": "us-central1",
        "RETRAIN_STATE_BUCKET": bucket,
        "RETRAIN_ARTIFACT_BUCKET": "package-artifacts",
        "RETRAIN_DATASET": "retraining",
        "RETRAIN_VERTEX_API": f"127.0.0.1:{free_port()}",
        "STORAGE_EMULATOR_HOST": gcs,
        "BIGQUERY_EMULATOR_HOST": f"http://127.0.0.1:{free_port()}",
        "PUBSUB_EMULATOR_HOST": f"127.0.0.1:{free_port()}",
    }


@contextlib.contextmanager
def started(target: str, archive: Path, settings: dict[str, str], log: Path) -> Iterator[str]:
    """The framework's own command in the archive's folder; yields the address."""
    port = free_port()
    command = [sys.executable, "-m", "functions_framework", "--target", target, "--host", "127.0.0.1"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--port", str(port)], cwd=archive, env=settings, stdout=output, stderr=output
        )
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def post(address: str, body: object, process_log: Path) -> tuple[int, bytes]:
    """Send one message as Eventarc does, as soon as somebody listens."""
    push = {"message": {"data": encoded(body), "messageId": "m-1", "publishTime": "2026-01-31T03:00:42Z"}}
    request = urllib.request.Request(address, json.dumps(push).encode(), HEADERS)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{address} did not answer:\n{process_log.read_text()[-3000:]}")


@pytest.mark.parametrize("target", EVENTS)
def test_an_entry_point_of_the_archive_answers_its_event(target, archive, settings, tmp_path):
    body, said = EVENTS[target]
    log = tmp_path / "function.log"
    with started(target, archive, settings, log) as address:
        answer = post(address, body, log)

    assert answer == (200, b""), log.read_text()[-3000:]
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith('{"severity"')]
    assert [(line["entry"], line["message"]) for line in lines if "entry" in line] == [(target, said)]


def test_triggers_of_the_archive_lie_in_the_inbox(archive, settings, tmp_path, gcs):
    log = tmp_path / "function.log"
    with started("on_manual", archive, settings, log) as address:
        post(address, {"model": "bikes", "request_id": "archive"}, log)

    store = GcsStore(connect(PROJECT, gcs), settings["RETRAIN_STATE_BUCKET"])
    assert store.list("inbox/bikes/") == ["inbox/bikes/" + names.slug("manual|archive") + ".json"]


def test_an_archive_without_settings_says_which_is_missing(archive, settings, tmp_path):
    log = tmp_path / "function.log"
    without = {name: value for name, value in settings.items() if name != "RETRAIN_REGION"}
    with started("on_manual", archive, without, log) as address:
        status, _ = post(address, TICK, log)

    assert status == 503
    assert "BadConfig: RETRAIN_REGION: expected a value, got none" in log.read_text()


def test_the_same_files_give_the_same_bytes(tmp_path):
    build(tmp_path / "one.zip")
    build(tmp_path / "two.zip")

    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_the_archive_holds_what_runs_and_nothing_else():
    names = set(contents())

    assert {"main.py", "requirements.txt", "models/flights.yaml", "functions/main.py"} <= names
    assert {name.split("/")[0] for name in names} == {
        "main.py", "requirements.txt", "models", "functions", "gcp", "monitoring", "retraining",
    }  # fmt: skip
    assert "functions/package.py" not in names
    assert not [name for name in names if "__pycache__" in name]


def test_every_statement_of_the_warehouse_is_in_the_archive():
    statements = {path.relative_to(ROOT).as_posix() for path in (ROOT / "gcp").rglob("*.sql")}

    assert statements <= set(contents())
