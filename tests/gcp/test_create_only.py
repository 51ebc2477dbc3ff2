"""An account that may create and not delete: Cloud Storage may answer 403 where an object is already there."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Client

from gcp.store import GcsStore
from retraining.errors import Exists, Refused


class Bucket(BaseHTTPRequestHandler):
    """A bucket with one object, in which this caller may write nothing that would replace one."""

    def do_POST(self) -> None:
        """Every upload is refused for want of the right to delete."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(
            403, json.dumps({"error": {"code": 403, "message": "no storage.objects.delete access"}}).encode()
        )

    def do_GET(self) -> None:
        """The object, or 404."""
        if "there.json" in self.path:
            self._answer(200, b'{"a": 1}')
        else:
            self._answer(404, b"{}")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-goog-generation", "7")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def store() -> Iterator[GcsStore]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Bucket) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        client = Client(project="p", credentials=AnonymousCredentials(), client_options={"api_endpoint": address})  # type: ignore[no-untyped-call]
        yield GcsStore(client, "state", patience_s=1)
        server.shutdown()


def test_a_record_that_is_there_exists_whatever_the_refusal_says(store: GcsStore) -> None:
    """The caller learns that somebody was first, as after a failed precondition."""
    with pytest.raises(Exists):
        store.create("claims/there.json", '{"b": 2}')


def test_a_missing_right_stays_a_refusal(store: GcsStore) -> None:
    """Nothing is there, so the account may not create at all."""
    with pytest.raises(Refused, match=r"no storage\.objects\.delete access"):
        store.create("claims/new.json", '{"b": 2}')
