"""The container's jobs in Cloud Storage and Pub/Sub: places, fence, last message."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.cloud import pubsub_v1
from google.cloud.storage import Client

from gcp.artifacts import GcsArtifacts
from gcp.storage import connect
from local.servers.pubsub import PubSubServer
from retraining import names
from retraining.errors import Refused
from retraining.integrity import verify
from tests.servers import free_port
from tests.trainer import jobs, samples
from trainer import fence, notify, storage


@pytest.fixture
def bucket(gcs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket of the local Storage server, which Google's own variable names."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "local")
    name = "trainer-" + tmp_path.name.lower().replace("_", "-").strip("-")[-40:]
    Client("local").create_bucket(name)  # the variable makes it an anonymous client
    return name


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A topic of a local Pub/Sub, with a subscription of the same name."""
    name = "projects/local/topics/ticks"
    with PubSubServer() as server:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", server.address)
        pubsub_v1.PublisherClient().create_topic(name=name)
        with pubsub_v1.SubscriberClient() as subscriber:
            subscriber.create_subscription(name=subscription(name), topic=name)
        yield name


def subscription(topic: str) -> str:
    return topic.replace("/topics/", "/subscriptions/")


def received(topic: str) -> list[dict[str, str]]:
    """Bodies of the messages that wait in the subscription."""
    with pubsub_v1.SubscriberClient() as subscriber:
        answer = subscriber.pull(subscription=subscription(topic), max_messages=10, timeout=10)
        ids = [one.ack_id for one in answer.received_messages]
        subscriber.acknowledge(subscription=subscription(topic), ack_ids=ids)
    return [json.loads(one.message.data) for one in answer.received_messages]


def test_whole_job_in_the_cloud(bucket: str, topic: str, tmp_path: Path) -> None:
    base = f"gs://{bucket}/runs/run-1"
    data = samples.write_rows(tmp_path / "data", "binary", 600)
    for path in data.iterdir():
        storage.write(f"gs://{bucket}/snapshots/run-1/{path.name}", path.read_bytes())
    spec = samples.write_spec(tmp_path, samples.spec("binary"))
    storage.write(f"{base}/spec.yaml", spec.read_bytes())
    env = {
        "CLOUD_ML_JOB_ID": "71",
        "AIP_DATA_FORMAT": "parquet",
        "AIP_MODEL_DIR": f"{base}/model/",
        "AIP_CHECKPOINT_DIR": f"{base}/checkpoints/",
    }
    for name, part in {"TRAINING": "train", "VALIDATION": "eval", "TEST": "test"}.items():
        env[f"AIP_{name}_DATA_URI"] = f"gs://{bucket}/snapshots/run-1/{part}-*.parquet"
    words = (f"--model-spec={base}/spec.yaml", "--run-id=run-1", f"--notify-topic={topic}")
    trained = jobs.run("trainer", *words, f"--fence=gs://{bucket}/fence/run-1.json", "--nonce=n1", env=env)

    assert trained.returncode == 0, trained.stdout + trained.stderr
    assert storage.read(f"{base}/report/manifest.json") is not None
    assert json.loads(storage.read(f"gs://{bucket}/fence/run-1.json") or b"") == {"job_id": "71", "nonce": "n1"}
    assert received(topic) == [{"kind": "job-ended", "run_id": "run-1", "job_id": "71"}]

    digest = json.loads(storage.read(f"{base}/report/manifest.json") or b"")["digest"]
    judged = jobs.run(
        "trainer.evaluate",
        *words,
        f"--candidate={base}/model",
        f"--candidate-digest={digest}",
        f"--data=gs://{bucket}/snapshots/run-1/test-*.parquet",
        f"--output={names.evaluation_uri(bucket, 'run-1')}",
    )

    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert json.loads(storage.read(names.evaluation_uri(bucket, "run-1")) or b"")["rows"] == 300
    assert len(received(topic)) == 1

    artifacts = GcsArtifacts(connect("local", os.environ["STORAGE_EMULATOR_HOST"]))
    verify(artifacts, bucket, "run-1", digest)  # the evaluator's account of what it read is what the deployer lists
    storage.write(f"{base}/model/saved_model.pb", storage.read(f"{base}/model/saved_model.pb") or b"")
    with pytest.raises(Refused, match=r"written again: 'saved_model\.pb'"):
        verify(artifacts, bucket, "run-1", digest)


def test_fence_lets_in_one_job(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"gs://{bucket}/fence/run-1.json"
    taken = []
    for job in ("1", "2", "1"):
        monkeypatch.setenv("CLOUD_ML_JOB_ID", job)
        taken.append(fence.take(uri, f"nonce-{job}"))

    assert taken == [True, False, True]  # the first job was restarted


def test_job_without_the_fence_touches_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = tmp_path / "fence.json"
    held.write_text('{"job_id": "other", "nonce": "n"}')
    words = (f"--fence={held}", "--nonce=mine", "--notify-topic=projects/local/topics/none")
    trained = jobs.train(tmp_path, "binary", *words, data=tmp_path / "no-data", env={"CLOUD_ML_JOB_ID": "mine"})

    assert trained.code == 0
    assert capsys.readouterr().out.strip() == "another job does the work of this run"
    assert held.read_text() == '{"job_id": "other", "nonce": "n"}'


@pytest.mark.parametrize(
    ("cluster", "first"),
    [
        ("", True),
        ('{"task": {"type": "workerpool0", "index": 0}}', True),
        ('{"task": {"type": "workerpool1", "index": 0}}', False),
    ],
)
def test_only_the_first_machine_works(cluster: str, first: bool) -> None:
    assert fence.chief({"CLUSTER_SPEC": cluster}) is first


def test_end_is_announced_after_a_refusal_too(topic: str, tmp_path: Path) -> None:
    job = {"CLOUD_ML_JOB_ID": "9"}
    trained = jobs.train(tmp_path, "binary", f"--notify-topic={topic}", data=tmp_path / "no-data", env=job)

    assert trained.code == 2
    assert received(topic) == [{"kind": "job-ended", "run_id": "run-1", "job_id": "9"}]


def test_message_that_cannot_be_sent_is_only_logged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{free_port()}")
    notify.job_ended("projects/local/topics/ticks", "run-1", timeout_s=0.5)

    assert "the end of the job was not announced" in capsys.readouterr().out


@pytest.mark.parametrize("place", ["cloud", "folder"])
def test_files(place: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    base = f"gs://{request.getfixturevalue('bucket')}/files" if place == "cloud" else str(tmp_path / "files")
    for name in ("train-1.csv", "train-0.csv", "eval-0.csv"):
        storage.write(f"{base}/{name}", name.encode())
    storage.write(f"{base}/train-0.csv", b"again")

    assert [path.read_bytes() for path in storage.fetch(f"{base}/train-*", tmp_path / "copy")] == [
        b"again",
        b"train-1.csv",
    ]
    assert storage.read(f"{base}/none") is None
    assert storage.create(f"{base}/once", b"first")
    assert not storage.create(f"{base}/once", b"second")
    assert storage.read(f"{base}/once") == b"first"


def test_tree_comes_back_as_it_was(bucket: str, tmp_path: Path) -> None:
    files = {"saved_model.pb": b"graph", "variables/data": b"weights"}
    for name, body in files.items():
        storage.write(str(tmp_path / "here" / name), body)
    storage.put_tree(tmp_path / "here", f"gs://{bucket}/model")
    back = storage.fetch_tree(f"gs://{bucket}/model/", tmp_path / "back").folder

    assert {p.relative_to(back).as_posix(): p.read_bytes() for p in back.rglob("*") if p.is_file()} == files


def test_server_loads_a_model_from_the_cloud(bucket: str, binary: jobs.Trained) -> None:
    from tests.trainer.test_serving import ROW, post, server

    storage.put_tree(Path(binary.model), f"gs://{bucket}/served")
    assert os.environ["STORAGE_EMULATOR_HOST"]
    with server(f"gs://{bucket}/served") as connection:
        status, _ = post(connection, {"instances": [ROW]})

    assert status == 200
