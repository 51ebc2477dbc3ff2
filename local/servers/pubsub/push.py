"""Delivers a push subscription over HTTP, in the shape of Pub/Sub's own push.

The number of parallel requests starts at one, grows with every success and halves with every failure, as Google's
does.
"""

import base64
import http.client
import json
import logging
import threading
from typing import Any
from urllib.parse import urlsplit

from local.servers.pubsub.backlog import Delivery
from local.servers.pubsub.subscription import Subscription

_log = logging.getLogger(__name__)

SUCCESS = {102, 200, 201, 202, 204}
MAX_PARALLEL = 16
_SLACK = 5.0
"""Seconds a lease outlives the request's own time limit, so that the request decides and not the lease."""


def push_body(config: Any, delivery: Delivery) -> dict[str, Any]:
    """The JSON body of a wrapped push. ``data`` and ``attributes`` are absent when the message has none."""
    message = delivery.message
    published = message.publish_time.ToJsonString()
    content: dict[str, Any] = {
        "messageId": message.message_id,
        "message_id": message.message_id,
        "publishTime": published,
        "publish_time": published,
    }
    if message.data:
        content["data"] = base64.b64encode(message.data).decode()
    if message.attributes:
        content["attributes"] = dict(message.attributes)
    if message.ordering_key:
        content["orderingKey"] = message.ordering_key
    body: dict[str, Any] = {"subscription": config.name, "message": content}
    if config.dead_letter_policy.dead_letter_topic:
        body["deliveryAttempt"] = delivery.attempts
    return body


def push_request(config: Any, delivery: Delivery) -> tuple[bytes, dict[str, str]]:
    """Body and headers as ``config`` asks for them: wrapped, or the bare data with what is known in headers."""
    if not config.push_config.HasField("no_wrapper"):
        return json.dumps(push_body(config, delivery)).encode(), {"content-type": "application/json"}
    message = delivery.message
    headers = {"content-type": "application/octet-stream"}
    if config.push_config.no_wrapper.write_metadata:
        headers["x-goog-pubsub-subscription-name"] = config.name
        headers["x-goog-pubsub-message-id"] = message.message_id
        headers["x-goog-pubsub-publish-time"] = message.publish_time.ToJsonString()
        if message.ordering_key:
            headers["x-goog-pubsub-ordering-key"] = message.ordering_key
        headers.update(message.attributes)
    return bytes(message.data), headers


class Pusher:
    """Takes messages from a push subscription and posts them until it is closed."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self._config = subscription.config
        self._open = 1
        self._changed = threading.Condition()
        self._closed = False
        self._threads: list[threading.Thread] = []
        self._start_one()

    def close(self) -> None:
        """Stop taking messages; requests under way end by themselves."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._subscription.wake()

    def join(self, timeout: float) -> None:
        """Wait for requests under way, up to ``timeout`` seconds for each."""
        for thread in self._threads:
            thread.join(timeout)

    def _start_one(self) -> None:
        number = len(self._threads)
        name = f"push-{self._subscription.name.rsplit('/', 1)[1]}-{number}"
        thread = threading.Thread(target=self._work, args=(number,), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self, number: int) -> None:
        endpoint = _Endpoint(self._config.push_config.push_endpoint, self._config.ack_deadline_seconds)
        lease = self._config.ack_deadline_seconds + _SLACK
        while self._may_run(number):
            for delivery in self._subscription.take(1, 3600.0, lease, self._is_closed):
                error = endpoint.post(*push_request(self._config, delivery))
                self._settle(delivery, error)
        endpoint.close()

    def _settle(self, delivery: Delivery, error: str) -> None:
        if error:
            _log.info("%s: message %s: %s", self._subscription.name, delivery.message.message_id, error)
            self._subscription.modify(delivery.lease, 0, error)
        else:
            self._subscription.acknowledge([delivery.lease])
        with self._changed:
            self._open = max(1, self._open // 2) if error else min(MAX_PARALLEL, self._open + 1)
            if self._open > len(self._threads) and not self._closed:
                self._start_one()
            self._changed.notify_all()

    def _may_run(self, number: int) -> bool:
        with self._changed:
            while not self._closed and number >= self._open:
                self._changed.wait()
            return not self._closed

    def _is_closed(self) -> bool:
        return self._closed


class _Endpoint:
    """One kept-open HTTP connection to a push endpoint."""

    def __init__(self, url: str, timeout: float) -> None:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.netloc, timeout=timeout)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def post(self, body: bytes, headers: dict[str, str]) -> str:
        """Send one request; an empty string means success, else what went wrong."""
        kept_open = self._connection.sock is not None
        try:
            try:
                return self._send(body, headers)
            except (http.client.RemoteDisconnected, ConnectionError):
                # A server may close a connection that was idle; only a fresh one says that it is gone.
                if not kept_open:
                    raise
                self._connection.close()
                return self._send(body, headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._connection.close()
            return f"{type(error).__name__}: {error}"

    def close(self) -> None:
        self._connection.close()

    def _send(self, body: bytes, headers: dict[str, str]) -> str:
        self._connection.request("POST", self._path, body, headers)
        response = self._connection.getresponse()
        text = response.read()
        if response.status in SUCCESS:
            return ""
        return f"HTTP {response.status}: {text[:200].decode(errors='replace')}"
