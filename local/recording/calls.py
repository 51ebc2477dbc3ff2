"""One call as it passed a recorder, and the log of all of them."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

Service = Literal["storage", "bigquery", "vertex", "pubsub", "monitoring"]


@dataclass(frozen=True)
class Call:
    """What an account asked a service for. Nothing of it is interpreted yet."""

    account: str
    service: Service
    method: str  # HTTP verb, or /package.Service/Method of gRPC
    target: str = ""  # path and query of HTTP
    body: bytes = b""  # as it was sent; of HTTP uploads the description of the object only
    status: str = ""  # HTTP status, or gRPC code
    replaced: bool = False  # an upload found an object of this name
    refused: str = ""  # why it was not passed on

    @property
    def path(self) -> str:
        """The path of HTTP, still percent-encoded."""
        return urlsplit(self.target).path

    @property
    def query(self) -> Mapping[str, str]:
        """The query of HTTP."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    def __str__(self) -> str:
        return f"{self.service} {self.method} {self.target}".strip() + (
            f" → {self.status} {self.refused}".rstrip() if self.status else ""
        )


def anybody(call: Call) -> str:
    """Refuses nothing."""
    del call
    return ""


@dataclass
class Log:
    """Calls in the order in which they were answered. Safe for threads.

    ``refusal`` says why a call may not be made, or nothing; whoever records for this log then answers in the
    server's place.
    """

    refusal: Callable[[Call], str] = anybody
    _calls: list[Call] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, call: Call) -> None:
        """Keep a call."""
        with self._lock:
            self._calls.append(call)

    @property
    def calls(self) -> tuple[Call, ...]:
        """All calls so far."""
        with self._lock:
            return tuple(self._calls)

    @property
    def refused(self) -> tuple[Call, ...]:
        """The calls that were refused."""
        return tuple(call for call in self.calls if call.refused)
