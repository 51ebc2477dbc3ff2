"""Bytes that anybody may have sent become JSON values or one clear refusal."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retraining.errors import BadMessage
from retraining.messages.body import MAX_BYTES, decode


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"", {}),
        (b"  \n", {}),
        (b'{"a": 1}', {"a": 1}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (json.dumps(json.dumps({"num_epochs": "3"})).encode(), {"num_epochs": "3"}),
        (b"project.dataset.table", "project.dataset.table"),
        (b'"flights"', "flights"),
        (b"[1, 2]", [1, 2]),
        (b"3", 3),
        (b"1e-2", 0.01),
        (b"null", None),
        (b'""', {}),
        (b"18446744073709551615", 2**64 - 1),
    ],
    ids=repr,
)
def test_a_readable_body_gives_its_value(body, value):
    assert decode(body) == value


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"\x01\x02\xff\x04", "body: expected UTF-8 text, got byte 0xff at 2"),
        (b'{"a": 1, "a": 2}', "body: field 'a' is given twice"),
        (b'{"x": {"a": 1, "a": 1}}', "body: field 'a' is given twice"),
        (b'{"a": NaN}', "body: expected finite numbers, got NaN"),
        (b'{"a": -Infinity}', "body: expected finite numbers, got -Infinity"),
        (b'{"a": 1e999}', "body: expected finite numbers, got 1e999"),
        (b'{"a": ' + b"9" * 30 + b"}", "body: expected whole numbers of at most 64 bits, got 30 digits"),
        (b"9" * 6000, "body: expected whole numbers of at most 64 bits"),
        (b'{"a": "\\ud800"}', "body: a string holds half a character"),
        (b'{"\\udfff": 1}', "body: a string holds half a character"),
        (b'{"a": ', "body: expected JSON: "),
        (b'{"a": 1} x', "body: expected JSON: Extra data"),
        (b"[" * 60_000, "body: nested too deeply"),
        (b'{"a":' * 12_000 + b"1" + b"}" * 12_000, "body: nested too deeply|body: expected at most"),
        (b" " * (MAX_BYTES + 1), f"body: expected at most {MAX_BYTES} bytes, got {MAX_BYTES + 1}"),
    ],
    ids=[
        "not text", "twice", "twice below", "nan", "infinity", "overflow", "64 bits", "digits", "surrogate",
        "surrogate key", "cut off", "trailing", "brackets", "braces", "too long",
    ],
)  # fmt: skip
def test_an_unreadable_body_is_refused_with_the_reason(body, why):
    with pytest.raises(BadMessage, match=why):
        decode(body)


@given(st.binary(max_size=2000))
def test_arbitrary_bytes_are_a_value_or_refused(body):
    try:
        value = decode(body)
    except BadMessage:
        return

    assert json.dumps(value).encode()


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(st.characters(exclude_categories=["Cs"])), st.lists, max_leaves=20
    )
)
def test_what_json_writes_is_read_back(value):
    again = decode(json.dumps([value]).encode())

    assert again == [value]
