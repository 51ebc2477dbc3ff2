"""Runs a call: notes it, applies an injected fault, checks project and location, finds the handler.

Both doors come through here, so a REST client and a gRPC client meet the same rules.
"""

import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc

from local.servers.rpc import RpcError, invalid, not_found
from local.servers.vertex.errors import denied, unavailable, unimplemented
from local.servers.vertex.rules import split_parent

Handler = Callable[[Any], Any]
"""One call: request message -> response message; raises RpcError."""

MODES = ("unavailable", "lost_answer", "not_found")
_RING = 10_000
_LOG = logging.getLogger(__name__)


@dataclass
class Fault:
    """The next ``times`` calls of ``method`` fail: before they run, or (``lost_answer``) after they succeeded."""

    method: str
    mode: str
    times: int


class Faults:
    """The faults that tests asked for, used up in the order in which they came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, method: str, mode: str, times: int) -> None:
        """Ask for a fault. Raises INVALID_ARGUMENT."""
        if mode not in MODES or times < 1:
            raise invalid(f"fault: expected mode in {MODES} and times >= 1, got {mode!r} and {times}")
        with self._lock:
            self._faults.append(Fault(method, mode, times))

    def waiting(self) -> list[dict[str, Any]]:
        """The faults not yet used up."""
        with self._lock:
            return [vars(fault).copy() for fault in self._faults]

    def take(self, method: str) -> str | None:
        """The mode in which this call of ``method`` must fail, or None."""
        with self._lock:
            for fault in self._faults:
                if fault.method == method:
                    fault.times -= 1
                    if not fault.times:
                        self._faults.remove(fault)
                    return fault.mode
        return None


class Record:
    """The last calls, newest last, and a file of all of them (JSON lines ``{time, method}``) when one is named."""

    def __init__(self, now: Callable[[], datetime], path: Path | None) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._ring: deque[dict[str, str]] = deque(maxlen=_RING)
        self._file = path.open("a", encoding="utf-8") if path else None

    def add(self, path: str) -> None:
        """Note a call by its gRPC path."""
        entry = {"time": self._now().isoformat(), "method": path.removeprefix("/").replace("/", ".")}
        with self._lock:
            self._ring.append(entry)
            if self._file is not None:
                self._file.write(json.dumps(entry) + "\n")
                self._file.flush()

    def entries(self) -> list[dict[str, str]]:
        """The calls still remembered."""
        with self._lock:
            return list(self._ring)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


class Calls:
    """Every call of Vertex AI that this server answers. ``handlers`` maps a method's name to its handler."""

    def __init__(
        self, handlers: Mapping[str, Handler], record: Record, project: str | None, location: str | None
    ) -> None:
        self.faults = Faults()
        self.record = record
        self._handlers = handlers
        self._project = project
        self._location = location

    def __call__(self, path: str, request: Any) -> Any:
        """Answer the call with gRPC path ``path``. Raises RpcError."""
        self.record.add(path)
        method = path.rpartition("/")[2]
        handler = self._handlers.get(method)
        if handler is None:
            raise unimplemented(path.removeprefix("/"))
        fault = self.faults.take(method)
        if fault == "unavailable":
            raise unavailable(f"{method}: the service is currently unavailable (injected)")
        if fault == "not_found":
            raise not_found(f"{method}: the resource was not found (injected)")
        self._check_place(request)
        answer = _answer(handler, request, path)
        if fault == "lost_answer":
            raise unavailable(f"{method}: the answer was lost (injected)")
        return answer

    def _check_place(self, request: Any) -> None:
        name = _place(request)
        if name is None:
            return
        project, location = split_parent(name)
        if self._project is not None and project != self._project:
            raise denied(f"Permission denied on resource project {project}: this server has {self._project}.")
        if self._location is not None and location != self._location:
            raise invalid(
                f"Location ID in resource name must match the endpoint: expected {self._location}, got {location}."
            )


def _answer(handler: Handler, request: Any, path: str) -> Any:
    try:
        return handler(request)
    except RpcError:
        raise
    except Exception as error:
        _LOG.exception("%s failed", path)
        raise RpcError(grpc.StatusCode.INTERNAL, f"{path.removeprefix('/')}: {error!r}") from error


def _place(request: Any) -> str | None:
    """The resource name that says where the call goes: of the parent, of the resource, or inside the resource."""
    for field in ("parent", "endpoint", "name"):
        value = getattr(request, field, None)
        if isinstance(value, str) and value:
            return value
    for field, value in request.ListFields():
        if field.message_type is not None and not field.is_repeated and hasattr(value, "name"):
            return str(value.name) or None
    return None
