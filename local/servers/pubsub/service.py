"""The Pub/Sub API: each method of PublisherService and SubscriberService over the broker.

Message types come from the installed client. ``PubSubServer`` is the server as a context manager.
"""

import functools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import grpc
from google.protobuf import empty_pb2
from google.pubsub_v1 import types

from gcp.clock import Clock
from local.servers.pubsub import names
from local.servers.pubsub.broker import Broker
from local.servers.pubsub.storage import Storage
from local.servers.pubsub.streaming import received, streaming_pull
from local.servers.pubsub.subscription import Wall
from local.servers.rpc import (
    GenericRpcHandler,
    GrpcServer,
    RestServer,
    RpcError,
    environment_clock,
    failed_precondition,
    harvest,
    invalid,
    rest_app,
)

_STREAMING_PULL = "/google.pubsub.v1.Subscriber/StreamingPull"
_FIXED = {"name", "topic", "filter", "enable_message_ordering"}
"""What a subscription keeps from its creation on."""
_PULL_WAIT = 5.0
"""How long a pull waits for its first message, in seconds."""
_SNAPSHOT_LIFE = 7 * names.DAY

_CreateSnapshot = types.Snapshot.pb()
_PublishResponse = types.PublishResponse.pb()
_PullResponse = types.PullResponse.pb()
_SeekResponse = types.SeekResponse.pb()
_Empty = empty_pb2.Empty


class Service:
    """RPC names to what they do. A method takes its request message and returns the response; raises RpcError."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def CreateTopic(self, request: Any) -> Any:
        names.check_name(request.name, "topics")
        self._broker.put_topic(request, new=True)
        return request

    def GetTopic(self, request: Any) -> Any:
        return self._broker.topic(request.topic)

    def UpdateTopic(self, request: Any) -> Any:
        topic = _merged(self._broker.topic(request.topic.name), request.topic, request.update_mask, {"name"})
        self._broker.put_topic(topic, new=False)
        return topic

    def ListTopics(self, request: Any) -> Any:
        found = _of_project(self._broker.topics, request.project)
        page, token = _page(found, request)
        return types.ListTopicsResponse.pb()(topics=[self._broker.topics[n] for n in page], next_page_token=token)

    def ListTopicSubscriptions(self, request: Any) -> Any:
        self._broker.topic(request.topic)
        page, token = _page([one.name for one in self._broker.of_topic(request.topic)], request)
        return types.ListTopicSubscriptionsResponse.pb()(subscriptions=page, next_page_token=token)

    def DeleteTopic(self, request: Any) -> Any:
        self._broker.delete_topic(request.topic)
        return _Empty()

    def Publish(self, request: Any) -> Any:
        names.check_messages(request)
        return _PublishResponse(message_ids=self._broker.publish(request.topic, request.messages))

    def CreateSubscription(self, request: Any) -> Any:
        names.check_name(request.name, "subscriptions")
        names.check_subscription(request)
        self._broker.create_subscription(request)
        return request

    def GetSubscription(self, request: Any) -> Any:
        return self._broker.subscription(request.subscription).config

    def UpdateSubscription(self, request: Any) -> Any:
        before = self._broker.subscription(request.subscription.name).config
        config = _merged(before, request.subscription, request.update_mask, _FIXED)
        names.check_subscription(config)
        self._broker.configure(config)
        return config

    def ListSubscriptions(self, request: Any) -> Any:
        known = self._broker.subscriptions
        page, token = _page(_of_project(known, request.project), request)
        configs = [known[name].config for name in page]
        return types.ListSubscriptionsResponse.pb()(subscriptions=configs, next_page_token=token)

    def DeleteSubscription(self, request: Any) -> Any:
        self._broker.delete_subscription(request.subscription)
        return _Empty()

    def ModifyPushConfig(self, request: Any) -> Any:
        names.check_push(request.push_config)
        config = _copy(self._broker.subscription(request.subscription).config)
        config.push_config.CopyFrom(request.push_config)
        self._broker.configure(config)
        return _Empty()

    def Pull(self, request: Any) -> Any:
        if request.max_messages < 1:
            raise invalid(f"max_messages: expected at least 1, got {request.max_messages}")
        subscription = self._broker.subscription(request.subscription)
        if subscription.config.push_config.push_endpoint:
            raise failed_precondition(f"{request.subscription} pushes its messages: it cannot be pulled")
        wait = 0.0 if request.return_immediately else _PULL_WAIT
        taken = subscription.take(request.max_messages, wait, subscription.config.ack_deadline_seconds)
        return _PullResponse(received_messages=[received(subscription.config, one) for one in taken])

    def Acknowledge(self, request: Any) -> Any:
        subscription = self._broker.subscription(request.subscription)
        _confirm(subscription.config, subscription.acknowledge(request.ack_ids))
        return _Empty()

    def ModifyAckDeadline(self, request: Any) -> Any:
        if not 0 <= request.ack_deadline_seconds <= 600:
            raise invalid(f"ack_deadline_seconds: expected 0 to 600, got {request.ack_deadline_seconds}")
        subscription = self._broker.subscription(request.subscription)
        seconds = request.ack_deadline_seconds
        unknown = [lease for lease in request.ack_ids if not subscription.modify(lease, seconds)]
        _confirm(subscription.config, unknown)
        return _Empty()

    def Seek(self, request: Any) -> Any:
        subscription = self._broker.subscription(request.subscription)
        if request.WhichOneof("target") == "snapshot":
            snapshot = self._broker.snapshot(request.snapshot)
            if snapshot.topic != subscription.config.topic:
                raise failed_precondition(f"{request.snapshot} is of {snapshot.topic}, not of {subscription.name}")
            subscription.seek_snapshot(request.snapshot)
        elif request.WhichOneof("target") == "time":
            subscription.seek_time(request.time.ToNanoseconds() / 1e9)
        else:
            raise invalid("seek: expected a time or a snapshot")
        return _SeekResponse()

    def CreateSnapshot(self, request: Any) -> Any:
        names.check_name(request.name, "snapshots")
        subscription = self._broker.subscription(request.subscription)
        snapshot = _CreateSnapshot(name=request.name, topic=subscription.config.topic, labels=dict(request.labels))
        snapshot.expire_time.FromSeconds(int(time.time()) + _SNAPSHOT_LIFE)
        self._broker.create_snapshot(snapshot, subscription)
        return snapshot

    def GetSnapshot(self, request: Any) -> Any:
        return self._broker.snapshot(request.snapshot)

    def ListSnapshots(self, request: Any) -> Any:
        page, token = _page(_of_project(self._broker.snapshots, request.project), request)
        found = [self._broker.snapshots[name] for name in page]
        return types.ListSnapshotsResponse.pb()(snapshots=found, next_page_token=token)

    def DeleteSnapshot(self, request: Any) -> Any:
        self._broker.delete_snapshot(request.snapshot)
        return _Empty()


class PubSubServer:
    """Pub/Sub on 127.0.0.1. ``address`` (host:port) is for ``PUBSUB_EMULATOR_HOST``; ``url`` is its REST door.

    ``state`` is the folder that survives a restart, none for memory only. ``clock`` stamps ``publish_time``, which
    functions read as the time of the fact; ``wall`` (unix s) runs deadlines, backoff and retention.
    """

    def __init__(
        self,
        port: int = 0,
        state: Path | None = None,
        clock: Clock | None = None,
        wall: Wall = time.time,
        rest_port: int | None = None,
    ) -> None:
        self._storage = Storage(state)
        self._broker = Broker(self._storage, clock or environment_clock(), wall)
        self._service = Service(self._broker)
        self._faults: Counter[str] = Counter()
        self._fault_codes: dict[str, grpc.StatusCode] = {}
        api = harvest("google.pubsub_v1", ["publisher", "subscriber"])
        stream = functools.partial(
            streaming_pull, self._broker.subscription, functools.partial(self._fault, "StreamingPull")
        )
        self._grpc = GrpcServer(GenericRpcHandler(self.call, api.rpcs, {_STREAMING_PULL: stream}), port)
        self._rest = None if rest_port is None else RestServer(rest_app(self.call, api), rest_port)
        self.address = self._grpc.address
        self.url = "" if self._rest is None else self._rest.url

    def __enter__(self) -> Self:
        self._grpc.__enter__()
        if self._rest is not None:
            self._rest.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._broker.close()
        if self._rest is not None:
            self._rest.__exit__()
        self._grpc.__exit__()
        self._storage.close()

    def call(self, path: str, request: Any) -> Any:
        """Serve one unary call by its gRPC path. Raises RpcError."""
        name = path.rsplit("/", 1)[1]
        self._fault(name)
        method: Callable[[Any], Any] | None = getattr(self._service, name, None)
        if method is None:
            raise RpcError(grpc.StatusCode.UNIMPLEMENTED, f"{name} is not served by the local Pub/Sub")
        return method(request)

    def fail_next(self, method: str, count: int = 1, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> None:
        """Let the next ``count`` calls of ``method`` (such as ``Publish``) fail with ``code``."""
        self._fault_codes[method] = code
        self._faults[method] += count

    def undelivered(self, subscription: str) -> int:
        """How many messages of a subscription are not acknowledged. Raises RpcError NOT_FOUND."""
        return len(self._broker.subscription(subscription))

    def _fault(self, method: str) -> None:
        if self._faults[method] > 0:
            self._faults[method] -= 1
            raise RpcError(self._fault_codes[method], f"{method} fails as the test asked for")


def _copy(message: Any) -> Any:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def _merged(before: Any, change: Any, mask: Any, fixed: set[str]) -> Any:
    """``before`` with the masked fields of ``change``. Raises INVALID_ARGUMENT for a field that may not change."""
    if not mask.paths:
        raise invalid("update_mask: expected the names of the fields to change, got none")
    known = before.DESCRIPTOR.fields_by_name
    for path in mask.paths:
        if path.split(".")[0] not in known:
            raise invalid(f"update_mask: {before.DESCRIPTOR.name} has no field {path!r}")
        if path in fixed:
            raise invalid(f"update_mask: {path!r} cannot change after creation")
    after = _copy(before)
    for path in mask.paths:
        if "." not in path:
            after.ClearField(path)
    mask.MergeMessage(change, after, replace_message_field=True, replace_repeated_field=True)
    return after


def _confirm(config: Any, unknown: Sequence[str]) -> None:
    """With exactly-once delivery a lease that is over is an error; without, it is nobody's concern."""
    if unknown and config.enable_exactly_once_delivery:
        raise invalid(f"Some acknowledgement ids in the request were invalid or over: {', '.join(unknown)}")


def _of_project(resources: dict[str, Any], project: str) -> list[str]:
    return [name for name in resources if name.startswith(f"{project}/")]


def _page(found: Sequence[str], request: Any) -> tuple[list[str], str]:
    """One page of sorted names and the token of the next. The token is the last name of the page."""
    rest = [name for name in sorted(found) if name > request.page_token]
    size = request.page_size or 1000
    return rest[:size], rest[size - 1] if len(rest) > size else ""
