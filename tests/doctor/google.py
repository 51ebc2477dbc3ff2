"""A server that answers the REST calls of the doctor in the shapes that Google documents, from a dictionary."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

Answers = dict[str, Any]  # host without .googleapis.com, then the path → a JSON body, or an int for an error


@contextmanager
def serve(answers: Answers) -> Iterator[str]:
    """Answer from ``answers``, which may be changed meanwhile, and yield the base address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            key = urlsplit(self.path).path.lstrip("/").replace(".googleapis.com", "", 1)
            found = answers.get(key, 404)
            code, body = (200, found) if not isinstance(found, int) else (found, _error(found, key))
            data = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            if self.path.endswith(":getIamPolicy"):
                assert body == {"options": {"requestedPolicyVersion": 3}}, body  # else conditions are left out
            self.do_GET()

        def log_message(self, *args: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _error(code: int, key: str) -> dict[str, Any]:
    status = {403: "PERMISSION_DENIED", 404: "NOT_FOUND"}.get(code, "INTERNAL")
    return {"error": {"code": code, "message": f"{status}: {key}", "status": status}}


def policy(*bindings: tuple[str, str, str]) -> dict[str, Any]:
    """A policy in Google's form from role, member and condition (empty: none)."""
    made = []
    for role, member, condition in bindings:
        one: dict[str, Any] = {"role": role, "members": [member]}
        if condition:
            one["condition"] = {"title": "folders", "expression": condition}
        made.append(one)
    return {"version": 3, "etag": "BwX=", "bindings": made}
