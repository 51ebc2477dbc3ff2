"""Push: what a function receives, what is repeated and what survives a restart."""

import base64
import itertools
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from local.servers.functions import FunctionsHost
from local.servers.pubsub import PubSubServer
from local.servers.pubsub.push import MAX_PARALLEL
from tests.local_servers.pubsub.conftest import Clients, Endpoint, connect

SOURCE = Path(__file__).with_name("functions_source.py")


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file in which the functions write down what they receive."""
    return tmp_path_factory.mktemp("functions") / "record"


@pytest.fixture(scope="module")
def functions(record: Path) -> Iterator[FunctionsHost]:
    with FunctionsHost(SOURCE, ["record", "refuse"], {"RECORD": str(record)}) as host:
        yield host


def wait_for_lines(record: Path, text: str, count: int = 1) -> list[dict[str, Any]]:
    """The recorded events that hold ``text``, once there are ``count`` of them."""
    end = time.monotonic() + 10
    while True:
        lines = record.read_text().splitlines() if record.exists() else []
        found = [json.loads(line) for line in lines if text in line]
        if len(found) >= count or time.monotonic() > end:
            return found
        time.sleep(0.01)


def test_a_function_receives_the_push(clients: Clients, functions: FunctionsHost, record: Path) -> None:
    topic = clients.topic()
    name = clients.subscription(topic, push_config={"push_endpoint": f"{functions.url}/record"})
    (message_id,) = clients.publish(topic, b"hello", model="flights")

    event = wait_for_lines(record, message_id)[0]

    message = event["message"]
    assert event["subscription"] == name
    assert message["data"] == base64.b64encode(b"hello").decode()
    assert message["attributes"] == {"model": "flights"}
    assert message["messageId"] == message["message_id"] == message_id
    assert message["publishTime"] == message["publish_time"]


def test_a_function_that_fails_gets_the_message_again(
    clients: Clients, functions: FunctionsHost, record: Path
) -> None:
    topic = clients.topic()
    clients.subscription(topic, push_config={"push_endpoint": f"{functions.url}/refuse"})
    (message_id,) = clients.publish(topic, b"again")

    assert len(wait_for_lines(record, message_id)) == 1
    assert record.with_name(f"record.{message_id}").read_text() == "xxx"


def test_data_and_attributes_are_absent_when_there_are_none(clients: Clients, endpoint: Endpoint) -> None:
    topic = clients.topic()
    clients.subscription(topic, push_config={"push_endpoint": endpoint.url})
    clients.publish(topic, b"", only="attribute")
    clients.publish(topic, b"only data")
    bodies = endpoint.bodies(2)

    assert "data" not in bodies[0]["message"]
    assert "attributes" not in bodies[1]["message"]
    assert "deliveryAttempt" not in bodies[0]


def test_what_is_known_of_a_message_is_in_the_body_alone(clients: Clients, endpoint: Endpoint) -> None:
    """As in a push of Pub/Sub itself; only Eventarc makes a CloudEvent of it."""
    topic = clients.topic()
    clients.subscription(topic, push_config={"push_endpoint": endpoint.url})
    (message_id,) = clients.publish(topic, b"x")
    headers = {key.lower(): value for key, value in endpoint.wait(1)[0][0].items()}
    (body,) = endpoint.bodies(1)

    assert headers["content-type"] == "application/json"
    assert not [name for name in headers if name.startswith("ce-")]
    assert body["message"]["messageId"] == message_id
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", body["message"]["publishTime"])


def test_backoff_grows_between_attempts(clients: Clients, endpoint: Endpoint) -> None:
    endpoint.answer = lambda number: 500 if number < 4 else 204
    policy = {"minimum_backoff": {"nanos": 100_000_000}, "maximum_backoff": {"seconds": 1}}
    topic = clients.topic()
    name = clients.subscription(topic, push_config={"push_endpoint": endpoint.url}, retry_policy=policy)
    clients.publish(topic, b"x")
    times = [arrived for _, _, arrived in endpoint.wait(4)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]

    assert all(gap >= wanted for gap, wanted in zip(gaps, [0.1, 0.2, 0.4], strict=True))
    assert gaps[0] < 0.4
    assert eventually_empty(clients.server, name)


@pytest.mark.parametrize(
    ("status", "delivered"), [(200, True), (202, True), (205, False), (302, False), (404, False)]
)
def test_only_some_answers_mean_success(clients: Clients, endpoint: Endpoint, status: int, delivered: bool) -> None:
    endpoint.answer = lambda number: status if number == 1 else 204
    topic = clients.topic()
    clients.subscription(topic, push_config={"push_endpoint": endpoint.url})
    clients.publish(topic, b"x")
    attempts = len(endpoint.wait(2, timeout=0.4 if delivered else 5))

    assert attempts == (1 if delivered else 2)


def test_a_message_no_function_takes_becomes_a_dead_letter(clients: Clients, endpoint: Endpoint) -> None:
    endpoint.answer = lambda _: 500
    topic, dead = clients.topic(), clients.topic()
    grave = clients.subscription(dead)
    clients.subscription(
        topic,
        push_config={"push_endpoint": endpoint.url},
        retry_policy={"minimum_backoff": {"nanos": 1_000_000}, "maximum_backoff": {"nanos": 1_000_000}},
        dead_letter_policy={"dead_letter_topic": dead, "max_delivery_attempts": 5},
    )
    clients.publish(topic, b"poison")
    message = clients.pull(grave, wait=5)[0].message

    assert [body["deliveryAttempt"] for body in endpoint.bodies(5)] == [1, 2, 3, 4, 5]
    assert message.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
    assert message.attributes["CloudPubSubDeadLetterSourceDeliveryErrorMessage"].startswith("HTTP 500")


def test_a_push_keeps_the_order_of_a_key(clients: Clients, endpoint: Endpoint) -> None:
    endpoint.answer = lambda number: 500 if number % 3 == 1 else 204
    policy = {"minimum_backoff": {"nanos": 5_000_000}, "maximum_backoff": {"nanos": 5_000_000}}
    topic = clients.topic()
    clients.subscription(
        topic, push_config={"push_endpoint": endpoint.url}, retry_policy=policy, enable_message_ordering=True
    )
    ids = clients.publish(topic, *[b"x"] * 6, ordering_key="k")
    seen = [body["message"]["messageId"] for body in endpoint.bodies(9)]

    assert list(dict.fromkeys(seen)) == ids
    assert seen == sorted(seen)


def test_without_a_wrapper_the_body_is_the_data(clients: Clients, endpoint: Endpoint) -> None:
    topic = clients.topic()
    push = {"push_endpoint": endpoint.url, "no_wrapper": {"write_metadata": True}}
    name = clients.subscription(topic, push_config=push)
    (message_id,) = clients.publish(topic, b"\x00raw", model="flights")
    headers, body, _ = endpoint.wait(1)[0]

    assert body == b"\x00raw"
    assert headers["x-goog-pubsub-message-id"] == message_id
    assert headers["x-goog-pubsub-subscription-name"] == name
    assert headers["model"] == "flights"


def test_push_can_be_turned_on_and_off(clients: Clients, endpoint: Endpoint) -> None:
    topic = clients.topic()
    name = clients.subscription(topic)
    clients.publish(topic, b"waiting")
    push = {"push_endpoint": endpoint.url}
    clients.subscriber.modify_push_config(subscription=name, push_config=push)
    pushed = len(endpoint.wait(1))
    clients.subscriber.modify_push_config(subscription=name, push_config={})
    clients.publish(topic, b"pulled")

    assert pushed == 1
    assert [one.message.data for one in clients.pull(name, wait=2)] == [b"pulled"]


def test_an_endpoint_that_is_down_gets_the_message_when_it_is_up(clients: Clients, record: Path) -> None:
    """The functions may start after the first message."""
    topic = clients.topic()
    with FunctionsHost(SOURCE, ["record"], {"RECORD": str(record)}) as gone:
        port = int(gone.url.rsplit(":", 1)[1])
    policy = {"minimum_backoff": {"nanos": 50_000_000}, "maximum_backoff": {"nanos": 50_000_000}}
    push = {"push_endpoint": f"http://127.0.0.1:{port}/record"}
    clients.subscription(topic, push_config=push, retry_policy=policy)
    (message_id,) = clients.publish(topic, b"early")
    time.sleep(0.2)
    with FunctionsHost(SOURCE, ["record"], {"RECORD": str(record)}, port=port):
        found = wait_for_lines(record, message_id)

    assert len(found) == 1


def test_a_burst_is_delivered_in_parallel(clients: Clients, endpoint: Endpoint) -> None:
    open_now: list[int] = []
    most = 0

    def slow(number: int) -> int:
        nonlocal most
        open_now.append(number)
        most = max(most, len(open_now))
        endpoint.arrived.wait(0.02)
        open_now.remove(number)
        return 204

    endpoint.answer = slow
    topic = clients.topic()
    clients.subscription(topic, push_config={"push_endpoint": endpoint.url})
    clients.publish(topic, *[b"x"] * 100)
    count = len(endpoint.wait(100))

    assert count == 100
    assert 4 <= most <= MAX_PARALLEL


def test_a_restart_keeps_topics_subscriptions_and_undelivered_messages(tmp_path: Path) -> None:
    with PubSubServer(state=tmp_path) as server:
        clients = connect(server)
        topic = clients.topic()
        name = clients.subscription(topic, filter="attributes:keep", ack_deadline_seconds=33)
        ids = clients.publish(topic, b"1", b"2", b"3", keep="yes")
        clients.ack(name, *clients.pull(name, limit=1))
        clients.channel.close()
    with PubSubServer(state=tmp_path) as server:
        clients = connect(server)
        config = clients.subscriber.get_subscription(subscription=name)
        found = [one.message for one in clients.pull(name)]
        (later,) = clients.publish(topic, b"4", keep="yes")
        clients.channel.close()

    assert (config.filter, config.ack_deadline_seconds) == ("attributes:keep", 33)
    assert [(one.message_id, one.data) for one in found] == [(ids[1], b"2"), (ids[2], b"3")]
    assert later not in ids


def test_a_restart_goes_on_pushing(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.answer = lambda number: 500 if number == 1 else 204
    with PubSubServer(state=tmp_path) as server:
        clients = connect(server)
        topic = clients.topic()
        policy = {"minimum_backoff": {"seconds": 600}, "maximum_backoff": {"seconds": 600}}
        push = {"push_endpoint": endpoint.url}
        name = clients.subscription(topic, push_config=push, retry_policy=policy)
        (message_id,) = clients.publish(topic, b"x")
        endpoint.wait(1)
        clients.channel.close()
    with PubSubServer(state=tmp_path) as server:
        second = json.loads(endpoint.wait(2)[1][1])

        assert eventually_empty(server, name)
    assert second["message"]["messageId"] == message_id


def test_a_killed_process_loses_no_published_message(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "local.servers.pubsub", "--port", "0", "--state", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = json.loads(process.stdout.readline())["address"]
        with grpc.insecure_channel(address) as channel:
            api = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
            topic = "projects/p/topics/kept"
            api.create_topic(name=topic)
            subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
            name = "projects/p/subscriptions/kept"
            subscriber.create_subscription(name=name, topic=topic)
            api.publish(topic=topic, messages=[{"data": b"x"}])
        process.send_signal(signal.SIGKILL)
    with PubSubServer(state=tmp_path) as server:
        assert server.undelivered(name) == 1


def test_the_process_stops_on_sigterm(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "local.servers.pubsub", "--port", "0", "--state", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        process.terminate()
        code = process.wait(timeout=10)

    assert ready["address"].startswith("127.0.0.1:")
    assert code == 0


def eventually_empty(server: PubSubServer, name: str) -> bool:
    """Whether everything is acknowledged within some seconds."""
    end = time.monotonic() + 5
    while server.undelivered(name) and time.monotonic() < end:
        time.sleep(0.01)
    return server.undelivered(name) == 0
