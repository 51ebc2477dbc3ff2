"""From an HTTP request to an answer: what Pub/Sub or Eventarc sends, read within bounds and answered in silence.

Pub/Sub's push of an owned subscription, a CloudEvent in headers or as the body, and the older background shape are
read here and not by the framework. Its reader answers an odd request with a page that repeats the request's
headers, the caller's token among them, fails on a push without data, and runs out of stack on deep JSON. The length
is checked before anything is parsed, and what cannot be read is put aside like any other bad message.
"""

from collections.abc import Callable

from flask import Request, Response
from werkzeug.datastructures import Headers
from werkzeug.exceptions import ClientDisconnected

from functions.envelope import Event, body_bytes
from functions.logs import log, stack
from functions.message import Entry, receive
from functions.world import World
from retraining.errors import BadConfig, BadMessage, Conflict, Temporary
from retraining.messages.body import decode
from retraining.messages.fields import kind_of, part, text

ENVELOPE_BYTES = 256 * 1024  # Pub/Sub allows 100 attributes of 1,280 bytes, and JSON may escape some of them
_CHUNK = 64 * 1024
_MOST_CHUNKS = 512  # 32 MiB, the most that Cloud Run passes on
_EVENT = "application/cloudevents"
_SHAPES = (
    'a Pub/Sub push {"message": {"data": "<base64>"}, "subscription": "..."}, a CloudEvent, '
    'or {"context": {...}, "data": {...}}'
)


def respond(request: Request, entry: Entry, world: Callable[[], World]) -> Response:
    """Handle what ``request`` carries.

    200: taken or put aside, do not send it again; 503: send it again; 405: not a POST. No answer has a body. A
    probe (GET) is answered and does nothing.
    """
    if request.method in ("GET", "HEAD"):
        return Response(status=200)
    if request.method != "POST":
        return Response(status=405, headers={"Allow": "GET, HEAD, POST"})
    try:
        body, length = _body(request, longest(entry))
        receive(read_event(request.headers, body, length, longest(entry)), entry, world())
    except (Temporary, Conflict):  # receive has logged it
        return Response(status=503)
    except ClientDisconnected:
        return Response(status=400)
    except Exception as error:  # noqa: BLE001 - an installation that cannot start: no message is to blame for it
        # What a wrong setting says is worded by us; what a defect says may quote anything.
        reason = f": {error}" if isinstance(error, BadConfig) else ""
        told = f"{entry.name} cannot work: {type(error).__name__}{reason}"
        log("ERROR", told, entry=entry.name, stack=stack(error))
        return Response(status=503)
    return Response(status=200)


def longest(entry: Entry) -> int:
    """Bytes that a request to ``entry`` may have: its longest message in base64, and the envelope."""
    return entry.max_bytes * 4 // 3 + ENVELOPE_BYTES


def read_event(headers: Headers, body: bytes, length: int, most: int) -> Event:
    """The event in a request whose body has ``length`` bytes, of which ``body`` are the first. Never raises."""
    trace = headers.get("traceparent")
    try:
        if length > most:
            raise BadMessage(f"request: expected at most {most} bytes, got {length}")
        return _event(headers, body, most)
    except BadMessage as error:
        return Event(body, headers.get("ce-id"), headers.get("ce-time"), trace, unreadable=str(error))


def _event(headers: Headers, body: bytes, most: int) -> Event:
    value, trace = decode(body, most), headers.get("traceparent")
    kind = headers.get("content-type", "").strip().lower()
    if kind.startswith(_EVENT):
        return _structured(value, trace, most)
    if "ce-id" in headers or "ce-type" in headers:
        data, origin = value if body else None, _origin(value, headers.get("ce-source", ""))
        return Event(data, headers.get("ce-id"), headers.get("ce-time"), trace, *origin)
    if isinstance(value, dict) and isinstance(value.get("message"), dict):
        return Event(value, None, None, trace, *_origin(value))
    if isinstance(value, dict) and isinstance(value.get("context"), dict) and "data" in value:
        context = part(value, "context")
        return Event(value["data"], context.get("eventId"), context.get("timestamp"), trace)
    raise BadMessage(f"request: expected {_SHAPES}, got {kind_of(value)}")


def _structured(value: object, trace: str | None, most: int) -> Event:
    """A CloudEvent that is the whole body; a batch of them is none of ours."""
    if not isinstance(value, dict) or "specversion" not in value:
        raise BadMessage(f"request: expected one CloudEvent with a specversion, got {kind_of(value)}")
    data = value.get("data")
    if "data_base64" in value:
        data = decode(body_bytes(value["data_base64"], most), most)
    return Event(data, value.get("id"), value.get("time"), trace, *_origin(data, text(value, "source", "")))


def _origin(data: object, source: str = "") -> tuple[str, str]:
    """Subscription and topic as the sender names them: for the log line, and for nothing else."""
    said = data.get("subscription") if isinstance(data, dict) else None
    return said if isinstance(said, str) else "", source.removeprefix("//pubsub.googleapis.com/")


def _body(request: Request, most: int) -> tuple[bytes, int]:
    """The first ``most`` + 1 bytes of the body, and how many there are or were announced.

    The rest is read and forgotten: the framework reads what is left, and would hold it in memory.
    """
    body, length = b"", 0
    for _ in range(_MOST_CHUNKS):
        chunk = request.stream.read(_CHUNK)
        if not chunk:
            break
        length += len(chunk)
        body += chunk[: most + 1 - len(body)]
    return body, max(length, request.content_length or 0)
