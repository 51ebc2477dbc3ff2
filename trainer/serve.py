"""``python -m trainer.serve``: a deployed model behind HTTP, by Vertex AI's contract for serving containers.

``POST {"instances": [{feature: value, …}, …]}`` → ``{"predictions": [{…}, …]}``. A row's key may travel along in an
instance, into the request log.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from trainer import manifest, storage
from trainer.predictor import BadInstance, Predictor
from trainer.screening import screen

MAX_BYTES = 10_000_000
_SHAPE = 'expected {"instances": [{feature: value, ...}, ...]} with at least one instance'


@dataclass(frozen=True)
class Contract:
    """What Vertex AI tells a serving container."""

    model: str  # folder of the SavedModel
    port: int
    health: str
    predict: str

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Contract":
        """Read the AIP_* variables. Raises ValueError."""
        model, port = environ.get("AIP_STORAGE_URI", ""), environ.get("AIP_HTTP_PORT", "8080")
        if not model:
            raise ValueError("AIP_STORAGE_URI: expected the model's folder, got nothing")
        if not port.isdigit():
            raise ValueError(f"AIP_HTTP_PORT: expected a number, got {port!r}")
        health, predict = environ.get("AIP_HEALTH_ROUTE", "/health"), environ.get("AIP_PREDICT_ROUTE", "/predict")
        return cls(model, int(port), health, predict)


class Server(ThreadingHTTPServer):
    """Answers health checks from the start, and predictions once the model is loaded."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str, contract: Contract, digest: str) -> None:
        super().__init__((host, contract.port), Handler)
        self.contract = contract
        self.digest = digest
        self.predictor: Predictor | None = None

    def load(self) -> None:
        """Fetch and load the model; one that cannot be loaded ends the process, so that the deployment fails."""
        uri = self.contract.model
        try:
            folder = storage.fetch_tree(uri, Path(tempfile.mkdtemp())).folder
            manifest.check(uri, manifest.file_digests(folder), self.digest, None)
            screen(folder)
            self.predictor = Predictor(folder)
            print(f"serving {uri}", flush=True)
        except Exception as error:  # noqa: BLE001 - whatever it is, without a model there is nothing to serve
            print(f"{uri} cannot be served: {type(error).__name__}: {error}", flush=True)
            os._exit(2)


class Handler(BaseHTTPRequestHandler):
    """One connection, kept alive."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # an answer leaves in one piece
    server: Server

    def do_GET(self) -> None:
        """Health."""
        if self._route() != self.server.contract.health:
            self._answer(404, {"error": f"no such route: {self.path}"})
        elif self.server.predictor is None:
            self._answer(503, {"error": "the model is being loaded"})
        else:
            self._answer(200, {"status": "ok"})

    def do_POST(self) -> None:
        """Predict."""
        size = self.headers.get("content-length", "")
        if not size.isdigit() or int(size) > MAX_BYTES:
            self.close_connection = True  # what follows cannot be told from the next request
            limit = f"expected a Content-Length of at most {MAX_BYTES}, got {size or 'none'}"
            self._answer(413 if size.isdigit() else 411, {"error": limit})
            return
        body = self.rfile.read(int(size))
        if self._route() != self.server.contract.predict:
            self._answer(404, {"error": f"no such route: {self.path}"})
        elif self.server.predictor is None:
            self._answer(503, {"error": "the model is being loaded"})
        else:
            self._answer(*_predict(self.server.predictor, body))

    def _route(self) -> str:
        return self.path.partition("?")[0]

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Requests are logged by the endpoint, not here."""


def _predict(predictor: Predictor, body: bytes) -> tuple[int, dict[str, Any]]:
    """HTTP status and content of the answer to a request's body."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        return 400, {"error": f"not JSON: {error}"}
    instances = request.get("instances") if isinstance(request, dict) else None
    if not isinstance(instances, list) or not instances:
        return 400, {"error": _SHAPE}
    try:
        return 200, {"predictions": predictor.predict(instances)}
    except BadInstance as error:
        return 400, {"error": str(error)}
    except Exception:  # noqa: BLE001 - the next request may fare better
        traceback.print_exc()
        return 500, {"error": "the model failed on this request"}


def main(words: Sequence[str] | None = None) -> int:
    """Serve until the process is stopped; exit code 2 when that cannot be done."""
    top = argparse.ArgumentParser(prog="python -m trainer.serve", description=__doc__, allow_abbrev=False)
    host = os.environ.get("HOST", "0.0.0.0")  # noqa: S104 - a container's own network
    top.add_argument("--host", default=host, help="address to listen on; default: $HOST, else every address")
    top.add_argument("--digest", default="", help="digest that the model's manifest has; another is not served")
    args = top.parse_args(words)
    try:
        server = Server(args.host, Contract.of(os.environ), args.digest)
    except (ValueError, OSError) as error:
        print(f"cannot serve: {error}", flush=True)
        return 2
    threading.Thread(target=server.load, daemon=True).start()
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
