"""The gRPC door: one generic handler for every harvested call, and a server on the loopback address."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import grpc

from local.servers.rpc.errors import RpcError
from local.servers.rpc.harvest import Method

Call = Callable[[str, Any], Any]
"""A unary handler: (gRPC path, request message) -> response message; raises RpcError."""
Stream = Callable[[Iterator[Any], Any], Iterator[Any]]
"""A two-way streaming handler: (requests, grpc context) -> responses."""

_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # Otherwise two servers may share a port, and calls go to either.
    ("grpc.so_reuseport", 0),
]


class GenericRpcHandler(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc ships no types
    """Serves each unary call of ``rpcs`` by ``call`` and each two-way stream by its entry in ``streams``."""

    def __init__(self, call: Call, rpcs: Mapping[str, Method], streams: Mapping[str, Stream] | None = None) -> None:
        self._call = call
        self._rpcs = rpcs
        self._streams = streams or {}

    def service(self, handler_call_details: Any) -> Any:
        """The handler of one path, or None, which gRPC answers with UNIMPLEMENTED."""
        method = self._rpcs.get(handler_call_details.method)
        if method is None:
            return None
        if method.kind == "stream_stream" and method.path in self._streams:
            return grpc.stream_stream_rpc_method_handler(
                self._guarded_stream(self._streams[method.path]), method.request.FromString, _serialize
            )
        if method.kind != "unary_unary":
            return None
        return grpc.unary_unary_rpc_method_handler(
            self._guarded(method.path), method.request.FromString, _serialize
        )

    def _guarded(self, path: str) -> Callable[[Any, Any], Any]:
        def handle(request: Any, context: Any) -> Any:
            try:
                return self._call(path, request)
            except RpcError as error:
                context.abort(error.code, error.message)

        return handle

    @staticmethod
    def _guarded_stream(stream: Stream) -> Callable[[Iterator[Any], Any], Iterator[Any]]:
        def handle(requests: Iterator[Any], context: Any) -> Iterator[Any]:
            try:
                yield from stream(requests, context)
            except RpcError as error:
                context.abort(error.code, error.message)

        return handle


class GrpcServer:
    """A gRPC server on 127.0.0.1; port 0 takes a free one. ``address`` is ``host:port``."""

    def __init__(self, handler: GenericRpcHandler, port: int = 0, threads: int = 64) -> None:
        # A stream holds its thread for as long as its client listens.
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="rpc")
        self._server = grpc.server(self._pool, options=_OPTIONS)
        self._server.add_generic_rpc_handlers((handler,))
        self.port: int = self._server.add_insecure_port(f"127.0.0.1:{port}")
        self.address = f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(grace=1).wait()
        self._pool.shutdown(wait=False, cancel_futures=True)


def _serialize(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data
