"""Reading fields of JSON objects that anybody may have sent: the value in its type, or BadMessage that names it."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from retraining.errors import BadMessage

Fields = Mapping[str, object]

_SYSTEM = re.compile(
    r"(ce-|goog|content-type$|traceparent$|tracestate$|logging\.googleapis\.com/|CloudPubSubDeadLetter)"
)
_YEARS = range(1970, 9999)


def fields(payload: object, example: str) -> Fields:
    """``payload`` as a JSON object; ``example`` shows in the error what was expected."""
    if not isinstance(payload, dict):
        raise BadMessage(f"body: expected a JSON object such as {example}, got {kind_of(payload)}")
    return payload


def kind_of(value: object) -> str:
    """What ``value`` is, for an error message."""
    names = {
        dict: "an object",
        list: "an array",
        str: "text",
        bool: "a boolean",
        int: "a number",
        float: "a number",
    }
    shown = "null" if value is None else names.get(type(value), type(value).__name__)
    return f"{shown} {value!r:.60}" if isinstance(value, str | int | float) else shown


def part(obj: Fields, *path: str) -> Fields:
    """The object at ``path``; empty when it, or one above it, is absent."""
    here = obj
    for depth, key in enumerate(path):
        value = here.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise BadMessage(f"{'.'.join(path[: depth + 1])}: expected an object, got {kind_of(value)}")
        here = value
    return here


def text(obj: Fields, key: str, default: str | None = None) -> str:
    """A string field; ``default`` when it is absent, and without a default it must be there."""
    value = obj.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise BadMessage(f"{key}: expected text, got {'nothing' if value is None else kind_of(value)}")
    return value


def matching(obj: Fields, key: str, pattern: str, default: str | None = None) -> str:
    """A string field that matches ``pattern`` as a whole."""
    value = text(obj, key, default)
    if value != default and not re.fullmatch(pattern, value):
        raise BadMessage(f"{key}: expected text like {pattern}, got {value!r:.60}")
    return value


def one_of(obj: Fields, key: str, allowed: tuple[str, ...], default: str) -> str:
    """A string field with a closed set of values."""
    value = text(obj, key, default)
    if value not in allowed:
        raise BadMessage(f"{key}: expected one of {list(allowed)}, got {value!r:.60}")
    return value


def flag(obj: Fields, key: str) -> bool:
    """A boolean field, also written as "true" or "false"; absent is false."""
    value = obj.get(key, False)
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise BadMessage(f"{key}: expected true or false, got {kind_of(value)}")
    return value


def int64(obj: Fields, key: str) -> int:
    """A whole number, as a JSON number or, as Google writes 64-bit numbers, as text; absent is 0."""
    value = obj.get(key, 0)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,19}", value, re.ASCII):
        return int(value)
    raise BadMessage(f"{key}: expected a whole number, got {kind_of(value)}")


def number(obj: Fields, key: str, default: float) -> float:
    """A finite number; ``default`` when it is absent, or text that is not a number."""
    value = obj.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return default


def moment(value: object) -> datetime | None:
    """RFC 3339 text (without a zone: UTC) or unix seconds as a time; None for anything else."""
    try:
        if isinstance(value, str):
            found = datetime.fromisoformat(value)
            found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        elif isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            found = datetime.fromtimestamp(value, UTC)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    return found if found.year in _YEARS else None


def instant(obj: Fields, key: str) -> datetime:
    """A time that must be there."""
    found = moment(obj.get(key))
    if found is None:
        raise BadMessage(f"{key}: expected a time such as 2026-01-31T03:00:00Z, got {kind_of(obj.get(key))}")
    return found


def brief(value: str, limit: int = 200) -> str:
    """``value`` on one line and cut to ``limit`` characters, for reasons that people read."""
    line = " ".join("".join(c if c.isprintable() else " " for c in value[: limit * 2]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def closed(payload: object, attributes: Mapping[str, str], allowed: tuple[str, ...], example: str) -> Fields:
    """Body and attributes as one object whose fields are all in ``allowed``.

    A message may say everything in its attributes. Beside a body, attributes that are none of ours are left alone.
    """
    body = fields(payload, example)
    ours = {key: value for key, value in attributes.items() if not _SYSTEM.match(key)}
    if body:
        ours = {key: value for key, value in ours.items() if key in allowed}
    if unknown := sorted((set(body) | set(ours)) - set(allowed)):
        raise BadMessage(f"{unknown[0]!r:.60}: no such field; allowed are {', '.join(allowed)}")
    if doubled := sorted(key for key in ours if key in body and str(body[key]) != ours[key]):
        raise BadMessage(
            f"{doubled[0]}: the body says {body[doubled[0]]!r:.60}, the attributes {ours[doubled[0]]!r:.60}"
        )
    return {**ours, **body}
