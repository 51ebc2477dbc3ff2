"""Reads calls, message types and REST routes from an installed Google client library.

Google ships no server classes, yet each client knows its whole API: the gRPC transport names every method with its
request and response types, the REST transport every verb, path template and body field. A channel that only writes
down what it is asked for collects the first; the route tables are plain data. Nothing is copied by hand, so the
servers follow the client's version.
"""

import importlib
import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.auth.credentials import AnonymousCredentials
from google.protobuf.message import Message

_NOT_CALLS = {"grpc_channel", "operations_client", "kind", "host"}


@dataclass(frozen=True)
class Method:
    """One call: its gRPC path, kind (``unary_unary``, ``stream_stream``, ...) and protobuf message classes."""

    path: str
    kind: str
    request: type[Message]
    response: type[Message] | None

    @property
    def name(self) -> str:
        """The last part of the path, such as ``CreateJob``."""
        return self.path.rsplit("/", 1)[1]


@dataclass(frozen=True)
class Route:
    """One REST way to a method. ``body`` is the request field that the body holds: ``*`` for all, None for none."""

    verb: str
    pattern: re.Pattern[str]
    body: str | None
    path: str


@dataclass(frozen=True)
class Api:
    """All calls of some services, by gRPC path, and the REST routes that lead to them."""

    rpcs: dict[str, Method] = field(default_factory=dict)
    routes: list[Route] = field(default_factory=list)


class _Recorder(grpc.Channel):  # type: ignore[misc]  # grpc ships no types
    """A channel that opens nothing and writes down which calls a transport prepares."""

    def __init__(self) -> None:
        self.methods: dict[str, Method] = {}

    def _record(self, kind: str, path: str, serializer: Any, deserializer: Any) -> Callable[..., None]:
        request = _owner(serializer)
        if request is not None:
            self.methods[path] = Method(path, kind, request, _owner(deserializer))
        return lambda *_args, **_kwargs: None

    def unary_unary(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, *_: Any, **__: Any
    ) -> Any:
        return self._record("unary_unary", method, request_serializer, response_deserializer)

    def unary_stream(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, *_: Any, **__: Any
    ) -> Any:
        return self._record("unary_stream", method, request_serializer, response_deserializer)

    def stream_unary(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, *_: Any, **__: Any
    ) -> Any:
        return self._record("stream_unary", method, request_serializer, response_deserializer)

    def stream_stream(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, *_: Any, **__: Any
    ) -> Any:
        return self._record("stream_stream", method, request_serializer, response_deserializer)

    def close(self) -> None:
        """Nothing was opened."""

    def subscribe(self, callback: Any, try_to_connect: bool = False) -> None:
        """No connection, so no change to report."""

    def unsubscribe(self, callback: Any) -> None:
        """Nobody was subscribed."""


def harvest(package: str, services: Sequence[str]) -> Api:
    """Read the calls and routes of ``services`` (module names) in ``package``, such as ``google.pubsub_v1``."""
    api = Api()
    for service in services:
        transports = f"{package}.services.{service}.transports"
        methods = _methods(importlib.import_module(transports))
        api.rpcs.update({method.path: method for method in methods})
        by_name = {method.name: method.path for method in methods}
        api.routes.extend(_routes(importlib.import_module(f"{transports}.rest_base"), by_name))
    return api


def _methods(transports: Any) -> list[Method]:
    cls = next(v for k, v in vars(transports).items() if k.endswith("GrpcTransport"))
    recorder = _Recorder()
    nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]
    transport = cls(channel=recorder, credentials=nobody, host="localhost")
    # The transport's own channel wraps ours and prepares a call only when it is made; without it, at first sight.
    transport._logged_channel, transport._stubs = recorder, {}
    for name, _ in inspect.getmembers(cls, lambda member: isinstance(member, property)):
        if name not in _NOT_CALLS:
            getattr(transport, name)
    return list(recorder.methods.values())


def _routes(rest_base: Any, by_name: dict[str, str]) -> list[Route]:
    base = next(v for k, v in vars(rest_base).items() if k.startswith("_Base") and k.endswith("RestTransport"))
    found = []
    for name, cls in vars(base).items():
        path = by_name.get(name.removeprefix("_Base"))
        if path is None or not hasattr(cls, "_get_http_options"):
            continue
        for option in cls._get_http_options():
            verb, pattern = option["method"].upper(), path_pattern(option["uri"])
            found.append(Route(verb, pattern, option.get("body"), path))
    return found


def path_pattern(template: str) -> re.Pattern[str]:
    """The path template of a Google REST route as a pattern; a dot in a variable's name becomes two underscores."""
    parts = re.split(r"(\{[^}]+\})", template)
    return re.compile("".join(_variable(part) if part.startswith("{") else re.escape(part) for part in parts))


def _variable(part: str) -> str:
    name, _, shape = part[1:-1].partition("=")
    pattern = re.escape(shape or "*").replace(r"\*\*", ".+").replace(r"\*", "[^/:]+")
    return f"(?P<{name.replace('.', '__')}>{pattern})"


def _owner(bound: Any) -> type[Message] | None:
    """The protobuf message class that a (de)serializer belongs to; proto-plus wrappers are opened."""
    owner = getattr(bound, "__self__", None) or getattr(bound, "__objclass__", None)
    if owner is None:
        return None
    found: type[Message] = owner.pb() if hasattr(owner, "pb") else owner
    # The serializer of a plain protobuf message belongs to their common base, which says nothing and crashes when
    # it is instantiated.
    return found if getattr(found, "DESCRIPTOR", None) is not None else None
