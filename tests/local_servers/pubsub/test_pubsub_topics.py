"""Topics, subscriptions and publishing: what is kept, listed and refused."""

import re
from datetime import UTC, datetime

import grpc
import pytest
import requests
from google.api_core.exceptions import (
    AlreadyExists,
    InvalidArgument,
    MethodNotImplemented,
    NotFound,
    PermissionDenied,
)
from google.cloud import pubsub_v1
from google.protobuf.field_mask_pb2 import FieldMask

from local.servers.pubsub import PubSubServer
from tests.local_servers.pubsub.conftest import PROJECT, Clients, connect


def test_the_emulator_variable_leads_the_client_here(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", clients.server.address)
    topic = clients.topic()
    name = clients.subscription(topic)

    with pubsub_v1.PublisherClient() as publisher:
        message_id = publisher.publish(topic, b"x", origin="test").result(timeout=5)
    found = clients.pull(name)

    assert (message_id, {"origin": "test"}) == (found[0].message.message_id, dict(found[0].message.attributes))


def test_a_topic_can_be_read_changed_listed_and_deleted(clients: Clients) -> None:
    topic = clients.topic()
    change = {"topic": {"name": topic, "labels": {"team": "a"}}, "update_mask": FieldMask(paths=["labels"])}
    clients.api.update_topic(request=change)

    assert dict(clients.api.get_topic(topic=topic).labels) == {"team": "a"}
    assert topic in [one.name for one in clients.api.list_topics(project=PROJECT)]
    clients.api.delete_topic(topic=topic)
    with pytest.raises(NotFound, match=re.escape(f"Topic not found: {topic}")):
        clients.api.get_topic(topic=topic)


def test_lists_come_in_pages(clients: Clients) -> None:
    topic = clients.topic()
    names = sorted(clients.subscription(topic) for _ in range(5))

    pages = list(clients.api.list_topic_subscriptions(request={"topic": topic, "page_size": 2}).pages)

    assert [len(page.subscriptions) for page in pages] == [2, 2, 1]
    assert names == [name for page in pages for name in page.subscriptions]


def test_what_exists_is_not_created_again(clients: Clients) -> None:
    topic = clients.topic()

    with pytest.raises(AlreadyExists):
        clients.api.create_topic(name=topic)


def test_a_subscription_needs_its_topic(clients: Clients) -> None:
    with pytest.raises(NotFound):
        clients.subscription(f"{PROJECT}/topics/nowhere")


def test_a_subscription_outlives_its_topic(clients: Clients) -> None:
    topic = clients.topic()
    name = clients.subscription(topic)
    clients.publish(topic, b"before")
    clients.api.delete_topic(topic=topic)

    assert clients.subscriber.get_subscription(subscription=name).topic == "_deleted-topic_"
    assert [one.message.data for one in clients.pull(name)] == [b"before"]


def test_a_subscription_gets_googles_defaults(clients: Clients) -> None:
    name = clients.subscription(clients.topic(), retry_policy={})

    found = clients.subscriber.get_subscription(subscription=name)

    assert found.ack_deadline_seconds == 10
    assert found.message_retention_duration.total_seconds() == 7 * 86_400
    policy = found.retry_policy
    assert (policy.minimum_backoff.total_seconds(), policy.maximum_backoff.total_seconds()) == (10, 600)


def test_a_deleted_subscription_is_gone(clients: Clients) -> None:
    name = clients.subscription(clients.topic())
    clients.subscriber.delete_subscription(subscription=name)

    with pytest.raises(NotFound, match="Subscription not found"):
        clients.subscriber.get_subscription(subscription=name)


@pytest.mark.parametrize("bad", ["ab", "1abc", "goog-topic", "a" * 256, "a b c", "a/b"])
def test_a_bad_id_is_refused(clients: Clients, bad: str) -> None:
    with pytest.raises(InvalidArgument, match="3 to 255"):
        clients.api.create_topic(name=f"{PROJECT}/topics/{bad}")


@pytest.mark.parametrize(
    "settings",
    [
        {"ack_deadline_seconds": 9},
        {"ack_deadline_seconds": 601},
        {"message_retention_duration": {"seconds": 599}},
        {"retry_policy": {"minimum_backoff": {"seconds": 20}, "maximum_backoff": {"seconds": 10}}},
        {"retry_policy": {"maximum_backoff": {"seconds": 601}}},
        {"dead_letter_policy": {"dead_letter_topic": f"{PROJECT}/topics/dead", "max_delivery_attempts": 4}},
        {"dead_letter_policy": {"dead_letter_topic": f"{PROJECT}/topics/dead", "max_delivery_attempts": 101}},
        {"push_config": {"push_endpoint": "http://example.com/"}},
    ],
)
def test_a_setting_out_of_range_is_refused(clients: Clients, settings: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument):
        clients.subscription(clients.topic(), **settings)


def test_a_message_needs_data_or_an_attribute(clients: Clients) -> None:
    with pytest.raises(InvalidArgument, match="non-empty data or at least one attribute"):
        clients.publish(clients.topic(), b"")


def test_a_message_of_attributes_only_is_delivered(clients: Clients) -> None:
    topic = clients.topic()
    name = clients.subscription(topic)
    clients.publish(topic, b"", name="scheduler")

    message = clients.pull(name)[0].message

    assert (message.data, dict(message.attributes)) == (b"", {"name": "scheduler"})


@pytest.mark.parametrize(
    ("data", "attributes"),
    [(b"x" * 10_000_001, {}), (b"x", {"k" * 257: "v"}), (b"x", {"k": "v" * 1025}), (b"x", {"goog-a": "v"})],
)
def test_a_message_beyond_the_limits_is_refused(clients: Clients, data: bytes, attributes: dict[str, str]) -> None:
    with pytest.raises(InvalidArgument):
        clients.publish(clients.topic(), data, **attributes)


def test_a_message_of_nearly_ten_megabytes_passes(clients: Clients) -> None:
    topic = clients.topic()
    name = clients.subscription(topic)
    clients.publish(topic, b"x" * 9_900_000)

    assert len(clients.pull(name)[0].message.data) == 9_900_000


def test_publishing_to_an_unknown_topic_is_refused(clients: Clients) -> None:
    with pytest.raises(NotFound, match="Topic not found"):
        clients.publish(f"{PROJECT}/topics/nowhere", b"x")


def test_the_publish_time_is_the_clocks() -> None:
    """Functions read it as the time of the fact, so a rehearsal's clock must set it."""
    moment = datetime(2013, 5, 1, 12, 30, tzinfo=UTC)
    with PubSubServer(clock=lambda: moment) as server:
        clients = connect(server)
        topic = clients.topic()
        name = clients.subscription(topic)
        clients.publish(topic, b"x")

        found = clients.pull(name)[0].message.publish_time

    assert moment == found


def test_a_failure_on_order_comes_as_often_as_asked(clients: Clients) -> None:
    topic = clients.topic()
    clients.server.fail_next("Publish", 1, grpc.StatusCode.PERMISSION_DENIED)

    with pytest.raises(PermissionDenied):
        clients.publish(topic, b"x")
    assert len(clients.publish(topic, b"x")) == 1


def test_the_client_repeats_what_was_unavailable(clients: Clients) -> None:
    topic = clients.topic()
    name = clients.subscription(topic)
    clients.server.fail_next("Publish", 2)
    clients.publish(topic, b"x")

    assert [one.message.data for one in clients.pull(name)] == [b"x"]


def test_a_kind_of_delivery_that_is_not_served_is_refused(clients: Clients) -> None:
    with pytest.raises(MethodNotImplemented, match="bigquery_config"):
        clients.subscription(clients.topic(), bigquery_config={"table": "p.d.t"})


def test_a_port_is_served_once(clients: Clients) -> None:
    """Two servers on one port would share its calls."""
    port = int(clients.server.address.rsplit(":", 1)[1])

    with pytest.raises(RuntimeError, match="bind"):
        PubSubServer(port=port)


def test_rest_serves_the_same_topics(clients: Clients) -> None:
    topic = clients.topic()
    name = clients.subscription(topic)
    body = {"messages": [{"data": "eA==", "attributes": {"a": "b"}}]}

    answer = requests.post(f"{clients.server.url}/v1/{topic}:publish", json=body, timeout=5)
    refused = requests.post(f"{clients.server.url}/v1/{topic}:publish", json={"message": []}, timeout=5)

    assert [clients.pull(name)[0].message.message_id] == answer.json()["messageIds"]
    assert (refused.status_code, refused.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
