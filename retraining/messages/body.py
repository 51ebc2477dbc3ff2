"""From bytes to JSON values, for bytes that anybody may have sent.

Python's own reader accepts repeated keys, NaN, numbers without end and half characters, and stops with
RecursionError on deep nesting. Here each is a BadMessage with one clear sentence.
"""

import json
from typing import NoReturn

from retraining.errors import BadMessage

MAX_BYTES = 64 * 1024
_MAX_INT = 2**63
_MAX_DIGITS = 20
_MAX_DEPTH = 100  # far below what stops Python; an audit record of BigQuery has about twenty
_TWICE = 2  # a JSON text inside a JSON text: what shells and notebooks make of a quoted body


def decode(body: bytes, max_bytes: int = MAX_BYTES) -> object:
    """The JSON value in ``body``; {} for an empty body; the text itself when it is plain text.

    A JSON string that holds a JSON object is opened as well. Raises BadMessage.
    """
    if len(body) > max_bytes:
        raise BadMessage(f"body: expected at most {max_bytes} bytes, got {len(body)}")
    try:
        text = body.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise BadMessage(
            f"body: expected UTF-8 text, got byte 0x{body[error.start]:02x} at {error.start}"
        ) from error
    value: object = text
    for _ in range(_TWICE):
        if not isinstance(value, str):
            break
        value = _loads(value) if value else {}
    return value


def _loads(text: str) -> object:
    try:
        value: object = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse,
            parse_int=_whole,
            parse_float=_finite,
        )
        _shallow(value)
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        if text.lstrip()[:1] in ("{", "[", '"'):
            raise BadMessage(f"body: expected JSON: {error.msg} at character {error.pos}") from error
        return text
    except RecursionError as error:
        raise BadMessage("body: nested too deeply") from error
    except UnicodeEncodeError as error:
        raise BadMessage("body: a string holds half a character (a lone surrogate)") from error
    return value


def _shallow(value: object) -> None:
    """Raise BadMessage when objects and arrays are nested too deeply: whoever walks them later may recurse."""
    level = [value]
    for _ in range(_MAX_DEPTH + 1):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return
    raise BadMessage("body: nested too deeply")


def _inside(value: object) -> list[object]:
    found = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return [inner for inner in found if isinstance(inner, dict | list)]


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise BadMessage(f"body: field {key!r:.60} is given twice")
        found[key] = value
    return found


def _refuse(word: str) -> NoReturn:
    raise BadMessage(f"body: expected finite numbers, got {word}")


def _whole(digits: str) -> int:
    if len(digits) > _MAX_DIGITS or not -_MAX_INT <= int(digits) < _MAX_INT * 2:
        raise BadMessage(f"body: expected whole numbers of at most 64 bits, got {len(digits)} digits")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise BadMessage(f"body: expected finite numbers, got {digits:.30}")
    return number
