"""``python -m trainer.serve``: a deployed model behind HTTP, by Vertex AI's contract for serving containers.

``POST {"instances": [{feature: value, …}, …]}`` → ``{"predictions": [{…}, …]}``. Unknown keys are ignored, so that
a row's key may travel along into the request log; a missing key is a missing value.
"""

import json
import math
import os
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np

from trainer import storage

MAX_BYTES = 10_000_000


class BadRequest(Exception):
    """The request cannot be answered; the text names instance and feature."""


class Predictor:
    """A SavedModel's serving signature over JSON instances."""

    def __init__(self, folder: Path) -> None:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        self._model = tf.saved_model.load(str(folder))
        self._serve = self._model.signatures["serving_default"]
        signature = self._serve.structured_input_signature[1]
        self._text = {name for name, spec in signature.items() if spec.dtype == tf.string}
        self._names = tuple(signature)
        self._tf = tf
        self.predict([{}])  # the first call traces

    def predict(self, instances: list[Any]) -> list[dict[str, Any]]:
        """One answer per instance. Raises BadRequest."""
        for number, instance in enumerate(instances):
            if not isinstance(instance, dict):
                raise BadRequest(f"instance {number}: expected an object, got {type(instance).__name__}")
        tensors = {name: self._column(name, instances) for name in self._names}
        answer = {name: value.numpy() for name, value in self._serve(**tensors).items()}
        plain = {name: value.astype(str) if value.dtype == object else value for name, value in answer.items()}
        return [{name: value[row].tolist() for name, value in plain.items()} for row in range(len(instances))]

    def _column(self, name: str, instances: list[Any]) -> Any:
        values = [instance.get(name) for instance in instances]
        if name in self._text:
            return self._tf.constant([_text(name, n, v) for n, v in enumerate(values)], self._tf.string)
        return self._tf.constant(np.array([_number(name, n, v) for n, v in enumerate(values)], np.float32))


def _text(name: str, number: int, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    raise BadRequest(f"instance {number}: {name}: expected text, got {type(value).__name__}")


def _number(name: str, number: int, value: Any) -> float:
    if value is None:
        return math.nan
    if isinstance(value, (int, float)):
        return float(value)
    raise BadRequest(f"instance {number}: {name}: expected a number, got {type(value).__name__}")


class Server(ThreadingHTTPServer):
    """Answers health checks from the start, and predictions once the model is loaded."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], health: str, predict: str) -> None:
        super().__init__(address, Handler)
        self.health, self.predict_route = health, predict
        self.predictor: Predictor | None = None

    def load(self, uri: str) -> None:
        """Fetch and load the model at ``uri``; a model that cannot be loaded ends the process."""
        try:
            folder = storage.fetch_tree(uri, Path(tempfile.mkdtemp()))
            self.predictor = Predictor(folder)
            print(f"serving {uri}", flush=True)
        except Exception as error:  # noqa: BLE001 - without a model there is nothing to serve
            print(f"permanent: {uri} cannot be served: {type(error).__name__}: {error}", flush=True)
            os._exit(2)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        """Health."""
        if self.path != self.server.health:
            self._answer(404, {"error": f"no route {self.path}"})
        elif self.server.predictor is None:
            self._answer(503, {"error": "the model is being loaded"})
        else:
            self._answer(200, {"status": "ok"})

    def do_POST(self) -> None:
        """Predict."""
        size = int(self.headers.get("content-length") or 0)
        if size > MAX_BYTES:
            self.close_connection = True
            self._answer(413, {"error": f"expected at most {MAX_BYTES} bytes, got {size}"})
            return
        body = self.rfile.read(size)
        if self.path != self.server.predict_route:
            self._answer(404, {"error": f"no route {self.path}"})
        elif self.server.predictor is None:
            self._answer(503, {"error": "the model is being loaded"})
        else:
            self._predict(self.server.predictor, body)

    def _predict(self, predictor: Predictor, body: bytes) -> None:
        try:
            request = json.loads(body)
            instances = request.get("instances") if isinstance(request, dict) else None
            if not isinstance(instances, list) or not instances:
                raise BadRequest('expected {"instances": [{feature: value, ...}, ...]} with at least one instance')
            self._answer(200, {"predictions": predictor.predict(instances)})
        except (ValueError, RecursionError) as error:
            self._answer(400, {"error": f"not JSON: {error}"})
        except BadRequest as error:
            self._answer(400, {"error": str(error)})

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Requests are logged by the endpoint, not here."""


def main() -> int:
    """Serve until the process is stopped. HOST is 0.0.0.0 in a container; a local stack sets 127.0.0.1."""
    env = os.environ
    uri = env.get("AIP_STORAGE_URI", "")
    if not uri:
        print("permanent: AIP_STORAGE_URI: expected the model's folder, got none", flush=True)
        return 2
    address = env.get("HOST", "0.0.0.0"), int(env.get("AIP_HTTP_PORT", "8080"))  # noqa: S104 - a container
    server = Server(address, env.get("AIP_HEALTH_ROUTE", "/health"), env.get("AIP_PREDICT_ROUTE", "/predict"))
    threading.Thread(target=server.load, args=[uri], daemon=True).start()
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
