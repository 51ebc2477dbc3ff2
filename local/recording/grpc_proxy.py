"""A recording proxy for gRPC: bytes pass through as they are, whatever the call is, and each call is logged."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any, Self

import grpc

from local.recording.calls import Call, Log, Service
from local.servers.rpc import GrpcServer

_OWN = {"user-agent", "grpc-accept-encoding", "grpc-timeout", "te", "content-type"}
_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class GrpcProxy:
    """Forwards to ``upstream`` (``host:port``) and logs calls as the account's; ``address`` is ``host:port``."""

    def __init__(self, upstream: str, account: str, service: Service, log: Log) -> None:
        self._account, self._service, self._log = account, service, log
        self._channel = grpc.insecure_channel(upstream, options=_OPTIONS)
        self._server = GrpcServer(_Forward(self))
        self.address = self._server.address

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__()
        self._channel.close()

    def pass_on(self, method: str, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        """Ask the server behind and answer as it does."""
        first = next(requests, b"")
        asked = Call(self._account, self._service, method, body=first)
        if why := self._log.refusal(asked):
            self._log.add(replace(asked, status=grpc.StatusCode.PERMISSION_DENIED.name, refused=why))
            context.abort(grpc.StatusCode.PERMISSION_DENIED, why)
        metadata = [(key, value) for key, value in context.invocation_metadata() if key not in _OWN]
        call = self._channel.stream_stream(method)(
            chain([first], requests), metadata=metadata, timeout=context.time_remaining()
        )
        context.add_callback(call.cancel)
        try:
            yield from call
        except grpc.RpcError:
            context.set_trailing_metadata(call.trailing_metadata() or ())
            context.set_code(call.code())
            context.set_details(call.details() or "")
        finally:
            code = call.code() or grpc.StatusCode.OK
            self._log.add(replace(asked, status=code.name))


class _Forward(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc ships no types
    """Every path leads to the proxy. On the wire any call looks like a stream, so one handler fits all kinds."""

    def __init__(self, proxy: GrpcProxy) -> None:
        self._proxy = proxy

    def service(self, handler_call_details: Any) -> Any:
        """The handler of one path."""
        method = handler_call_details.method

        def handle(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
            return self._proxy.pass_on(method, requests, context)

        return grpc.stream_stream_rpc_method_handler(handle)
