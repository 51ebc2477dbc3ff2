"""Pulling: leases, redelivery, backoff, order, dead letters, seeking and streams."""

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from google.api_core.exceptions import FailedPrecondition, InvalidArgument
from google.cloud.pubsub_v1.types import FlowControl
from google.pubsub_v1 import types

from local.servers.pubsub import PubSubServer
from local.servers.pubsub.backlog import Backlog, Delivery, Rules
from tests.local_servers.pubsub.conftest import PROJECT, Clients, connect


class Wall:
    """The system's time as the test sets it, in unix seconds."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def data(received: list[Any]) -> list[bytes]:
    return [one.message.data for one in received]


def test_what_is_acknowledged_never_comes_again(clients: Clients) -> None:
    topic = clients.topic()
    name = clients.subscription(topic)
    clients.publish(topic, b"a", b"b")
    clients.ack(name, *clients.pull(name))

    assert (clients.pull(name), clients.server.undelivered(name)) == ([], 0)


def test_each_subscription_gets_every_message(clients: Clients) -> None:
    topic = clients.topic()
    names = [clients.subscription(topic) for _ in range(2)]
    clients.publish(topic, b"a")

    assert [data(clients.pull(name)) for name in names] == [[b"a"], [b"a"]]


def test_a_message_that_is_out_is_not_given_twice(clients: Clients) -> None:
    topic = clients.topic()
    name = clients.subscription(topic)
    clients.publish(topic, b"a")
    clients.pull(name)

    assert clients.pull(name) == []


def test_a_refused_message_comes_again_at_once_without_a_policy(clients: Clients) -> None:
    topic = clients.topic()
    name = clients.subscription(topic)
    clients.publish(topic, b"a")
    clients.nack(name, *clients.pull(name))

    assert data(clients.pull(name)) == [b"a"]


def test_a_message_comes_again_when_its_deadline_passes() -> None:
    wall = Wall()
    with PubSubServer(wall=wall) as server:
        clients = connect(server)
        topic = clients.topic()
        name = clients.subscription(topic, ack_deadline_seconds=10)
        clients.publish(topic, b"a")
        first = clients.pull(name)
        wall.now += 9.9
        before = clients.pull(name)
        wall.now += 0.2
        after = clients.pull(name)
        clients.ack(name, *first)

        assert (before, data(after)) == ([], [b"a"])
        assert server.undelivered(name) == 1


def test_an_extended_deadline_holds() -> None:
    wall = Wall()
    with PubSubServer(wall=wall) as server:
        clients = connect(server)
        topic = clients.topic()
        name = clients.subscription(topic)
        clients.publish(topic, b"a")
        ids = [one.ack_id for one in clients.pull(name)]
        clients.subscriber.modify_ack_deadline(subscription=name, ack_ids=ids, ack_deadline_seconds=60)
        wall.now += 59
        before = clients.pull(name)
        wall.now += 2

        assert (before, data(clients.pull(name))) == ([], [b"a"])


def test_backoff_doubles_up_to_its_maximum() -> None:
    rules = Rules(minimum_backoff=10, maximum_backoff=25)

    waits = [rules.backoff(attempts) for attempts in (1, 2, 3, 4, 1000)]

    assert waits == [10, 20, 25, 25, 25]


def test_a_refused_message_waits_for_its_backoff() -> None:
    wall = Wall()
    with PubSubServer(wall=wall) as server:
        clients = connect(server)
        topic = clients.topic()
        policy = {"minimum_backoff": {"seconds": 10}, "maximum_backoff": {"seconds": 60}}
        name = clients.subscription(topic, retry_policy=policy)
        clients.publish(topic, b"a")
        clients.nack(name, *clients.pull(name))
        seen = []
        for wait in (9.9, 0.2, 19.9, 0.2):
            wall.now += wait
            found = clients.pull(name)
            seen.append(data(found))
            clients.nack(name, *found)

    assert seen == [[], [b"a"], [], [b"a"]]


def test_old_messages_are_dropped() -> None:
    wall = Wall()
    with PubSubServer(wall=wall) as server:
        clients = connect(server)
        topic = clients.topic()
        name = clients.subscription(topic, message_retention_duration={"seconds": 600})
        clients.publish(topic, b"old")
        wall.now += 300
        clients.publish(topic, b"young")
        wall.now += 301

        assert data(clients.pull(name)) == [b"young"]


def test_one_message_of_a_key_is_out_at_a_time(clients: Clients) -> None:
    topic = clients.topic()
    name = clients.subscription(topic, enable_message_ordering=True)
    clients.publish(topic, b"1", b"2", b"3", ordering_key="k")
    clients.publish(topic, b"other", ordering_key="j")
    clients.publish(topic, b"free")

    first = clients.pull(name)
    second = clients.pull(name)
    clients.ack(name, *first)
    third = clients.pull(name)

    assert (data(first), data(second), data(third)) == ([b"1", b"other", b"free"], [], [b"2"])


def test_a_refused_message_stays_before_those_after_it(clients: Clients) -> None:
    topic = clients.topic()
    name = clients.subscription(topic, enable_message_ordering=True)
    clients.publish(topic, b"1", b"2", ordering_key="k")
    clients.nack(name, *clients.pull(name))
    seen = []
    while found := clients.pull(name):
        seen += data(found)
        clients.ack(name, *found)

    assert seen == [b"1", b"2"]


def test_dropping_a_waiting_message_does_not_open_its_key() -> None:
    """Only the end of the one that is out lets the next of a key go."""
    backlog = Backlog(Rules(ordered=True))
    topic_message = types.PubsubMessage.pb()(data=b"x", ordering_key="k")
    deliveries = [Delivery(seq, 0.0, topic_message) for seq in (1, 2, 3)]
    for delivery in deliveries:
        backlog.add(delivery)
    out = backlog.take(10, 0.0, 10.0)
    backlog.discard(deliveries[1])
    during = backlog.take(10, 0.0, 10.0)
    backlog.acknowledge(out[0].lease)
    after = backlog.take(10, 0.0, 10.0)

    assert tuple([one.seq for one in some] for some in (out, during, after)) == ([1], [], [3])


def test_a_message_out_of_attempts_becomes_a_dead_letter(clients: Clients) -> None:
    topic, dead = clients.topic(), clients.topic()
    grave = clients.subscription(dead)
    policy = {"dead_letter_topic": dead, "max_delivery_attempts": 5}
    name = clients.subscription(topic, dead_letter_policy=policy)
    clients.publish(topic, b"poison", model="flights")
    attempts = []
    while found := clients.pull(name):
        attempts += [one.delivery_attempt for one in found]
        clients.nack(name, *found)
    message = clients.pull(grave, wait=5)[0].message

    assert attempts == [1, 2, 3, 4, 5]
    assert clients.server.undelivered(name) == 0
    known = dict(message.attributes)
    assert message.data == b"poison"
    assert known["model"] == "flights"
    prefix = "CloudPubSubDeadLetterSource"
    assert ("5", name.rsplit("/", 1)[1], "test-project") == (
        known[f"{prefix}DeliveryCount"],
        known[f"{prefix}Subscription"],
        known[f"{prefix}SubscriptionProject"],
    )
    assert known[f"{prefix}TopicPublishTime"].endswith("Z")


def test_a_message_stays_while_the_dead_letter_topic_is_missing(clients: Clients) -> None:
    topic, dead = clients.topic(), clients.topic()
    name = clients.subscription(topic, dead_letter_policy={"dead_letter_topic": dead, "max_delivery_attempts": 5})
    clients.api.delete_topic(topic=dead)
    clients.publish(topic, b"poison")
    for _ in range(7):
        clients.nack(name, *clients.pull(name))

    assert clients.server.undelivered(name) == 1


def test_attempts_are_not_told_without_a_dead_letter_policy(clients: Clients) -> None:
    topic = clients.topic()
    name = clients.subscription(topic)
    clients.publish(topic, b"a")

    assert clients.pull(name)[0].delivery_attempt == 0


def test_seeking_forward_acknowledges_what_is_before(clients: Clients) -> None:
    topic = clients.topic()
    name = clients.subscription(topic)
    clients.publish(topic, b"old")
    published = clients.pull(name)[0].message.publish_time
    time.sleep(0.01)
    clients.publish(topic, b"new")
    clients.subscriber.seek(request={"subscription": name, "time": published + timedelta(milliseconds=5)})

    assert data(clients.pull(name)) == [b"new"]


def test_seeking_back_delivers_kept_messages_again(clients: Clients) -> None:
    topic = clients.topic()
    name = clients.subscription(topic, retain_acked_messages=True)
    clients.publish(topic, b"a")
    first = clients.pull(name)
    clients.ack(name, *first)
    clients.subscriber.seek(request={"subscription": name, "time": first[0].message.publish_time})

    assert data(clients.pull(name)) == [b"a"]


def test_a_snapshot_brings_back_what_was_open_and_what_came_after(clients: Clients) -> None:
    topic = clients.topic()
    name = clients.subscription(topic)
    clients.publish(topic, b"done")
    clients.ack(name, *clients.pull(name))
    clients.publish(topic, b"open")
    snapshot = f"{PROJECT}/snapshots/before-release"
    clients.subscriber.create_snapshot(name=snapshot, subscription=name)
    clients.publish(topic, b"after")
    clients.ack(name, *clients.pull(name))
    clients.subscriber.seek(request={"subscription": name, "snapshot": snapshot})

    assert data(clients.pull(name)) == [b"open", b"after"]
    clients.subscriber.delete_snapshot(snapshot=snapshot)


def test_exactly_once_refuses_a_lease_that_is_over(clients: Clients) -> None:
    topic = clients.topic()
    name = clients.subscription(topic, enable_exactly_once_delivery=True)
    clients.publish(topic, b"a")
    found = clients.pull(name)
    clients.ack(name, *found)

    with pytest.raises(InvalidArgument, match="invalid or over"):
        clients.ack(name, *found)


def test_a_push_subscription_cannot_be_pulled(clients: Clients) -> None:
    name = clients.subscription(clients.topic(), push_config={"push_endpoint": "http://127.0.0.1:9/"})

    with pytest.raises(FailedPrecondition):
        clients.pull(name)


def test_a_waiting_pull_gets_a_message_as_it_comes(clients: Clients) -> None:
    topic = clients.topic()
    name = clients.subscription(topic)
    threading.Timer(0.2, clients.publish, (topic, b"late")).start()
    started = time.monotonic()
    found = clients.subscriber.pull(subscription=name, max_messages=1).received_messages

    assert data(found) == [b"late"]
    assert 0.1 < time.monotonic() - started < 2


class Listener:
    """A real streaming subscriber that collects what it gets."""

    def __init__(self, clients: Clients, name: str, *, refuse_first: bool = False, **flow: Any) -> None:
        self.seen: list[bytes] = []
        self.most_at_once = self._open = 0
        self._refuse_first = refuse_first
        self._changed = threading.Condition()
        control = FlowControl(**flow) if flow else FlowControl()
        self.future = clients.subscriber.subscribe(name, self._take, flow_control=control)

    def _take(self, message: Any) -> None:
        with self._changed:
            self.seen.append(message.data)
            self._open += 1
            self.most_at_once = max(self.most_at_once, self._open)
            refuse = self._refuse_first and len(self.seen) == 1
            self._changed.notify_all()
        time.sleep(0.005)
        with self._changed:
            self._open -= 1
        message.nack() if refuse else message.ack()

    def wait(self, count: int) -> list[bytes]:
        with self._changed:
            self._changed.wait_for(lambda: len(self.seen) >= count, 10)
            return list(self.seen)

    def stop(self) -> None:
        self.future.cancel()
        self.future.result(timeout=10)


def test_a_streaming_subscriber_gets_everything_once(clients: Clients) -> None:
    topic = clients.topic()
    name = clients.subscription(topic)
    listener = Listener(clients, name)
    sent = [b"%d" % number for number in range(300)]
    clients.publish(topic, *sent)
    seen = listener.wait(300)
    listener.stop()

    assert sorted(sent) == sorted(seen)


def test_a_streaming_subscriber_gets_a_refused_message_again(clients: Clients) -> None:
    topic = clients.topic()
    name = clients.subscription(topic)
    listener = Listener(clients, name, refuse_first=True)
    clients.publish(topic, b"a")
    seen = listener.wait(2)
    listener.stop()

    assert seen == [b"a", b"a"]


def test_a_streaming_subscriber_never_has_more_than_it_asked_for(clients: Clients) -> None:
    topic = clients.topic()
    name = clients.subscription(topic)
    clients.publish(topic, *[b"x"] * 40)
    listener = Listener(clients, name, max_messages=3)
    seen = listener.wait(40)
    listener.stop()

    assert len(seen) == 40
    assert listener.most_at_once <= 3


def test_a_stream_keeps_the_order_of_a_key(clients: Clients) -> None:
    topic = clients.topic()
    name = clients.subscription(topic, enable_message_ordering=True)
    sent = [b"%d" % number for number in range(30)]
    clients.publish(topic, *sent, ordering_key="k")
    listener = Listener(clients, name)
    seen = listener.wait(30)
    listener.stop()

    assert sent == seen


def test_a_stream_of_exactly_once_confirms_acknowledgements(clients: Clients) -> None:
    topic = clients.topic()
    name = clients.subscription(topic, enable_exactly_once_delivery=True)
    results: list[Any] = []
    done = threading.Event()

    def take(message: Any) -> None:
        results.append(message.ack_with_response())
        done.set()

    future = clients.subscriber.subscribe(name, take)
    clients.publish(topic, b"a")
    done.wait(10)
    outcome = results[0].result(timeout=10)
    future.cancel()
    future.result(timeout=10)

    assert outcome.name == "SUCCESS"
