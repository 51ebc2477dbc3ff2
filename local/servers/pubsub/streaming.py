"""The two-way stream behind ``SubscriberClient.subscribe``: messages go one way, acknowledgements the other."""

import contextlib
import threading
import uuid
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

from google.pubsub_v1 import types

from local.servers.pubsub.subscription import Holder, Subscription

_BATCH = 100
_WAIT = 30.0
"""Seconds until a stream looks again, should nothing wake it."""
_Response = types.StreamingPullResponse.pb()
_Received = types.ReceivedMessage.pb()
Check = Callable[[], None]


class _Stream:
    """One open stream: it keeps no message of its own, the subscription knows what it has out."""

    def __init__(self, first: Any, subscription: Subscription, context: Any) -> None:
        self._subscription = subscription
        self._context = context
        self._holder = Holder(uuid.uuid4().hex, first.max_outstanding_messages)
        self._lease = float(first.stream_ack_deadline_seconds or subscription.config.ack_deadline_seconds)
        self._confirmations: SimpleQueue[Any] = SimpleQueue()
        self._ended = False

    def read(self, requests: Iterator[Any]) -> None:
        """Follow the client's requests until it leaves."""
        # gRPC raises a bare Exception out of the iterator when the client leaves: that is how most streams end.
        with contextlib.suppress(Exception):
            for request in requests:
                self.apply(request)
        self.end()

    def apply(self, request: Any) -> None:
        """Acknowledge, extend and refuse what one request names."""
        if request.stream_ack_deadline_seconds:
            self._lease = float(request.stream_ack_deadline_seconds)
        confirmation = _Response()
        if request.ack_ids:
            unknown = set(self._subscription.acknowledge(request.ack_ids))
            answer = confirmation.acknowledge_confirmation
            answer.ack_ids.extend(one for one in request.ack_ids if one not in unknown)
            answer.invalid_ack_ids.extend(unknown)
        deadlines = zip(request.modify_deadline_ack_ids, request.modify_deadline_seconds, strict=True)
        for lease, seconds in deadlines:
            answer = confirmation.modify_ack_deadline_confirmation
            known = self._subscription.modify(lease, seconds)
            (answer.ack_ids if known else answer.invalid_ack_ids).append(lease)
        if self._subscription.config.enable_exactly_once_delivery and confirmation.ByteSize():
            self._confirmations.put(confirmation)
            self._subscription.wake()

    def responses(self) -> Iterator[Any]:
        """Messages and confirmations until the client leaves or the subscription is closed."""
        yield self._stamped(_Response())
        while self._active():
            while not self._confirmations.empty():
                yield self._stamped(self._confirmations.get())
            taken = self._subscription.take(_BATCH, _WAIT, self._lease, self._interrupted, self._holder)
            if taken:
                response = self._stamped(_Response())
                response.received_messages.extend(received(self._subscription.config, one) for one in taken)
                yield response

    def end(self) -> None:
        """The client left."""
        self._ended = True
        self._subscription.wake()

    def _active(self) -> bool:
        return not self._ended and not self._subscription.closed and bool(self._context.is_active())

    def _interrupted(self) -> bool:
        return not self._confirmations.empty() or not self._active()

    def _stamped(self, response: Any) -> Any:
        config = self._subscription.config
        properties = response.subscription_properties
        properties.exactly_once_delivery_enabled = config.enable_exactly_once_delivery
        properties.message_ordering_enabled = config.enable_message_ordering
        return response


def received(config: Any, delivery: Any) -> Any:
    """One message as a subscriber gets it; it counts its attempts only where dead letters are set up."""
    counted = bool(config.dead_letter_policy.dead_letter_topic)
    return _Received(
        ack_id=delivery.lease, message=delivery.message, delivery_attempt=delivery.attempts if counted else 0
    )


def streaming_pull(
    find: Callable[[str], Subscription], check: Check, requests: Iterator[Any], context: Any
) -> Iterator[Any]:
    """Serve one stream; the first request names the subscription. Raises NOT_FOUND, and what ``check`` raises."""
    check()
    try:
        first = next(requests)
    except StopIteration:
        return
    stream = _Stream(first, find(first.subscription), context)
    context.add_callback(stream.end)
    stream.apply(first)
    threading.Thread(target=stream.read, args=(requests,), name="pubsub-stream", daemon=True).start()
    yield from stream.responses()
