"""The gRPC door: the harvested calls, and a refusal that names the method for everything else."""

from collections.abc import Iterator
from typing import Any

import grpc

from local.servers.rpc import GenericRpcHandler
from local.servers.vertex.calls import Calls
from local.servers.vertex.errors import unimplemented
from local.servers.vertex.routes import vertex_api


class VertexRpcHandler(GenericRpcHandler):
    """Answers Vertex AI's calls over gRPC by ``calls``."""

    def __init__(self, calls: Calls) -> None:
        super().__init__(calls, vertex_api().rpcs)

    def service(self, handler_call_details: Any) -> Any:
        """The handler of a path; an unknown one, or one that streams, is UNIMPLEMENTED by name."""
        known = super().service(handler_call_details)
        if known is not None:
            return known
        refusal = unimplemented(handler_call_details.method.removeprefix("/"))

        def refuse(_: Iterator[bytes], context: Any) -> Iterator[bytes]:
            context.abort(refusal.code, refusal.message)
            yield b""

        # On the wire any call looks like a stream, so this one handler fits all kinds.
        return grpc.stream_stream_rpc_method_handler(refuse)
