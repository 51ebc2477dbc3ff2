"""What every Bus promises, in memory and on Pub/Sub's protocol."""

from collections.abc import Callable, Iterator

import grpc
import pytest
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from gcp.bus import PubsubBus
from local.memory.bus import MemoryBus
from local.servers.pubsub import PubSubServer
from retraining.errors import Refused
from retraining.ports import Bus

TOPIC = "candidates"
Received = Callable[[], list[tuple[str, dict[str, str]]]]  # bodies and attributes, in the order of their bodies


class BusContract:
    """Facts about any Bus with one topic, and what arrived on it."""

    def test_a_published_message_arrives_whole(self, bus: Bus, received: Received) -> None:
        bus.publish(TOPIC, '{"run": "flights-1", "note": "naïve"}', {"model": "flights"})

        assert received() == [('{"run": "flights-1", "note": "naïve"}', {"model": "flights"})]

    def test_every_message_arrives(self, bus: Bus, received: Received) -> None:
        for number in range(5):
            bus.publish(TOPIC, f"body {number}", {})

        assert received() == [(f"body {number}", {}) for number in range(5)]

    def test_publishing_to_no_topic_is_refused_by_name(self, bus: Bus) -> None:
        with pytest.raises(Refused, match="nowhere"):
            bus.publish("nowhere", "{}", {})


class TestMemoryBus(BusContract):
    """The promises in memory."""

    @pytest.fixture
    def bus(self) -> MemoryBus:
        return MemoryBus(TOPIC)

    @pytest.fixture
    def received(self, bus: MemoryBus) -> Received:
        return lambda: [(message.body, message.attributes) for message in bus.messages(TOPIC)]


class TestPubsubBus(BusContract):
    """The promises on Pub/Sub's protocol."""

    @pytest.fixture
    def address(self) -> Iterator[str]:
        with PubSubServer(0) as server:
            yield server.address

    @pytest.fixture
    def received(self, address: str) -> Received:
        channel = grpc.insecure_channel(address)
        topic, subscription = f"projects/local-test/topics/{TOPIC}", "projects/local-test/subscriptions/all"
        PublisherClient(transport=PublisherGrpcTransport(channel=channel)).create_topic(name=topic)
        subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        subscriber.create_subscription(request={"name": subscription, "topic": topic})

        def pull() -> list[tuple[str, dict[str, str]]]:
            answer = subscriber.pull(subscription=subscription, max_messages=10)
            got = [(item.message.data.decode(), dict(item.message.attributes)) for item in answer.received_messages]
            return sorted(got, key=lambda message: message[0])

        return pull

    @pytest.fixture
    def bus(self, address: str, received: Received, monkeypatch: pytest.MonkeyPatch) -> PubsubBus:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        return PubsubBus("local-test")
