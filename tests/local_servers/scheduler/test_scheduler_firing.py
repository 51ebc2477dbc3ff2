"""When jobs fire, what they send, and what happens when a target fails or the clock jumps."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.cloud.scheduler_v1 import CloudSchedulerClient, Job
from google.cloud.scheduler_v1.services.cloud_scheduler.transports import CloudSchedulerGrpcTransport
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from gcp.clock import Scale, clock
from local.servers.pubsub import PubSubServer
from local.servers.scheduler import SchedulerServer
from local.servers.scheduler.jobs import MAX_COUNTED, backoff, due, next_slot

PARENT = "projects/p/locations/us-central1"
NAME = f"{PARENT}/jobs/tick"
NOON = datetime(2013, 3, 1, 12, 0, tzinfo=UTC)


class Bench:
    """A scheduler whose clock the test sets, its real client, and what its jobs have published."""

    def __init__(self, state: Path | None = None, failures: int = 0) -> None:
        self.now = NOON
        self.published: list[tuple[str, bytes, dict[str, str]]] = []
        self.failures = failures
        self._changed = threading.Condition()
        self.server = SchedulerServer(publish=self._publish, clock=lambda: self.now, state=state)

    def __enter__(self) -> "Bench":
        self.server.__enter__()
        self._channel = grpc.insecure_channel(self.server.address)
        transport = CloudSchedulerGrpcTransport(channel=self._channel)
        self.client = CloudSchedulerClient(transport=transport)
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()
        self.server.__exit__()

    def _publish(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> None:
        with self._changed:
            self._changed.notify_all()
            if self.failures:
                self.failures -= 1
                raise ConnectionError("no Pub/Sub")
            self.published.append((topic, data, dict(attributes)))

    def create(self, **settings: Any) -> Job:
        target = {"topic_name": "projects/p/topics/tick", "data": b"body", "attributes": {"a": "b"}}
        job = Job({"name": NAME, "schedule": "*/5 * * * *", "pubsub_target": target, **settings})
        return self.client.create_job(parent=PARENT, job=job)

    def job(self) -> Job:
        return self.client.get_job(name=NAME)

    def advance(self, **by: float) -> None:
        """Let the clock jump."""
        self.now += timedelta(**by)

    def fired(self, count: int, timeout: float = 5.0) -> int:
        """How often something was published, once it is ``count`` times."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.published) >= count, timeout)
            return len(self.published)

    def until(self, check: Callable[[Job], bool]) -> Job:
        """The job once ``check`` holds for it."""
        end = time.monotonic() + 5
        while not check(self.job()) and time.monotonic() < end:
            time.sleep(0.01)
        return self.job()


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Bench() as found:
        yield found


def test_a_job_fires_at_its_slot_and_not_before(bench: Bench) -> None:
    bench.create()
    bench.advance(minutes=4, seconds=59)
    before = bench.fired(1, timeout=0.1)
    bench.advance(seconds=1)

    assert (before, bench.fired(1)) == (0, 1)
    assert bench.published == [("projects/p/topics/tick", b"body", {"a": "b"})]


def test_a_job_knows_its_last_attempt_and_its_next_slot(bench: Bench) -> None:
    bench.create()
    bench.advance(minutes=5, seconds=2)
    bench.fired(1)
    job = bench.until(lambda job: job.last_attempt_time is not None)

    assert job.last_attempt_time == NOON + timedelta(minutes=5, seconds=2)
    assert job.schedule_time == NOON + timedelta(minutes=10)
    assert job.status.code == 0


def test_each_slot_fires_once(bench: Bench) -> None:
    bench.create()
    for count in (1, 2, 3):
        bench.advance(minutes=5)
        bench.fired(count)
    extra = bench.fired(4, timeout=0.1)

    assert (extra, bench.server.skipped(NAME)) == (3, 0)


def test_a_jump_over_many_slots_fires_the_latest_once(bench: Bench) -> None:
    bench.create()
    bench.advance(hours=1, minutes=2)
    bench.fired(1)
    extra = bench.fired(2, timeout=0.1)

    assert (extra, bench.server.skipped(NAME)) == (1, 11)
    assert bench.job().schedule_time == NOON + timedelta(hours=1, minutes=5)


def test_a_jump_of_a_year_is_quick_and_lands_on_the_right_slot() -> None:
    job = Job.pb()(schedule="* * * * *", time_zone="UTC")
    job.schedule_time.FromDatetime(NOON)
    started = time.monotonic()
    found = due(job, NOON + timedelta(days=365, seconds=30))

    assert found is not None
    assert (found.slot, found.following) == (NOON + timedelta(days=365), NOON + timedelta(days=365, minutes=1))
    assert found.skipped == MAX_COUNTED
    assert time.monotonic() - started < 5


def test_daylight_saving_keeps_the_local_hour() -> None:
    job = Job.pb()(schedule="0 8 * * *", time_zone="America/New_York")

    winter = next_slot(job, datetime(2013, 3, 9, 0, 0, tzinfo=UTC))
    summer = next_slot(job, datetime(2013, 3, 11, 0, 0, tzinfo=UTC))

    assert (winter.hour, summer.hour) == (13, 12)


def test_a_paused_job_does_not_fire(bench: Bench) -> None:
    bench.create()
    bench.client.pause_job(name=NAME)
    bench.advance(minutes=20)

    assert bench.fired(1, timeout=0.1) == 0


def test_a_resumed_job_goes_on_with_its_next_slot(bench: Bench) -> None:
    bench.create()
    bench.client.pause_job(name=NAME)
    bench.advance(minutes=20)
    resumed = bench.client.resume_job(name=NAME)
    at_once = bench.fired(1, timeout=0.1)
    bench.advance(minutes=5)

    assert resumed.schedule_time == NOON + timedelta(minutes=25)
    assert (at_once, bench.fired(1)) == (0, 1)


def test_run_fires_now_and_leaves_the_schedule(bench: Bench) -> None:
    before = bench.create()
    bench.client.run_job(name=NAME)
    fired = bench.fired(1)
    job = bench.until(lambda job: job.last_attempt_time is not None)

    assert fired == 1
    assert (job.last_attempt_time, job.schedule_time) == (NOON, before.schedule_time)


def test_run_fires_a_paused_job(bench: Bench) -> None:
    bench.create()
    bench.client.pause_job(name=NAME)
    bench.client.run_job(name=NAME)

    assert bench.fired(1) == 1
    assert bench.job().state == Job.State.PAUSED


QUICK = {"min_backoff_duration": {"nanos": 20_000_000}, "max_backoff_duration": {"nanos": 40_000_000}}


def test_a_failed_attempt_is_repeated_as_often_as_set(bench: Bench) -> None:
    bench.failures = 3
    bench.create(retry_config={"retry_count": 3, **QUICK})
    bench.advance(minutes=5)

    assert bench.fired(1) == 1
    assert bench.until(lambda job: job.status.code == 0).status.code == 0


def test_a_job_gives_up_after_its_retries_and_says_why(bench: Bench) -> None:
    bench.failures = 100
    bench.create(retry_config={"retry_count": 2, **QUICK})
    bench.advance(minutes=5)
    bench.until(lambda _: bench.failures == 97)
    time.sleep(0.15)
    job = bench.job()

    assert bench.failures == 97
    assert job.status.code == grpc.StatusCode.UNAVAILABLE.value[0]
    assert "no Pub/Sub" in job.status.message


def test_a_job_without_retries_waits_for_its_next_slot(bench: Bench) -> None:
    bench.failures = 1
    bench.create()
    bench.advance(minutes=5)
    bench.until(lambda _: bench.failures == 0)
    before = bench.fired(1, timeout=0.1)
    bench.advance(minutes=5)

    assert (before, bench.fired(1)) == (0, 1)


def test_backoff_doubles_and_then_grows_evenly() -> None:
    retry = Job({"retry_config": {"max_doublings": 2}})._pb.retry_config
    retry.min_backoff_duration.FromSeconds(10)
    retry.max_backoff_duration.FromSeconds(110)

    assert [backoff(retry, attempt) for attempt in range(1, 7)] == [10, 20, 40, 80, 110, 110]


def test_a_fast_clock_is_followed() -> None:
    """At an hour in a second, a job of every five minutes fires about twelve times a second."""
    start = Scale(NOON, 3600.0, time.time())
    seen: list[datetime] = []
    now = clock(str(start))
    with SchedulerServer(publish=lambda *_: seen.append(now()), clock=now) as server:
        with grpc.insecure_channel(server.address) as channel:
            client = CloudSchedulerClient(transport=CloudSchedulerGrpcTransport(channel=channel))
            target = {"topic_name": "projects/p/topics/tick", "data": b"x"}
            job = Job({"name": NAME, "schedule": "*/5 * * * *", "pubsub_target": target})
            client.create_job(parent=PARENT, job=job)
        created = now()
        time.sleep(1.0)
        slots = (now() - created) / timedelta(minutes=5)
        skipped = server.skipped(NAME)

    assert len(seen) + skipped == pytest.approx(slots, abs=2.5)
    assert len(seen) >= 3


def test_a_clock_that_goes_back_leaves_no_job_waiting(bench: Bench) -> None:
    """A rehearsal may begin anew with the same state."""
    bench.create()
    bench.now = NOON - timedelta(days=30)
    slot = bench.until(lambda job: job.schedule_time < NOON).schedule_time
    bench.advance(minutes=5)

    assert slot == NOON - timedelta(days=30) + timedelta(minutes=5)
    assert bench.fired(1) == 1


def test_a_restart_keeps_jobs_and_fires_a_missed_slot_once(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.create(description="kept")
    with Bench(tmp_path) as later:
        later.now = NOON
        kept = later.job()
        later.advance(minutes=17)

        assert kept.description == "kept"
        assert later.fired(1) == 1
        assert later.server.skipped(NAME) == 2


@pytest.fixture
def requests_seen() -> Iterator[tuple[str, list[tuple[str, dict[str, str], bytes]], list[int]]]:
    """An HTTP endpoint: its address, what it was asked, and the answers it gives (200 when there are none)."""
    seen: list[tuple[str, dict[str, str], bytes]] = []
    answers: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            seen.append((f"{self.command} {self.path}", dict(self.headers), body))
            self.send_response(answers.pop(0) if answers else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", seen, answers
    server.shutdown()
    server.server_close()


def test_an_http_target_gets_googles_headers(bench: Bench, requests_seen: tuple[str, list[Any], list[int]]) -> None:
    url, seen, _ = requests_seen
    target = {"uri": f"{url}/run?x=1", "http_method": "PUT", "body": b"hi", "headers": {"X-Own": "1"}}
    bench.create(pubsub_target=None, http_target=target)
    bench.advance(minutes=5)
    bench.until(lambda job: job.last_attempt_time is not None)
    line, headers, body = seen[0]

    assert (line, body, headers["X-Own"]) == ("PUT /run?x=1", b"hi", "1")
    assert headers["User-Agent"] == "Google-Cloud-Scheduler"
    assert (headers["X-CloudScheduler"], headers["X-CloudScheduler-JobName"]) == ("true", "tick")
    assert headers["X-CloudScheduler-ScheduleTime"] == "2013-03-01T12:05:00+00:00"


def test_an_http_target_that_fails_is_asked_again(
    bench: Bench, requests_seen: tuple[str, list[Any], list[int]]
) -> None:
    url, seen, answers = requests_seen
    answers += [500, 503]
    bench.create(pubsub_target=None, http_target={"uri": url}, retry_config={"retry_count": 5, **QUICK})
    bench.advance(minutes=5)
    bench.until(lambda job: len(seen) == 3 and job.status.code == 0)

    assert len(seen) == 3


def test_a_tick_reaches_the_local_pubsub_through_the_real_client() -> None:
    with PubSubServer() as pubsub, grpc.insecure_channel(pubsub.address) as channel:
        publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        topic, name = "projects/p/topics/tick", "projects/p/subscriptions/tick"
        publisher.create_topic(name=topic)
        subscriber.create_subscription(name=name, topic=topic)
        with SchedulerServer(pubsub=pubsub.address) as server, grpc.insecure_channel(server.address) as door:
            client = CloudSchedulerClient(transport=CloudSchedulerGrpcTransport(channel=door))
            target = {"topic_name": topic, "attributes": {"name": "scheduler"}}
            job = Job({"name": NAME, "schedule": "0 0 1 1 *", "pubsub_target": target})
            client.create_job(parent=PARENT, job=job)
            client.run_job(name=NAME)
            found = subscriber.pull(subscription=name, max_messages=1).received_messages

    assert [dict(one.message.attributes) for one in found] == [{"name": "scheduler"}]


def test_the_process_says_where_it_listens_and_stops_on_sigterm(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "local.servers.scheduler", "--state", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        process.terminate()
        code = process.wait(timeout=10)

    assert ready["address"].startswith("127.0.0.1:")
    assert ready["url"].startswith("http://127.0.0.1:")
    assert code == 0
