"""Filters, orders, cuts into pages and trims what a List call answers.

Google's filter language is large; this is the part that programs use: equality of text, state and labels, joined by
AND. Anything else is refused by name, because a filter that is silently ignored returns the wrong resources.
"""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import Any

from local.servers.rpc import RpcError, invalid

_TERM = re.compile(
    r'(?P<key>[a-z_]+)(?:\.(?P<label>[^\s=:!<>"]+))?\s*(?P<op>!=|=|:)\s*(?P<value>"(?:[^"\\]|\\.)*"|[^\s"]+)'
)
_AND = re.compile(r"\s+AND\s+")
_MAX_PAGE = 1000
_DEFAULT_PAGE = 100
_ORDERS = frozenset({"create_time", "update_time", "display_name", "version_create_time", "name"})

Test = Callable[[Any], bool]


def page(items: Sequence[Any], request: Any, response: Any) -> Any:
    """Fill ``response`` (its first repeated message field) with the page of ``items`` that ``request`` asks for.

    The newest come first unless ``order_by`` says otherwise. Raises INVALID_ARGUMENT for an unknown filter or
    order, a negative page size and a page token that was not given by this server.
    """
    field = next(f for f in response.DESCRIPTOR.fields if f.message_type is not None)
    # The filter is judged by the type, so that a wrong one is refused even when there is nothing to filter.
    test = _test(request.filter, field.message_type) if request.filter else lambda _: True
    chosen = _ordered([item for item in items if test(item)], getattr(request, "order_by", ""))
    start = _start(request.page_token)
    if request.page_size < 0:
        raise invalid(f"page_size: expected at least 0, got {request.page_size}.")
    size = min(request.page_size or _DEFAULT_PAGE, _MAX_PAGE)
    getattr(response, field.name).extend(_trimmed(item, request) for item in chosen[start : start + size])
    if start + size < len(chosen):
        response.next_page_token = base64.urlsafe_b64encode(str(start + size).encode()).decode()
    return response


def _test(text: str, kind: Any) -> Test:
    rest, tests = text.strip(), []
    while True:
        term = _TERM.match(rest)
        if term is None:
            raise _refused(text)
        tests.append(_term(term, kind, text))
        rest = rest[term.end() :]
        if not rest.strip():
            return lambda item: all(test(item) for test in tests)
        joint = _AND.match(rest)
        if joint is None:
            raise _refused(text)
        rest = rest[joint.end() :]


def _term(term: re.Match[str], kind: Any, text: str) -> Test:
    key, label, op = term["key"], term["label"], term["op"]
    raw = term["value"]
    value = re.sub(r"\\(.)", r"\1", raw[1:-1]) if raw.startswith('"') else raw
    if key == "labels" and label and "labels" in kind.fields_by_name:
        return _label_test(label, op, value)
    field = kind.fields_by_name.get(key)
    if label or op == ":" or field is None:
        raise _refused(text)
    if field.enum_type is not None:
        return _state_test(field, op, value, text)
    if field.type != field.TYPE_STRING or field.is_repeated:
        raise _refused(text)
    return lambda item: (getattr(item, key) == value) is (op == "=")


def _label_test(label: str, op: str, value: str) -> Test:
    if op == ":":
        return lambda item: label in item.labels if value == "*" else item.labels.get(label) == value
    return lambda item: (item.labels.get(label) == value) is (op == "=")


def _state_test(field: Any, op: str, value: str, text: str) -> Test:
    known = field.enum_type.values_by_name.get(value)
    if known is None:
        raise _refused(text)
    return lambda item: (getattr(item, field.name) == known.number) is (op == "=")


def _refused(text: str) -> RpcError:
    return invalid(
        f'Invalid filter {text!r}: expected terms such as display_name="x", labels.key="v", '
        'labels.key:* or state="JOB_STATE_RUNNING", joined by AND.'
    )


def _ordered(items: list[Any], order_by: str) -> list[Any]:
    if not order_by:
        return items[::-1]
    for term in reversed(order_by.split(",")):
        field, _, direction = term.strip().partition(" ")
        field = re.sub(r"([A-Z])", lambda m: "_" + m[1].lower(), field)
        if field not in _ORDERS or direction.strip().lower() not in ("", "asc", "desc"):
            raise invalid(
                f"Invalid order_by {order_by!r}: expected one of {sorted(_ORDERS)}, with or without desc."
            )
        items = sorted(items, key=lambda item: _sort_key(item, field), reverse=direction.strip().lower() == "desc")
    return items


def _sort_key(item: Any, field: str) -> Any:
    value: Any = getattr(item, field, "")
    return (value.seconds, value.nanos) if hasattr(value, "nanos") else value


def _start(token: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(token)) if token else 0
    except (ValueError, binascii.Error) as error:
        raise invalid(f"Invalid page_token {token!r}: expected one that this server gave.") from error


def _trimmed(item: Any, request: Any) -> Any:
    mask = getattr(request, "read_mask", None)
    if mask is None or not mask.paths:
        return item
    trimmed = type(item)()
    mask.MergeMessage(item, trimmed)
    return trimmed
