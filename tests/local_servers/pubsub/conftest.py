"""A Pub/Sub for the module, real clients on it, and topics and subscriptions of their own for each test."""

import itertools
import json
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import pytest
from google.cloud import pubsub_v1
from google.pubsub_v1 import PublisherClient, PubsubMessage
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from local.servers.pubsub import PubSubServer

PROJECT = "projects/test-project"


@dataclass
class Clients:
    """The real clients on one server, and short ways to do what every test does."""

    server: PubSubServer
    channel: Any
    api: Any = field(init=False)
    subscriber: Any = field(init=False)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.api = PublisherClient(transport=PublisherGrpcTransport(channel=self.channel))
        self.subscriber = pubsub_v1.SubscriberClient(transport=SubscriberGrpcTransport(channel=self.channel))

    def topic(self) -> str:
        """A new topic's name."""
        name = f"{PROJECT}/topics/topic-{next(self._numbers)}"
        self.api.create_topic(name=name)
        return name

    def subscription(self, topic: str, **settings: Any) -> str:
        """A new subscription's name."""
        name = f"{PROJECT}/subscriptions/sub-{next(self._numbers)}"
        self.subscriber.create_subscription(request={"name": name, "topic": topic, **settings})
        return name

    def publish(self, topic: str, *data: bytes, ordering_key: str = "", **attributes: str) -> list[str]:
        """Publish each of ``data`` in one request; returns the ids."""
        messages = [PubsubMessage(data=one, attributes=attributes, ordering_key=ordering_key) for one in data]
        return list(self.api.publish(topic=topic, messages=messages).message_ids)

    def pull(self, subscription: str, limit: int = 10, wait: float = 0.0) -> list[Any]:
        """What a pull gives at once, or within ``wait`` seconds."""
        end = time.monotonic() + wait
        while True:
            request = {"subscription": subscription, "max_messages": limit, "return_immediately": True}
            with warnings.catch_warnings():
                # Deprecated by Google, and the one way to ask whether there is nothing.
                warnings.simplefilter("ignore", DeprecationWarning)
                found = list(self.subscriber.pull(request=request).received_messages)
            if found or time.monotonic() >= end:
                return found
            time.sleep(0.02)

    def ack(self, subscription: str, *received: Any) -> None:
        """Acknowledge received messages."""
        ids = [one.ack_id for one in received]
        self.subscriber.acknowledge(subscription=subscription, ack_ids=ids)

    def nack(self, subscription: str, *received: Any) -> None:
        """Give received messages back."""
        ids = [one.ack_id for one in received]
        self.subscriber.modify_ack_deadline(subscription=subscription, ack_ids=ids, ack_deadline_seconds=0)


def connect(server: PubSubServer) -> Clients:
    """Clients of a running server."""
    options = [("grpc.max_receive_message_length", -1)]
    return Clients(server, grpc.insecure_channel(server.address, options=options))


@pytest.fixture(scope="module")
def clients() -> Iterator[Clients]:
    with PubSubServer(rest_port=0) as server:
        found = connect(server)
        yield found
        found.channel.close()


@dataclass
class Endpoint:
    """An HTTP endpoint that records (headers, body, arrival in monotonic s); ``answer`` gives the status."""

    url: str = ""
    requests: list[tuple[dict[str, str], bytes, float]] = field(default_factory=list)
    answer: Callable[[int], int] = lambda _number: 204
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def wait(self, count: int, timeout: float = 10.0) -> list[tuple[dict[str, str], bytes, float]]:
        """The requests once there are ``count`` of them, or those of ``timeout`` seconds."""
        with self.arrived:
            self.arrived.wait_for(lambda: len(self.requests) >= count, timeout)
            return list(self.requests)

    def bodies(self, count: int) -> list[dict[str, Any]]:
        """The JSON bodies of the first ``count`` requests."""
        return [json.loads(body) for _, body, _ in self.wait(count)][:count]


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    found = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            with found.arrived:
                found.requests.append((dict(self.headers), body, time.monotonic()))
                status = found.answer(len(found.requests))
                found.arrived.notify_all()
            self.send_response(status)
            if status != 204:
                self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_port}/push"
    yield found
    server.shutdown()
    server.server_close()
