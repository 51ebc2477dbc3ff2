"""The calls, message types and REST routes of the installed Vertex AI client, and which of them a URL means.

The routes for long-running operations differ by resource in thousands of lines, and all say the same: one pattern
replaces them. Everything else is taken as the client has it.
"""

import re
from dataclasses import dataclass
from functools import cache, lru_cache

from google.longrunning import operations_pb2
from google.protobuf import empty_pb2

from local.servers.rpc import Api, Method, Route, harvest
from local.servers.vertex.errors import unimplemented

SERVICES = (
    "job_service",
    "model_service",
    "endpoint_service",
    "prediction_service",
    "pipeline_service",
    "dataset_service",
    "metadata_service",
    "tensorboard_service",
)
OPERATIONS = "/google.longrunning.Operations/"
_VERTEX = "/google.cloud.aiplatform.v1."
# The client polls under /ui/ before /v1/, because that is the first route its tables name.
_OPERATION = re.compile(r"/(?:ui|v1)/(?P<name>projects/.+/operations/[^/:]+)(?::(?P<verb>wait|cancel))?")
_OPERATION_LIST = re.compile(r"/(?:ui|v1)/(?P<name>projects/.+)/operations")
_OPERATION_VERBS = {
    ("GET", None): "GetOperation",
    ("DELETE", None): "DeleteOperation",
    ("POST", "wait"): "WaitOperation",
    ("POST", "cancel"): "CancelOperation",
}
_OPERATION_CALLS = {
    "GetOperation": operations_pb2.Operation,
    "ListOperations": operations_pb2.ListOperationsResponse,
    "DeleteOperation": empty_pb2.Empty,
    "CancelOperation": empty_pb2.Empty,
    "WaitOperation": operations_pb2.Operation,
}


@dataclass(frozen=True)
class Target:
    """What a URL means: the gRPC path, the request field that the body fills, and fields from the URL itself."""

    path: str
    body: str | None
    values: tuple[tuple[str, str], ...]


@cache
def vertex_api() -> Api:
    """The client's calls with their messages, and those of the operations, which have no REST route here."""
    api = harvest("google.cloud.aiplatform_v1", SERVICES)
    rpcs = {path: method for path, method in api.rpcs.items() if path.startswith(_VERTEX)}
    for name, response in _OPERATION_CALLS.items():
        request = getattr(operations_pb2, f"{name}Request")
        rpcs[OPERATIONS + name] = Method(OPERATIONS + name, "unary_unary", request, response)
    return Api(rpcs, [route for route in api.routes if route.path.startswith(_VERTEX)])


@lru_cache(maxsize=8192)
def target(verb: str, url_path: str) -> Target:
    """Find the call that ``verb`` and ``url_path`` mean. Raises UNIMPLEMENTED, naming both."""
    for route in vertex_api().routes:
        if route.verb == verb and (match := route.pattern.fullmatch(url_path)):
            return _target(route, match)
    return _operation(verb, url_path)


def _target(route: Route, match: re.Match[str]) -> Target:
    return Target(route.path, route.body, tuple((k.replace("__", "."), v) for k, v in match.groupdict().items()))


def _operation(verb: str, url_path: str) -> Target:
    if found := _OPERATION.fullmatch(url_path):
        name = _OPERATION_VERBS.get((verb, found["verb"]))
        if name is not None:
            return Target(OPERATIONS + name, "*" if verb == "POST" else None, (("name", found["name"]),))
    if verb == "GET" and (found := _OPERATION_LIST.fullmatch(url_path)):
        return Target(OPERATIONS + "ListOperations", None, (("name", found["name"]),))
    raise unimplemented(f"{verb} {url_path}")
