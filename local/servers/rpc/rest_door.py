"""The REST door: the harvested routes as one starlette application, with Google's error bodies."""

import asyncio
import json
import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Self

import uvicorn
from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from local.servers.rpc.errors import RpcError, invalid, not_found
from local.servers.rpc.grpc_door import Call
from local.servers.rpc.harvest import Api, Method, Route

_VERBS = ["GET", "POST", "PATCH", "PUT", "DELETE"]
# Parameters that shape the answer and are no field of any request.
_SYSTEM_PARAMETERS = {"alt", "key", "prettyPrint", "quotaUser", "fields", "callback", "access_token"}


def rest_app(call: Call, api: Api) -> Starlette:
    """An application that serves ``api``'s routes by ``call(gRPC path, request message)``."""

    async def handle(request: Request) -> Response:
        try:
            route, values = _find(api.routes, request.method, request.url.path)
            query = request.query_params.multi_items()
            message = _parse(api.rpcs[route.path], route, values, query, await request.body())
            answer = await asyncio.to_thread(call, route.path, message)
        except RpcError as error:
            return _refusal(error)
        ints = any(k == "$alt" and "enum-encoding=int" in v for k, v in query)
        text = json_format.MessageToJson(answer, use_integers_for_enums=ints, indent=None)
        return Response(text, media_type="application/json; charset=UTF-8")

    return Starlette(routes=[StarletteRoute("/{path:path}", handle, methods=_VERBS)])


def _find(routes: Sequence[Route], verb: str, path: str) -> tuple[Route, dict[str, str]]:
    for route in routes:
        match = route.pattern.fullmatch(path)
        if route.verb == verb and match is not None:
            return route, match.groupdict()
    raise not_found(f"no method answers {verb} {path}")


def _parse(
    method: Method, route: Route, values: Mapping[str, str], query: Sequence[tuple[str, str]], body: bytes
) -> Any:
    """The request message from path, query and body. An unknown field or a wrong type is INVALID_ARGUMENT."""
    try:
        content = json.loads(body) if body else {}
    except ValueError as error:
        raise invalid(f"{route.verb} body: expected JSON, got {body[:80]!r}") from error
    fields: dict[str, Any] = content if route.body == "*" else {}
    if route.body and route.body != "*":
        fields = {route.body: content}
    for key, value in query:
        if not key.startswith("$") and key not in _SYSTEM_PARAMETERS:
            _put(fields, key.split("."), value, repeat=True)
    for key, value in values.items():
        _put(fields, key.split("__"), value, repeat=False)
    try:
        return json_format.ParseDict(fields, method.request())
    except json_format.ParseError as error:
        raise invalid(str(error)) from error


def _put(fields: dict[str, Any], keys: Sequence[str], value: str, repeat: bool) -> None:
    for key in keys[:-1]:
        fields = fields.setdefault(key, {})
    last = keys[-1]
    if repeat and last in fields:
        before = fields[last]
        fields[last] = [*before, value] if isinstance(before, list) else [before, value]
    else:
        fields[last] = value


def _refusal(error: RpcError) -> Response:
    body = {"error": {"code": error.http_status, "message": error.message, "status": error.code.name}}
    return Response(json.dumps(body), error.http_status, media_type="application/json; charset=UTF-8")


class RestServer:
    """An ASGI application on 127.0.0.1 in a thread; port 0 takes a free one. ``url`` has no slash at its end."""

    def __init__(self, app: Any, port: int = 0) -> None:
        config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)
        self._socket = config.bind_socket()
        # Inherited by accepted connections; asyncio would leave Nagle's algorithm on, at 40 ms an answer.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="rest", daemon=True)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])

    def __enter__(self) -> Self:
        # The socket listens from the start: what arrives before the loop runs waits in its queue.
        self._socket.listen(128)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=10)
        self._socket.close()
