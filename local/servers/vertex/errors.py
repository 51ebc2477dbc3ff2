"""The refusals that Vertex AI adds to those every local server shares."""

import grpc

from local.servers.rpc import RpcError


def aborted(message: str) -> RpcError:
    """Somebody changed the resource since the caller read it."""
    return RpcError(grpc.StatusCode.ABORTED, message)


def unavailable(message: str) -> RpcError:
    """Nothing answers now; the same call may succeed later."""
    return RpcError(grpc.StatusCode.UNAVAILABLE, message)


def unimplemented(what: str) -> RpcError:
    """The call, or the part of it that is named, does not exist here."""
    return RpcError(grpc.StatusCode.UNIMPLEMENTED, f"{what} is not implemented by the local Vertex AI")


def denied(message: str) -> RpcError:
    """The project is not the one that is served."""
    return RpcError(grpc.StatusCode.PERMISSION_DENIED, message)
