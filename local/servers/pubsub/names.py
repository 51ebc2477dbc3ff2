"""What Pub/Sub refuses before it does anything: bad names, empty or oversized messages, settings out of range."""

import re
from typing import Any
from urllib.parse import urlsplit

import grpc

from local.servers.pubsub.filters import compile_filter
from local.servers.rpc import RpcError, invalid

MAX_REQUEST_BYTES = 10_000_000
MAX_MESSAGES = 1000
MAX_ATTRIBUTES = 100
MAX_KEY_BYTES = 256
MAX_VALUE_BYTES = 1024
MAX_ORDERING_KEY_BYTES = 1024
DELETED_TOPIC = "_deleted-topic_"
DAY = 86_400

_ID = re.compile(r"(?!goog)[A-Za-z][A-Za-z0-9\-._~+%]{2,254}")
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def check_name(name: str, kind: str) -> None:
    """``name`` must be ``projects/P/<kind>/ID`` with an id of 3 to 255 characters. Raises INVALID_ARGUMENT."""
    parts = name.split("/")
    shaped = len(parts) == 4 and parts[0] == "projects" and parts[1] and parts[2] == kind
    if not shaped or not _ID.fullmatch(parts[3]):
        raise invalid(
            f"expected projects/PROJECT/{kind}/ID with an ID of 3 to 255 letters, digits or -._~+% that starts "
            f"with a letter and not with 'goog', got {name!r}"
        )


def check_messages(request: Any) -> None:
    """A publish request must keep Google's limits. Raises INVALID_ARGUMENT."""
    if not request.messages:
        raise invalid(f"publish to {request.topic}: the request holds no message")
    if len(request.messages) > MAX_MESSAGES:
        raise invalid(f"publish: expected at most {MAX_MESSAGES} messages, got {len(request.messages)}")
    size = request.ByteSize()
    if size > MAX_REQUEST_BYTES:
        raise invalid(f"publish: expected at most {MAX_REQUEST_BYTES} bytes, got {size}")
    for message in request.messages:
        _check_message(message)


def _check_message(message: Any) -> None:
    if not message.data and not message.attributes:
        raise invalid("publish: a message must contain either non-empty data or at least one attribute")
    if len(message.attributes) > MAX_ATTRIBUTES:
        raise invalid(f"publish: at most {MAX_ATTRIBUTES} attributes, got {len(message.attributes)}")
    if len(message.ordering_key.encode()) > MAX_ORDERING_KEY_BYTES:
        raise invalid(f"publish: an ordering key has at most {MAX_ORDERING_KEY_BYTES} bytes")
    for key, value in message.attributes.items():
        if not key or len(key.encode()) > MAX_KEY_BYTES or key.startswith("goog"):
            raise invalid(f"publish: an attribute's key has 1 to {MAX_KEY_BYTES} bytes and no 'goog', got {key!r}")
        if len(value.encode()) > MAX_VALUE_BYTES:
            raise invalid(f"publish: attribute {key!r} has at most {MAX_VALUE_BYTES} bytes")


def check_subscription(config: Any) -> None:
    """Complete ``config`` with Google's defaults and refuse what Google refuses. Raises INVALID_ARGUMENT."""
    compile_filter(config.filter)
    config.ack_deadline_seconds = config.ack_deadline_seconds or 10
    if not 10 <= config.ack_deadline_seconds <= 600:
        raise invalid(f"ack_deadline_seconds: expected 10 to 600, got {config.ack_deadline_seconds}")
    if not config.HasField("message_retention_duration"):
        config.message_retention_duration.FromSeconds(7 * DAY)
    retention = config.message_retention_duration.ToTimedelta().total_seconds()
    if not 600 <= retention <= 31 * DAY:
        raise invalid(f"message_retention_duration: expected 10 minutes to 31 days, got {retention} s")
    if config.HasField("retry_policy"):
        _check_retry(config.retry_policy)
    if config.HasField("dead_letter_policy"):
        _check_dead_letter(config.dead_letter_policy)
    check_push(config.push_config)
    for field in ("bigquery_config", "cloud_storage_config", "bigtable_config"):
        if field in config.DESCRIPTOR.fields_by_name and config.HasField(field):
            raise RpcError(grpc.StatusCode.UNIMPLEMENTED, f"{field}: the local Pub/Sub delivers by pull and push")
    if config.message_transforms:
        raise RpcError(grpc.StatusCode.UNIMPLEMENTED, "message_transforms: the local Pub/Sub transforms nothing")


def _check_retry(policy: Any) -> None:
    if not policy.HasField("minimum_backoff"):
        policy.minimum_backoff.FromSeconds(10)
    if not policy.HasField("maximum_backoff"):
        policy.maximum_backoff.FromSeconds(600)
    low = policy.minimum_backoff.ToTimedelta().total_seconds()
    high = policy.maximum_backoff.ToTimedelta().total_seconds()
    if not 0 <= low <= high <= 600:
        raise invalid(f"retry_policy: expected 0 <= minimum <= maximum <= 600 s, got minimum {low}, maximum {high}")


def _check_dead_letter(policy: Any) -> None:
    check_name(policy.dead_letter_topic, "topics")
    policy.max_delivery_attempts = policy.max_delivery_attempts or 5
    if not 5 <= policy.max_delivery_attempts <= 100:
        raise invalid(
            f"dead_letter_policy.max_delivery_attempts: expected 5 to 100, got {policy.max_delivery_attempts}"
        )


def check_push(push: Any) -> None:
    """A push endpoint must be an http(s) address of this machine: a local stack sends nothing elsewhere."""
    if not push.push_endpoint:
        return
    address = urlsplit(push.push_endpoint)
    if address.scheme not in ("http", "https") or address.hostname not in _LOOPBACK:
        raise invalid(f"push_endpoint: expected http://127.0.0.1:PORT/..., got {push.push_endpoint!r}")
