"""A recording reverse proxy for HTTP: one address per account in front of the same server.

Servers put their own address into answers (where to go on with an upload, where the content lies). It is replaced
by the proxy's, or the client would leave it with the second request.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qsl, quote, urlsplit

from local.recording.calls import Call, Log, Service
from local.recording.uploads import description, object_name

_OWN = {
    "connection",
    "keep-alive",
    "transfer-encoding",
    "content-length",
    "host",
    "accept-encoding",
    "date",
    "server",
}
_KEPT_BODY = 1_000_000  # bytes of a request that are worth keeping
_SECONDS = 600.0


class HttpProxy:
    """Forwards to ``upstream`` (``http://host:port``) and logs calls as the account's; ``url`` is its address."""

    def __init__(self, upstream: str, account: str, service: Service, log: Log) -> None:
        self.upstream, self.account, self.service, self.log = upstream, account, service, log
        proxy = self

        class Handler(_Handler):
            owner = proxy

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name=f"{service}-of-{account}"
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """One kept-alive connection of a client, and one to the server behind."""

    owner: HttpProxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    _behind: HTTPConnection | None = None

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Nothing on the error output."""

    def handle(self) -> None:
        """Serve the connection; a client that leaves in the middle is no error of ours."""
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        finally:
            if self._behind is not None:
                self._behind.close()

    def _forward(self) -> None:
        owner = self.owner
        body = _read(self.rfile.read, self.headers.get("Content-Length"), self.headers.get("Transfer-Encoding"))
        kept_body = description(body, self.headers.get("Content-Type", "")) if _is_upload(self.path) else body
        replaced = self.command == "POST" and _is_upload(self.path) and self._replaces(kept_body)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _OWN}
        asked = Call(owner.account, owner.service, self.command, self.path, kept_body, replaced=replaced)
        if why := owner.log.refusal(asked):
            self._refuse(asked, why)
            return
        status, kept, answer = self._exchange(self.command, self.path, body, headers)
        done = replace(asked, status=str(status))
        if why := owner.log.refusal(done):  # what may not be told, such as that there is nothing
            self._refuse(done, why)
            return
        owner.log.add(done)
        self._answer(status, kept, answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _forward  # noqa: N815 - the base class's names

    def _refuse(self, call: Call, why: str) -> None:
        """Answer as Google does to who may not."""
        self.owner.log.add(replace(call, status="403", refused=why))
        said = {"code": 403, "message": why, "errors": [{"reason": "forbidden", "message": why}]}
        self._answer(403, [("Content-Type", "application/json")], json.dumps({"error": said}).encode())

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _exchange(
        self, verb: str, target: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        if self._behind is None:
            self._behind = HTTPConnection(urlsplit(self.owner.upstream).netloc, timeout=_SECONDS)
        try:
            self._behind.request(verb, target, body, headers)
            answer = self._behind.getresponse()
        except ConnectionError:  # it closed the connection while nobody asked; the first attempt never arrived
            self._behind.close()
            self._behind.request(verb, target, body, headers)
            answer = self._behind.getresponse()
        content = answer.read()
        kept = [(name, self._here(value)) for name, value in answer.getheaders() if name.lower() not in _OWN]
        if "json" in (answer.getheader("Content-Type") or ""):
            content = content.replace(self.owner.upstream.encode(), self.owner.url.encode())
        return answer.status, kept, content

    def _here(self, value: str) -> str:
        return value.replace(self.owner.upstream, self.owner.url)

    def _replaces(self, described: bytes) -> bool:
        """Whether this request uploads over an object that is there: only who asks before it can know."""
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        if wanted := query.get("ifGenerationMatch"):
            return wanted != "0"
        look = f"{parts.path.removeprefix('/upload')}/{quote(object_name(query, described), safe='')}"
        return self._exchange("GET", look, b"", {})[0] == 200


def _is_upload(target: str) -> bool:
    return target.startswith("/upload/storage/")


def _read(read: Callable[[int], bytes], length: str | None, encoding: str | None) -> bytes:
    if length is not None:
        return read(int(length))
    if encoding is None or "chunked" not in encoding:
        return b""
    raise ValueError("a request in chunks: expected a Content-Length, got none")
