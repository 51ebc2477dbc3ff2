"""From an event to one message, whichever of the shapes it came in.

Pub/Sub's push, the older background shape, a CloudEvent carried inside Pub/Sub (in attributes or as the body), and
an audit log entry that Eventarc delivers without Pub/Sub all become the same ``Message``.
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass, field, replace
from datetime import datetime

from retraining.errors import BadMessage
from retraining.messages.body import decode
from retraining.messages.fields import fields, kind_of, moment
from retraining.names import short_hash
from retraining.ports import Clock

_EXAMPLE = '{"message": {"data": "<base64>", "attributes": {}}, "subscription": "..."}'
_STRUCTURED = "application/cloudevents+json"
_PREVIEW = 1024
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/=-]{0,127}")


@dataclass(frozen=True)
class Event:
    """What arrived, before anything in it is checked.

    Nobody has vouched for a field of it: source and type are not even kept, because nothing may depend on them.
    """

    data: object = None
    id: object = None
    time: object = None
    trace: object = None  # W3C traceparent
    subscription: str = ""  # as the sender says; for the log
    topic: str = ""  # likewise
    unreadable: str = ""  # why there is no event in the request; ``data`` is then its first bytes


@dataclass(frozen=True)
class Envelope:
    """A message before its body is read. Nothing in it is checked yet, so that a bad one can still be put aside."""

    message_id: str
    published: datetime
    data: object = None  # base64 text of Pub/Sub, or the JSON value of a direct event
    attributes: object = None
    direct: bool = False  # ``data`` is the payload itself

    def preview(self) -> bytes:
        """The first kilobyte of the body, as far as it can be read."""
        if isinstance(self.data, str) and not self.direct:
            try:
                return base64.b64decode(self.data[: _PREVIEW * 2], validate=False)[:_PREVIEW]
            except (binascii.Error, ValueError):
                return self.data[:_PREVIEW].encode(errors="replace")
        if isinstance(self.data, bytes):
            return self.data[:_PREVIEW]
        return b"" if self.data is None else shown(self.data)[:_PREVIEW].encode(errors="replace")

    def whole(self) -> bytes | None:
        """The body when it is text of at most a kilobyte, as it could be published again; else None."""
        if isinstance(self.data, bytes):
            return None  # of a request in which no message was found
        try:
            body = json.dumps(self.data).encode() if self.direct else body_bytes(self.data, _PREVIEW)
            body.decode()
        except (BadMessage, TypeError, ValueError, RecursionError):
            return None
        return body if len(body) <= _PREVIEW else None

    def identity(self) -> bytes:
        """Bytes that are the same for the same content."""
        return shown((self.data, self.attributes)).encode(errors="replace")


def shown(value: object) -> str:
    """Any value as text; one that is nested too deeply for that, by its type."""
    try:
        return repr(value)
    except RecursionError:
        return f"<{type(value).__name__}, nested too deeply>"


@dataclass(frozen=True)
class Message:
    """A message as handlers see it."""

    id: str
    published: datetime
    payload: object = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)


def unwrap(event: Event, now: Clock) -> Envelope:
    """Find the message in ``event``. Never fails: what cannot be found stays empty or as it came."""
    event_id, at = plain_id(event.id), moment(event.time)
    data = event.data
    if isinstance(data, dict) and isinstance(data.get("message"), dict):
        message = data["message"]
    elif isinstance(data, dict) and "protoPayload" not in data and ({"data", "attributes"} & data.keys()):
        message = data
    elif data is None:
        message = {}
    else:
        return Envelope(event_id, at or now(), data, {}, direct=True)
    published = moment(message.get("publishTime")) or moment(message.get("publish_time")) or at or now()
    message_id = message.get("messageId") or message.get("message_id") or event_id
    return Envelope(plain_id(message_id), published, message.get("data"), message.get("attributes"))


def plain_id(value: object) -> str:
    """An id as it came when it is plain, and else a digest of it: ids end up in keys, in logs and before people."""
    if value is None or value == "":
        return ""
    found = value if isinstance(value, str) else shown(value)
    return found if _ID.fullmatch(found) else f"odd-{short_hash(shown(value), 16)}"


def read(envelope: Envelope, max_bytes: int) -> Message:
    """Check and decode the body. Raises BadMessage; a body longer than ``max_bytes`` is not parsed at all."""
    attributes = _attributes(envelope.attributes)
    if envelope.direct:
        payload = _direct(envelope.data, max_bytes)
    else:
        payload = decode(body_bytes(envelope.data, max_bytes), max_bytes)
    message = Message(envelope.message_id, envelope.published, payload, attributes)
    if attributes.get("content-type", "").startswith(_STRUCTURED):
        return _structured(message, max_bytes)
    if "ce-id" in attributes and "ce-type" in attributes:
        return _binary(message)
    return message


def _attributes(value: object) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadMessage(f"attributes: expected an object, got {kind_of(value)}")
    for name, text in value.items():
        if not isinstance(text, str):
            raise BadMessage(f"attributes.{name:.60}: expected text, got {kind_of(text)}")
    return dict(value)


def body_bytes(data: object, max_bytes: int) -> bytes:
    """The bytes in base64 text, of either alphabet and with or without padding. Raises BadMessage."""
    if data is None:
        return b""
    if not isinstance(data, str):
        raise BadMessage(f"message.data: expected base64 text, got {kind_of(data)}")
    if len(data) > max_bytes // 3 * 4 + 8:
        raise BadMessage(f"body: expected at most {max_bytes} bytes, got about {len(data) // 4 * 3}")
    plain = data.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadMessage(f"message.data: expected base64 text: {error}") from error


def _direct(data: object, max_bytes: int) -> object:
    """Hold the value of a direct event to the same rules as bytes from Pub/Sub."""
    if isinstance(data, bytes):
        return decode(data, max_bytes)
    if not isinstance(data, dict):
        raise BadMessage(f"event data: expected an object such as {_EXAMPLE}, got {kind_of(data)}")
    try:
        return decode(json.dumps(data).encode(), max_bytes)
    except RecursionError as error:
        raise BadMessage("body: nested too deeply") from error


def _binary(message: Message) -> Message:
    """A CloudEvent whose attributes travel as Pub/Sub attributes ``ce-*``."""
    at = moment(message.attributes.get("ce-time")) or message.published
    others = {key: value for key, value in message.attributes.items() if not key.startswith("ce-")}
    return replace(message, id=plain_id(message.attributes["ce-id"]), published=at, attributes=others)


def _structured(message: Message, max_bytes: int) -> Message:
    """A CloudEvent that is the body of a Pub/Sub message."""
    event = fields(message.payload, '{"specversion": "1.0", "id": "...", "data": {}}')
    at = moment(event.get("time")) or message.published
    payload = event.get("data", {})
    if "data_base64" in event:
        payload = decode(body_bytes(event["data_base64"], max_bytes), max_bytes)
    others = {key: value for key, value in message.attributes.items() if key != "content-type"}
    return Message(plain_id(event.get("id")) or message.id, at, payload, others)
