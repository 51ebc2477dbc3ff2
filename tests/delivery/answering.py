"""A model server whose answers a test writes into the file that it is started with."""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    """Answers the health and predict routes of the serving contract."""

    def do_GET(self) -> None:
        self._answer(200, "{}")

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        told = json.loads(Path(sys.argv[1]).read_text())
        listed = told["answers"][: len(asked["instances"]) + told.get("more", 0)]
        self._answer(told.get("status", 200), json.dumps({"predictions": listed}))

    def _answer(self, code: int, content: str) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Write no log."""


ThreadingHTTPServer(("127.0.0.1", int(os.environ["AIP_HTTP_PORT"])), Handler).serve_forever()
