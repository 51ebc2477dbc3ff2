"""What every local Google server shares: message types and routes read from the installed client, and two doors.

``harvest`` asks an installed Google client which calls exist, with which messages and REST routes; ``rest_app`` and
``GenericRpcHandler`` serve one handler behind both. So a request is parsed into the real message, and an unknown
field or a wrong type is refused as the real service would.
"""

from local.servers.rpc.errors import (
    RpcError,
    already_exists,
    failed_precondition,
    invalid,
    not_found,
)
from local.servers.rpc.grpc_door import GenericRpcHandler, GrpcServer
from local.servers.rpc.harvest import Api, Method, Route, harvest
from local.servers.rpc.process import environment_clock, run_server
from local.servers.rpc.rest_door import RestServer, rest_app

__all__ = [
    "Api",
    "GenericRpcHandler",
    "GrpcServer",
    "Method",
    "RestServer",
    "Route",
    "RpcError",
    "already_exists",
    "environment_clock",
    "failed_precondition",
    "harvest",
    "invalid",
    "not_found",
    "rest_app",
    "run_server",
]
