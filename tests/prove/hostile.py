"""Requests that somebody might send: each a real one that was spoiled, or one that was never real.

Every request comes from a seed and its number alone, so that one of a million can be made again without the others.
"""

import base64
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAYLOADS = Path(__file__).parents[1] / "messages" / "payloads"
CANARY = "canary-7f3a9c"  # in a header of every request: no answer and no line of the log may show it
TARGETS = ("on_data", "on_drift", "on_schedule", "on_manual", "on_monitor", "on_tick", "on_candidate")
_PUBSUB = "google.cloud.pubsub.topic.v1.messagePublished"
_TIME = "2026-01-31T03:00:42.109Z"
_WATERMARK = {"kind": "watermark"}

OWN: dict[str, tuple[str, Any]] = {
    "manual": ("on_manual", {"model": "flights", "action": "train", "reason": "new airport", "request_id": "r-1"}),
    "manual_all": (
        "on_manual",
        {"model": "bikes", "action": "tune", "force": True, "dry_run": False, "reason": "x", "actor": "ann"},
    ),
    "schedule": ("on_schedule", {"model": "flights", "schedule": "main"}),
    "schedule_kind": ("on_schedule", {"kind": "schedule", "model": "bikes", "schedule": "main", "action": "auto"}),
    "watermark": ("on_data", _WATERMARK),
    "watermark_one": ("on_data", {**_WATERMARK, "model": "flights"}),
    "tick": ("on_tick", {"kind": "tick"}),
    "job_ended": ("on_tick", {"kind": "job-ended", "run_id": "flights-20260131-030000-1a2b", "job_id": "1"}),
    "candidate": ("on_candidate", {"kind": "candidate", "model": "flights", "run_id": "flights-1"}),
    "monitor_tick": ("on_monitor", {"kind": "tick"}),
}
_FILES = {
    "anomaly": "on_drift", "audit": "on_data", "drift": "on_drift", "event": "on_manual", "incident": "on_drift",
    "ml": "on_tick", "pipeline": "on_candidate", "push": "on_manual", "transfer": "on_data",
}  # fmt: skip
REAL: dict[str, tuple[str, Any]] = OWN | {
    path.stem: (_FILES[path.stem.split("_")[0]], json.loads(path.read_text()))
    for path in sorted(PAYLOADS.glob("*.json"))
}
_NAMES = tuple(REAL)
_FIELDS = (
    *("model", "schedule", "action", "kind", "force", "dry_run", "reason", "request_id", "run_id", "job_id"),
    *("actor", "window_end", "incident_id", "features", "protoPayload", "message", "data", "attributes", "state"),
)
WORDS: tuple[str, ...] = (
    *("flights", "bikes", "tick", "train", "tune", "auto", "watermark", "job-ended", "candidate", "drift-incident"),
    *("", " ", "flights ", "FLIGHTS", "fl\u200bights", "flіghts", "../../runs/x", "gs://other/runs", "/etc/passwd"),
    *("'; DROP TABLE flights; --", "1 OR 1=1", "`id`", "$(reboot)", "{{7*7}}", "{0.__class__}", "%s%n", "<script>"),
    *("a\r\nSet-Cookie: x=1", 'x\n{"severity": "CRITICAL"}', "\x1b[2J\x1b]0;owned\x07", "\u202egnp.exe", "\ufeff"),
    *("\x00", "e\u0301" * 50, "👩\u200d👩\u200d👧\u200d👦" * 20, "ﷺ" * 200, "\U0010ffff", "İıſK", "a" * 5000),
    *("__proto__", "!!python/object/apply:os.system", "2026-02-30T25:61:61Z", "9999-12-31T23:59:60+99:99"),
    *("0001-01-01T00:00:00-23:59", _TIME, "-0", "1e400", "NaN", "null", "true", "[]", "{}", "=cmd|' /C calc'!A0"),
)
_RAW_NUMBERS = (
    *("0", "-0", "-0.0", "1e400", "-1e400", "NaN", "Infinity", "1e-400", "18446744073709551615", "9" * 20),
    *(
        "18446744073709551616",
        "9" * 400,
        "0." + "3" * 400,
        "1" + "0" * 5000,
        "01",
        "+1",
        "0x1f",
        "1_000",
        "1.",
        "½",
    ),
)
_LENGTHS = (1023, 1024, 1025, 65_535, 65_536, 65_537, 262_143, 262_144, 262_145, 600_000, 1_500_000)
_DEPTHS = (5, 50, 99, 100, 101, 102, 500, 5000, 100_000)
_METHODS = ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND")
_TYPES = (
    *(
        "application/json",
        "application/json; charset=utf-16",
        "text/plain",
        "",
        "application/xml",
        "multipart/form-data",
    ),
    *("application/x-www-form-urlencoded", "application/cloudevents+json", "application/cloudevents-batch+json"),
    *("application/cloudevents+avro", "multipart/form-data; boundary=x", "a" * 300),
)


@dataclass(frozen=True)
class Sent:
    """One request as a client sends it."""

    target: str
    family: str  # how it was made
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    method: str = "POST"
    path: str = "/"

    def to_text(self) -> str:
        """In base64, to be given to ``from_text``."""
        raw = {**self.__dict__, "body": base64.b64encode(self.body).decode(), "headers": list(self.headers)}
        return base64.b64encode(json.dumps(raw).encode()).decode()

    @classmethod
    def from_text(cls, text: str) -> "Sent":
        """What ``to_text`` wrote."""
        raw = json.loads(base64.b64decode(text))
        headers = tuple((name, value) for name, value in raw["headers"])
        return cls(**{**raw, "body": base64.b64decode(raw["body"]), "headers": headers})


def make(seed: int, number: int) -> Sent:
    """Request ``number`` of a seed."""
    rng = random.Random(f"{seed}/{number}")
    name = rng.choice(_NAMES)
    target, payload = REAL[name]
    if rng.random() < 0.1:
        target = rng.choice(TARGETS)
    family, body, attributes = _content(rng, payload)
    sent = _ENVELOPES[rng.choices(tuple(_ENVELOPES), _WEIGHTS)[0]](rng, target, body, attributes)
    return Sent(target, family, sent.body, (*sent.headers, *_headers(rng)), sent.method, sent.path)


# What a message says --------------------------------------------------------------------


def _content(rng: random.Random, payload: Any) -> tuple[str, bytes, Any]:
    """How it was made, the body's bytes, and the attributes beside it."""
    family = rng.choices(tuple(_FAMILIES), (45, 15, 8, 7, 7, 5, 3, 4, 6))[0]
    attributes: Any = {}
    if rng.random() < 0.15:
        attributes = {_field(rng): rng.choice(WORDS) for _ in range(rng.randrange(1, 4))}
    if rng.random() < 0.03:
        attributes = _value(rng, 2)
    return family, _FAMILIES[family](rng, payload), attributes


def _mutated(rng: random.Random, payload: Any) -> bytes:
    """A real payload after one to four changes."""
    value = json.loads(json.dumps(payload))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        value = _change(rng, value)
    return _dumps(value)


def _real(rng: random.Random, payload: Any) -> bytes:
    """As it is, under one of a few names, so that facts repeat."""
    if isinstance(payload, dict) and "request_id" in payload:
        payload = {**payload, "request_id": f"r-{rng.randrange(50)}"}
    return json.dumps(payload, indent=rng.choice((None, 1))).encode()


def _twice(rng: random.Random, payload: Any) -> bytes:
    """A field that is given twice, which only the text can show."""
    text = json.dumps(payload)
    spots = [at for at, sign in enumerate(text) if sign == "{" and text[at + 1] != "}"]
    at = rng.choice(spots) + 1 if spots else 0
    end = text.find(":", at)
    return (text[:at] + text[at:end] + f": {json.dumps(_leaf(rng))}, " + text[at:]).encode()


def _random_value(rng: random.Random, payload: Any) -> bytes:
    return _dumps(_value(rng, rng.randrange(5)))


def _broken(rng: random.Random, payload: Any) -> bytes:
    """A real text with bytes flipped, cut, or of another encoding."""
    raw = bytearray(json.dumps(payload), "utf-8")
    what = rng.randrange(5)
    if what == 0:
        for _ in range(rng.randrange(1, 8)):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
    elif what == 1:
        del raw[rng.randrange(len(raw)) :]
    elif what == 2:
        return raw.decode().encode(rng.choice(("utf-16", "utf-32", "utf-8-sig", "utf-7")))
    elif what == 3:
        raw[rng.randrange(len(raw)) : 0] = rng.choice(
            (b"\x00", b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"\\ud800")
        )
    else:
        return json.dumps(json.dumps(json.dumps(payload)) if rng.random() < 0.5 else json.dumps(payload)).encode()
    return bytes(raw)


def _noise(rng: random.Random, payload: Any) -> bytes:
    return rng.randbytes(rng.choice((0, 1, 2, 16, 200, 3000)))


def _long(rng: random.Random, payload: Any) -> bytes:
    """Near a limit of length."""
    length = rng.choice(_LENGTHS)
    if isinstance(payload, dict) and rng.random() < 0.5:
        return json.dumps({**payload, rng.choice(_FIELDS): "x" * length}).encode()
    return rng.choice((b"x", b"[", b"\xff", b'{"a":', b"1", b"\x00")) * (length // 4)


def _deep(rng: random.Random, payload: Any) -> bytes:
    depth = rng.choice(_DEPTHS)
    opening, closing = rng.choice((("[", "]"), ('{"a":', "}"), ('[{"model":', "}]")))
    inner = opening * depth + "1" + closing * (depth if rng.random() < 0.8 else 0)
    if isinstance(payload, dict) and rng.random() < 0.5:
        return (json.dumps(payload)[:-1] + f', "{rng.choice(_FIELDS)}": {inner}}}').encode()
    return inner.encode()


def _number(rng: random.Random, payload: Any) -> bytes:
    text = json.dumps({**payload, _field(rng): "@"} if isinstance(payload, dict) else "@")
    return text.replace('"@"', rng.choice(_RAW_NUMBERS)).encode()


_FAMILIES: dict[str, Callable[[random.Random, Any], bytes]] = {
    "changed": _mutated,
    "real": _real,
    "field twice": _twice,
    "any JSON": _random_value,
    "broken text": _broken,
    "bytes": _noise,
    "long": _long,
    "deep": _deep,
    "numbers": _number,
}


def _change(rng: random.Random, value: Any) -> Any:
    """``value`` with one thing inside deleted, doubled, renamed, retyped or replaced."""
    if not isinstance(value, dict | list) or not value or rng.random() < 0.1:
        return _retyped(rng, value)
    if isinstance(value, list):
        at = rng.randrange(len(value))
        return [*value[:at], _change(rng, value[at]), *value[at + rng.randrange(2) :]]
    name = rng.choice(list(value))
    if isinstance(value[name], dict | list) and rng.random() < 0.7:
        return {**value, name: _change(rng, value[name])}
    others = {key: inner for key, inner in value.items() if key != name}
    match rng.randrange(5):
        case 0:
            return others
        case 1:
            return {**value, _field(rng): value[name]}
        case 2:
            return {**others, name.swapcase(): value[name]}
        case 3:
            return {**value, name: _retyped(rng, value[name])}
        case _:
            return {**value, _field(rng): _value(rng, 2)}


def _retyped(rng: random.Random, value: Any) -> Any:
    """The same content as another type, or another content."""
    if rng.random() < 0.3:
        return rng.choice(([value], {"value": value}, str(value), None, not value, [value] * 30))
    return _value(rng, 1)


def _value(rng: random.Random, depth: int) -> Any:
    if depth <= 0 or rng.random() < 0.4:
        return _leaf(rng)
    if rng.random() < 0.4:
        return [_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return {_field(rng): _value(rng, depth - 1) for _ in range(rng.randrange(5))}


def _leaf(rng: random.Random) -> Any:
    match rng.randrange(6):
        case 0:
            return rng.choice((None, True, False))
        case 1:
            return rng.choice((0, -1, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30, rng.randrange(10**6)))
        case 2:
            return rng.choice((0.5, -0.0, 1e308, 5e-324, float("nan"), float("inf"), rng.random()))
        case 3:
            return "".join(chr(rng.choice((rng.randrange(128), rng.randrange(0x11_0000)))) for _ in range(8))
        case _:
            return rng.choice(WORDS)


def _field(rng: random.Random) -> str:
    return rng.choice(_FIELDS) if rng.random() < 0.7 else rng.choice(WORDS)[:200]


def _dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


# How it travels -------------------------------------------------------------------------

_Envelope = Callable[[random.Random, str, bytes, Any], Sent]


def _message(rng: random.Random, body: bytes, attributes: Any) -> dict[str, Any]:
    """A Pub/Sub message."""
    data: Any = base64.b64encode(body).decode()
    number = rng.randrange(10**9)
    message = {"data": data, "attributes": attributes, "messageId": f"m-{number}", "publishTime": _TIME}
    if rng.random() < 0.05:
        message |= {"message_id": f"m-{number}", "publish_time": _TIME, "orderingKey": "k"}
    if not body and rng.random() < 0.5:
        del message["data"]
    return message


def _push(rng: random.Random, target: str, body: bytes, attributes: Any) -> Sent:
    push = {"message": _message(rng, body, attributes), "subscription": "projects/p/subscriptions/s"}
    return Sent(target, "", json.dumps(push).encode(), (("Content-Type", "application/json"),))


def _spoiled_push(rng: random.Random, target: str, body: bytes, attributes: Any) -> Sent:
    """A push whose envelope was changed too."""
    push: Any = {"message": _message(rng, body[:20_000], attributes), "subscription": "s"}
    for _ in range(rng.randrange(1, 4)):
        push = _change(rng, push)
    return Sent(target, "", _dumps(push), (("Content-Type", rng.choice(_TYPES)),))


def _ce_headers(rng: random.Random) -> tuple[tuple[str, str], ...]:
    wild = rng.random() < 0.2
    stated = {
        "ce-id": _header(rng) if wild else f"e-{rng.randrange(10**9)}",
        "ce-source": _header(rng) if wild else "//pubsub.googleapis.com/projects/p/topics/t",
        "ce-specversion": rng.choice(("1.0", "0.3", "9", "")) if wild else "1.0",
        "ce-type": _header(rng) if wild else _PUBSUB,
        "ce-time": _header(rng) if wild else _TIME,
    }
    if wild:
        stated.pop(rng.choice(list(stated)))
    return tuple(stated.items())


def _binary_event(rng: random.Random, target: str, body: bytes, attributes: Any) -> Sent:
    sent = _push(rng, target, body, attributes)
    return Sent(target, "", sent.body, (*sent.headers, *_ce_headers(rng)))


def _direct_event(rng: random.Random, target: str, body: bytes, attributes: Any) -> Sent:
    return Sent(target, "", body, (("Content-Type", "application/json"), *_ce_headers(rng)))


def _structured_event(rng: random.Random, target: str, body: bytes, attributes: Any) -> Sent:
    event: Any = {name[3:]: value for name, value in _ce_headers(rng)}
    if rng.random() < 0.5:
        event["data_base64"] = base64.b64encode(body).decode()
    else:
        event["data"] = {"message": _message(rng, body, attributes), "subscription": "s"}
    if rng.random() < 0.2:
        event = _change(rng, event)
    kind = rng.choice(("application/cloudevents+json", "application/cloudevents+json; charset=utf-8"))
    return Sent(target, "", _dumps(event), (("Content-Type", kind),))


def _background(rng: random.Random, target: str, body: bytes, attributes: Any) -> Sent:
    context: Any = {"eventId": f"m-{rng.randrange(10**9)}", "timestamp": _TIME, "eventType": "t", "resource": {}}
    event: Any = {"context": context, "data": {"data": base64.b64encode(body).decode(), "attributes": attributes}}
    if rng.random() < 0.3:
        event = _change(rng, event)
    return Sent(target, "", _dumps(event), (("Content-Type", "application/json"),))


def _inner_event(rng: random.Random, target: str, body: bytes, attributes: Any) -> Sent:
    """A CloudEvent inside a Pub/Sub message, in its attributes or as its body."""
    if rng.random() < 0.5:
        attributes = {
            "ce-id": rng.choice(WORDS),
            "ce-type": "t",
            "ce-time": rng.choice(WORDS),
            "ce-specversion": "1",
        }
        return _push(rng, target, body, attributes)
    event = {"specversion": "1.0", "id": rng.choice(WORDS), "data_base64": base64.b64encode(body[:50_000]).decode()}
    return _push(rng, target, _dumps(event), {"content-type": "application/cloudevents+json"})


def _bare(rng: random.Random, target: str, body: bytes, attributes: Any) -> Sent:
    return Sent(target, "", body, (("Content-Type", rng.choice(_TYPES)),))


def _other_method(rng: random.Random, target: str, body: bytes, attributes: Any) -> Sent:
    return Sent(target, "", body, method=rng.choice(_METHODS))


_ENVELOPES: dict[str, _Envelope] = {
    "push": _push, "spoiled": _spoiled_push, "binary": _binary_event, "direct": _direct_event,
    "structured": _structured_event, "background": _background, "inner": _inner_event, "bare": _bare,
    "method": _other_method,
}  # fmt: skip
_WEIGHTS = (40, 12, 12, 8, 8, 6, 5, 6, 2)


def _header(rng: random.Random) -> str:
    """A text that a client can put into a header: no line breaks."""
    text = rng.choice(WORDS)[:400]
    return "".join(sign for sign in text if 32 <= ord(sign) < 256 and ord(sign) != 127)


def _headers(rng: random.Random) -> tuple[tuple[str, str], ...]:
    secret = (("Authorization", f"Bearer {CANARY}"), ("X-Goog-Iap-Jwt", CANARY))
    if rng.random() < 0.9:
        return secret
    trace = rng.choice(("00-" + "a" * 32 + "-" + "b" * 16 + "-01", "00-zz", _header(rng)))
    encoding = rng.choice(("gzip", "deflate", "identity", "br, gzip", _header(rng)))
    return (*secret, ("traceparent", trace), ("Content-Encoding", encoding), ("Cookie", f"s={CANARY}"))
