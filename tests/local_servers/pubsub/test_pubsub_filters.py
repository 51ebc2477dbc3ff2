"""The filter language: what it lets through and what it refuses."""

import pytest
from google.api_core.exceptions import InvalidArgument
from hypothesis import given
from hypothesis import strategies as st

from local.servers.pubsub.filters import compile_filter
from local.servers.rpc import RpcError
from tests.local_servers.pubsub.conftest import Clients

MATCHES = [
    ("", {}, True),
    ("attributes:kind", {"kind": ""}, True),
    ("attributes:kind", {}, False),
    ('attributes.kind = "data"', {"kind": "data"}, True),
    ('attributes.kind = "data"', {"kind": "Data"}, False),
    ('attributes.kind="data"', {"kind": "data"}, True),
    ('attributes.kind = "data"', {}, False),
    ('attributes.kind != "data"', {"kind": "drift"}, True),
    ('attributes.kind != "data"', {"kind": "data"}, False),
    ('attributes.kind != "data"', {}, True),
    ('attributes.ce-type = "x"', {"ce-type": "x"}, True),
    ('attributes."a b/c" = "x"', {"a b/c": "x"}, True),
    ('attributes:"a.b"', {"a.b": "x"}, True),
    ('hasPrefix(attributes.table, "flights_")', {"table": "flights_2013"}, True),
    ('hasPrefix(attributes.table, "flights_")', {"table": "planes"}, False),
    ('hasPrefix(attributes.table, "")', {}, False),
    ("NOT attributes:test", {}, True),
    ("NOT attributes:test", {"test": "1"}, False),
    ("-attributes:test", {"test": "1"}, False),
    ("attributes:a AND attributes:b", {"a": "", "b": ""}, True),
    ("attributes:a AND attributes:b", {"a": ""}, False),
    ("attributes:a OR attributes:b OR attributes:c", {"c": ""}, True),
    ("attributes:a AND (attributes:b OR attributes:c)", {"a": "", "c": ""}, True),
    ("NOT (attributes:a OR attributes:b)", {"b": ""}, False),
    ("attributes:a AND NOT attributes:b", {"a": ""}, True),
    (r'attributes.q = "say \"x\" \\"', {"q": 'say "x" \\'}, True),
    (r'attributes.q = "\x41\u00e9\101\n"', {"q": "AéA\n"}, True),
    ('attributes.kind = "NOT"', {"kind": "NOT"}, True),
    ('attributes.attributes = "AND"', {"attributes": "AND"}, True),
]

BAD = [
    "attributes",
    "attributes.kind",
    "attributes.kind =",
    "attributes.kind = data",
    'attributes.kind == "data"',
    'attributes.kind = "data',
    'attributes.kind > "a"',
    "attributes:a AND",
    "attributes:a attributes:b",
    "attributes:a and attributes:b",
    "attributes:a AND attributes:b OR attributes:c",
    "(attributes:a",
    "attributes:a)",
    'hasSuffix(attributes.a, "b")',
    "hasPrefix(attributes.a)",
    "NOT",
    'data = "x"',
    '__import__("os").system("true")',
    "attributes:" + "a" * 256,
]


@pytest.mark.parametrize(("text", "attributes", "expected"), MATCHES)
def test_a_filter_matches_as_documented(text: str, attributes: dict[str, str], expected: bool) -> None:
    found = compile_filter(text)(attributes)

    assert expected == found


@pytest.mark.parametrize("text", BAD)
def test_a_bad_filter_is_refused_and_says_why(text: str) -> None:
    with pytest.raises(RpcError, match="filter") as refused:
        compile_filter(text)

    assert refused.value.http_status == 400


@given(st.text(max_size=60))
def test_any_text_is_either_a_filter_or_refused(text: str) -> None:
    """The parser never fails in another way."""
    try:
        found = compile_filter(text)({"a": "b"})
    except RpcError:
        found = False

    assert found in (True, False)


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_quoted_value_matches_itself_only(value: str, other: str) -> None:
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')

    matches = compile_filter(f'attributes.a = "{quoted}"')

    assert matches({"a": value})
    assert matches({"a": other}) == (other == value)


def test_only_matching_messages_are_delivered(clients: Clients) -> None:
    topic = clients.topic()
    name = clients.subscription(topic, filter='attributes.kind = "data" AND NOT attributes:test')
    clients.publish(topic, b"no")
    clients.publish(topic, b"test", kind="data", test="1")
    clients.publish(topic, b"yes", kind="data")

    found = clients.pull(name)

    assert [one.message.data for one in found] == [b"yes"]


def test_a_bad_filter_creates_no_subscription(clients: Clients) -> None:
    topic = clients.topic()

    with pytest.raises(InvalidArgument, match="expected a quoted string, got 'x'"):
        clients.subscription(topic, filter="attributes.kind = x")
    assert list(clients.api.list_topic_subscriptions(topic=topic)) == []


def test_a_filter_cannot_change(clients: Clients) -> None:
    name = clients.subscription(clients.topic(), filter="attributes:a")
    change = {"subscription": {"name": name, "filter": "attributes:b"}, "update_mask": {"paths": ["filter"]}}

    with pytest.raises(InvalidArgument, match="cannot change"):
        clients.subscriber.update_subscription(request=change)
