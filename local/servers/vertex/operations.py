"""Long-running operations: each is a stored resource, done when the thread that works on it says so."""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import grpc
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2

from local.servers.rpc import RpcError
from local.servers.vertex.calls import Handler
from local.servers.vertex.errors import unimplemented
from local.servers.vertex.listing import page
from local.servers.vertex.messages import new, stamp, status
from local.servers.vertex.store import Store

_KIND = "Operation"
_DEFAULT_WAIT_S = 30.0


def empty() -> Any:
    """The answer of a call that has none."""
    return empty_pb2.Empty()


class Operations:
    """Starts operations and answers the calls about them."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._changed = threading.Condition()
        self._threads: set[threading.Thread] = set()

    def handlers(self) -> Mapping[str, Handler]:
        """The calls of google.longrunning.Operations."""
        return {
            "GetOperation": lambda request: self._store.get(request.name, _KIND),
            "ListOperations": self._list,
            "DeleteOperation": self._delete,
            "WaitOperation": self._wait,
            "CancelOperation": self._cancel,
        }

    def finished(self, target: str, metadata_type: str, response: Any) -> Any:
        """An operation on ``target`` (a resource name) that has ended well."""
        operation = self._new(target, metadata_type)
        operation.done = True
        operation.response.Pack(response)
        return self._store.put(operation.name, operation)

    def start(self, target: str, metadata_type: str, work: Callable[[], Any]) -> Any:
        """An operation on ``target`` that ends when ``work``, run in a thread, returns its response or raises."""
        operation = self._store.put((started := self._new(target, metadata_type)).name, started)
        thread = threading.Thread(target=self._run, args=(operation.name, work), daemon=True, name="operation")
        self._threads.add(thread)
        thread.start()
        return operation

    def close(self) -> None:
        """Wait for the operations under way."""
        for thread in list(self._threads):
            thread.join(timeout=15)

    def fail_unfinished(self) -> None:
        """After a restart nobody works on the operations that were under way."""
        for name, operation in self._store.under("projects/", "operations"):
            if not operation.done:
                code = grpc.StatusCode.ABORTED.value[0]
                self._finish(name, status(code, "the server stopped before the operation ended"), None)

    def _new(self, target: str, metadata_type: str) -> Any:
        moment = stamp(self._now())
        metadata = new(metadata_type)
        metadata.generic_metadata.create_time.CopyFrom(moment)
        metadata.generic_metadata.update_time.CopyFrom(moment)
        operation = operations_pb2.Operation(name=f"{target}/operations/{self._store.next_id()}")
        operation.metadata.Pack(metadata)
        return operation

    def _run(self, name: str, work: Callable[[], Any]) -> None:
        try:
            response = work()
        except RpcError as error:
            self._finish(name, status(error.code.value[0], error.message), None)
        except Exception as error:  # noqa: BLE001  # an operation must end, whatever went wrong
            self._finish(name, status(grpc.StatusCode.INTERNAL.value[0], repr(error)), None)
        else:
            self._finish(name, None, response)
        self._threads.discard(threading.current_thread())

    def _finish(self, name: str, error: Any | None, response: Any | None) -> None:
        with self._changed:
            if self._store.find(name) is not None:
                with self._store.edit(name, _KIND) as operation:
                    operation.done = True
                    if error is not None:
                        operation.error.CopyFrom(error)
                    else:
                        operation.response.Pack(response)
            self._changed.notify_all()

    def _list(self, request: Any) -> Any:
        found = [operation for _, operation in self._store.under(f"{request.name}/", "operations")]
        return page(found, request, operations_pb2.ListOperationsResponse())

    def _delete(self, request: Any) -> Any:
        self._store.get(request.name, _KIND)
        self._store.delete(request.name)
        return empty()

    def _cancel(self, request: Any) -> Any:
        operation = self._store.get(request.name, _KIND)
        if operation.done:
            return empty()
        raise unimplemented(f"cancelling the running operation {request.name}")

    def _wait(self, request: Any) -> Any:
        seconds = request.timeout.seconds + request.timeout.nanos / 1e9
        with self._changed:
            self._changed.wait_for(
                lambda: self._store.get(request.name, _KIND).done, timeout=seconds or _DEFAULT_WAIT_S
            )
        return self._store.get(request.name, _KIND)
