"""The REST door: URL, query and body become the request message; Google's JSON comes back.

``rawPredict`` is the one call with a body of its own: what is posted is the payload, and the model's answer is
returned as it is. The generated REST client wraps payloads into ``{"httpBody": ...}`` instead and expects the same
back, so that shape is understood too.
"""

import asyncio
import base64
import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.servers.rpc import RpcError, invalid
from local.servers.vertex.calls import Calls
from local.servers.vertex.routes import Target, target, vertex_api
from local.servers.vertex.serving_metrics import ServingMetrics

_VERBS = ["GET", "POST", "PATCH", "PUT", "DELETE"]
# Parameters that shape the answer and are no field of any request.
_SYSTEM = frozenset({"alt", "key", "prettyPrint", "quotaUser", "fields", "callback", "access_token"})
_JSON = "application/json; charset=UTF-8"


def rest_app(calls: Calls, metrics: ServingMetrics, threads: int = 64) -> Starlette:
    """An application that answers Vertex AI's REST calls, one of Cloud Monitoring's about them, ``/healthz`` and
    ``/admin/faults``."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="rest-call")

    async def handle(request: Request) -> Response:
        body = await request.body()
        # One hop to a thread does everything: parsing a large request must not stop the loop either.
        return await asyncio.get_running_loop().run_in_executor(pool, partial(_answer, calls, request, body))

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def faults(request: Request) -> Response:
        if request.method == "POST":
            try:
                _add_fault(calls, await request.body())
            except RpcError as error:
                return _refusal(error)
        return JSONResponse({"faults": calls.faults.waiting()})

    async def record(_: Request) -> Response:
        return JSONResponse({"calls": calls.record.entries()})

    async def series(request: Request) -> Response:
        query = {key: request.query_params.getlist(key) for key in request.query_params}
        try:
            return JSONResponse(metrics.time_series(request.path_params["project"], query))
        except RpcError as error:
            return _refusal(error)

    return Starlette(
        routes=[
            Route("/v3/projects/{project}/timeSeries", series),
            Route("/healthz", health),
            Route("/admin/faults", faults, methods=["GET", "POST"]),
            Route("/admin/calls", record),
            Route("/{path:path}", handle, methods=_VERBS),
        ]
    )


def _add_fault(calls: Calls, body: bytes) -> None:
    try:
        fault = json.loads(body)
        calls.faults.add(str(fault["method"]), str(fault["mode"]), int(fault.get("times", 1)))
    except (ValueError, KeyError, TypeError) as error:
        raise invalid(f'fault: expected {{"method", "mode", "times"}}, got {body[:200]!r}') from error


def _answer(calls: Calls, request: Request, body: bytes) -> Response:
    try:
        found = target(request.method, request.url.path)
        if found.path.endswith("/RawPredict"):
            return _raw(calls, found, request.headers.get("content-type", "application/json"), body)
        query = request.query_params.multi_items()
        answer = calls(found.path, _parse(found, query, body))
    except RpcError as error:
        return _refusal(error)
    ints = any(key == "$alt" and "enum-encoding=int" in value for key, value in query)
    text = json_format.MessageToJson(answer, use_integers_for_enums=ints, indent=None)
    return Response(text, media_type=_JSON)


def _parse(found: Target, query: list[tuple[str, str]], body: bytes) -> Any:
    """The request message. An unknown field or a wrong type is INVALID_ARGUMENT, in protobuf's own words."""
    content = _json(body)
    fields: dict[str, Any] = content if found.body == "*" else {}
    if found.body and found.body != "*":
        fields = {found.body: content}
    for key, value in query:
        if not key.startswith("$") and key not in _SYSTEM:
            _put(fields, key, value, repeat=True)
    for key, value in found.values:
        _put(fields, key, value, repeat=False)
    return _message(found.path, fields)


def _message(path: str, fields: dict[str, Any]) -> Any:
    try:
        return json_format.ParseDict(fields, vertex_api().rpcs[path].request())
    except (json_format.ParseError, TypeError, AttributeError) as error:
        raise invalid(f"Invalid JSON payload received. {error}") from error


def _json(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body) if body else {}
    except ValueError as error:
        raise invalid(f"Invalid JSON payload received. {error}: {body[:80]!r}") from error
    if not isinstance(content, dict):
        raise invalid(f"Invalid JSON payload received. Expected an object, got {type(content).__name__}.")
    return content


def _put(fields: dict[str, Any], path: str, value: str, repeat: bool) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        fields = fields.setdefault(parent, {})
        if not isinstance(fields, dict):
            raise invalid(f"Invalid value for parameter {path}: {value!r}.")
    if repeat and last in fields:
        before = fields[last]
        fields[last] = [*before, value] if isinstance(before, list) else [before, value]
    else:
        fields[last] = value


def _raw(calls: Calls, found: Target, content_type: str, body: bytes) -> Response:
    wrapped = _wrapped(body)
    fields: dict[str, Any] = dict(found.values)
    fields["httpBody"] = wrapped or {"contentType": content_type, "data": base64.b64encode(body).decode()}
    answer = calls(found.path, _message(found.path, fields))
    if wrapped is not None:
        return Response(json_format.MessageToJson(answer, indent=None), media_type=_JSON)
    return Response(answer.data, headers={"Content-Type": answer.content_type})


def _wrapped(body: bytes) -> dict[str, Any] | None:
    """The ``httpBody`` of a payload that the generated REST client has wrapped, or None."""
    if not body.lstrip().startswith(b"{"):
        return None
    try:
        content = json.loads(body)
    except ValueError:
        return None
    inner = content.get("httpBody") if set(content) == {"httpBody"} else None
    return inner if isinstance(inner, dict) else None


def _refusal(error: RpcError) -> Response:
    body = {"error": {"code": error.http_status, "message": error.message, "status": error.code.name}}
    return Response(json.dumps(body), error.http_status, media_type=_JSON)
