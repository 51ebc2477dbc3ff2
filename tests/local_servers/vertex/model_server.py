"""A model server for tests: doubles each instance; told by its arguments how to misbehave."""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Answers the health and predict routes of the serving contract."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer(200 if self.path == os.environ["AIP_HEALTH_ROUTE"] else 404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = json.loads(body)
        first = request["instances"][0]
        if first == "crash":
            os._exit(3)
        if first == "refuse":
            return self._answer(400, {"error": "the instance is malformed"})
        if first == "environment":
            return self._answer(200, {"predictions": [{k: v for k, v in os.environ.items() if k[:4] == "AIP_"}]})
        if first == "nonsense":
            return self._answer(200, {"result": 1})
        predictions = [{"twice": 2 * i, "arm": os.environ["AIP_DEPLOYED_MODEL_ID"]} for i in request["instances"]]
        return self._answer(200, {"predictions": predictions, "parameters": request.get("parameters")})

    def _answer(self, code: int, content: object) -> None:
        data = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Write no log."""


if "--broken" in sys.argv:
    sys.exit("the model cannot be loaded")
ThreadingHTTPServer(("127.0.0.1", int(os.environ["AIP_HTTP_PORT"])), Handler).serve_forever()
