"""The Cloud Scheduler API with the real client: what is kept, changed and refused, over both transports."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
import requests

# Over REST the client knows the HTTP status only: InvalidArgument and FailedPrecondition are both a BadRequest.
from google.api_core.exceptions import BadRequest, Conflict, NotFound, ServiceUnavailable
from google.auth.credentials import AnonymousCredentials
from google.cloud.scheduler_v1 import CloudSchedulerClient, Job
from google.cloud.scheduler_v1.services.cloud_scheduler.transports import CloudSchedulerGrpcTransport

from local.servers.scheduler import SchedulerServer

PARENT = "projects/p/locations/us-central1"
NOON = datetime(2013, 3, 1, 12, 0, tzinfo=UTC)
TICK = {"topic_name": "projects/p/topics/tick", "data": b"{}"}


@pytest.fixture(scope="module")
def server() -> Iterator[SchedulerServer]:
    with SchedulerServer(publish=lambda *_: None, clock=lambda: NOON) as found:
        yield found


@pytest.fixture(scope="module", params=["grpc", "rest"])
def client(request: pytest.FixtureRequest, server: SchedulerServer) -> Iterator[CloudSchedulerClient]:
    if request.param == "rest":
        options = {"api_endpoint": server.url}
        yield CloudSchedulerClient(transport="rest", credentials=AnonymousCredentials(), client_options=options)
    else:
        with grpc.insecure_channel(server.address) as channel:
            yield CloudSchedulerClient(transport=CloudSchedulerGrpcTransport(channel=channel))


@pytest.fixture
def name(client: CloudSchedulerClient, request: pytest.FixtureRequest) -> Iterator[str]:
    """A job name of its own, whose job is deleted after the test."""
    found = f"{PARENT}/jobs/job-{abs(hash(request.node.nodeid))}"
    yield found
    if found in [job.name for job in client.list_jobs(parent=PARENT)]:
        client.delete_job(name=found)


def create(client: CloudSchedulerClient, name: str, **settings: Any) -> Job:
    job = Job({"name": name, "schedule": "*/5 * * * *", "pubsub_target": TICK, **settings})
    return client.create_job(parent=PARENT, job=job)


def test_a_created_job_is_enabled_and_knows_its_next_slot(client: CloudSchedulerClient, name: str) -> None:
    job = create(client, name, description="the tick")

    assert job.state == Job.State.ENABLED
    assert job.schedule_time == NOON.replace(minute=5)
    assert (job.time_zone, job.description, job.user_update_time) == ("UTC", "the tick", NOON)
    assert client.get_job(name=name) == job


def test_a_job_without_a_name_gets_one(client: CloudSchedulerClient) -> None:
    job = create(client, "")
    client.delete_job(name=job.name)

    assert job.name.startswith(f"{PARENT}/jobs/")


def test_a_schedule_follows_its_time_zone(client: CloudSchedulerClient, name: str) -> None:
    """08:00 in New York is 13:00 UTC in winter."""
    job = create(client, name, schedule="0 8 * * *", time_zone="America/New_York")

    assert job.schedule_time == datetime(2013, 3, 1, 13, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"schedule": "99 * * * *"}, "schedule"),
        ({"schedule": "nope"}, "five fields"),
        ({"schedule": "* * * * * *"}, "five fields"),
        ({"schedule": ""}, "five fields"),
        ({"schedule": "0 0 30 2 *"}, "schedule"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../etc/passwd"}, "time_zone"),
        ({"pubsub_target": {"topic_name": "tick", "data": b"x"}}, "topic_name"),
        ({"pubsub_target": {"topic_name": "projects/p/topics/tick"}}, "at least one attribute"),
        ({"pubsub_target": None}, "http_target"),
        ({"pubsub_target": None, "http_target": {"uri": "http://example.com/"}}, "127.0.0.1"),
        ({"retry_config": {"retry_count": 6}}, "0 to 5"),
        ({"retry_config": {"min_backoff_duration": {"seconds": 9}, "max_backoff_duration": {"seconds": 1}}}, "<="),
        (
            {
                "pubsub_target": None,
                "http_target": {"uri": "http://127.0.0.1/"},
                "attempt_deadline": {"seconds": 14},
            },
            "attempt_deadline",
        ),
    ],
)
def test_a_wrong_job_is_refused(
    client: CloudSchedulerClient, name: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadRequest, match=message):
        create(client, name, **settings)


@pytest.mark.parametrize("bad", [f"{PARENT}/jobs/a b", "projects/p/locations/elsewhere/jobs/a", "a"])
def test_a_wrong_name_is_refused(client: CloudSchedulerClient, bad: str) -> None:
    with pytest.raises(BadRequest, match="name"):
        create(client, bad)


def test_a_name_is_taken_once(client: CloudSchedulerClient, name: str) -> None:
    create(client, name)

    with pytest.raises(Conflict):
        create(client, name)


def test_jobs_are_listed_in_pages(client: CloudSchedulerClient) -> None:
    parent = "projects/p/locations/paged"
    names = [f"{parent}/jobs/job-{number}" for number in range(5)]
    for one in names:
        job = Job({"name": one, "schedule": "* * * * *", "pubsub_target": TICK})
        client.create_job(parent=parent, job=job)
    pages = list(client.list_jobs(request={"parent": parent, "page_size": 2}).pages)
    for one in names:
        client.delete_job(name=one)

    assert [[job.name for job in page.jobs] for page in pages] == [names[:2], names[2:4], names[4:]]


def test_an_update_changes_what_its_mask_names(client: CloudSchedulerClient, name: str) -> None:
    create(client, name, description="before")
    change = Job({"name": name, "schedule": "0 * * * *", "description": "after"})
    job = client.update_job(job=change, update_mask={"paths": ["schedule"]})

    assert (job.schedule, job.description) == ("0 * * * *", "before")
    assert job.schedule_time == NOON.replace(hour=13)
    assert job.pubsub_target.topic_name == TICK["topic_name"]


def test_an_update_to_a_wrong_schedule_leaves_the_job(client: CloudSchedulerClient, name: str) -> None:
    before = create(client, name)

    with pytest.raises(BadRequest):
        client.update_job(job=Job({"name": name, "schedule": "x"}), update_mask={"paths": ["schedule"]})
    assert client.get_job(name=name) == before


def test_a_mask_cannot_name_what_the_server_sets(client: CloudSchedulerClient, name: str) -> None:
    create(client, name)

    with pytest.raises(BadRequest, match="cannot be set"):
        client.update_job(job=Job({"name": name}), update_mask={"paths": ["state"]})


def test_pausing_and_resuming_change_the_state(client: CloudSchedulerClient, name: str) -> None:
    create(client, name)

    assert client.pause_job(name=name).state == Job.State.PAUSED
    with pytest.raises(BadRequest):
        client.pause_job(name=name)
    assert client.resume_job(name=name).state == Job.State.ENABLED
    with pytest.raises(BadRequest):
        client.resume_job(name=name)


def test_a_deleted_job_is_gone(client: CloudSchedulerClient, name: str) -> None:
    create(client, name)
    client.delete_job(name=name)

    for call in (client.get_job, client.run_job, client.pause_job, client.delete_job):
        with pytest.raises(NotFound, match="Job not found"):
            call(name=name)


def test_a_failure_on_order_comes_as_often_as_asked(
    client: CloudSchedulerClient, server: SchedulerServer, name: str
) -> None:
    server.fail_next("CreateJob")

    with pytest.raises(ServiceUnavailable):
        create(client, name)
    assert create(client, name).name == name


def test_an_unknown_field_is_refused(server: SchedulerServer) -> None:
    body = {"name": f"{PARENT}/jobs/a", "shedule": "* * * * *"}

    answer = requests.post(f"{server.url}/v1/{PARENT}/jobs", json=body, timeout=5)

    assert answer.status_code == 400
    assert "shedule" in answer.json()["error"]["message"]


def test_an_unknown_path_is_not_found(server: SchedulerServer) -> None:
    answer = requests.get(f"{server.url}/v1/nothing", timeout=5)

    assert (answer.status_code, answer.json()["error"]["status"]) == (404, "NOT_FOUND")
