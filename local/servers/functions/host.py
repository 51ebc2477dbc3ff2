"""One process for all functions of a source file: ``/<target>`` leads to the target's own application.

A deployed function is one process per target. Here they share one, which saves memory and start-up time; each
target still has its own application, made by ``functions_framework.create_app``, and its own copy of the module.
Gunicorn's threaded worker serves them: it keeps connections open, which the deliverer of messages uses, and it
bounds the number of requests that run at the same time.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from functions_framework import create_app
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

HEALTH = "healthz"
_KEEP_ALIVE = 75
"""Seconds an idle connection stays open."""


def build_app(source: Path, targets: Sequence[str]) -> WsgiApp:
    """A WSGI application that serves each of ``targets`` of ``source`` under its own name, and ``/healthz``.

    Raises what functions-framework raises when the source or a target is missing.
    """
    make: Callable[[str, str], WsgiApp] = create_app
    apps = {target: make(target, str(source)) for target in targets}

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        name, _, rest = environ["PATH_INFO"].lstrip("/").partition("/")
        app = apps.get(name)
        if app is None:
            return _answer(start_response, name, targets)
        # Without the slash a framework's router would answer with a redirect, which no deliverer follows.
        environ["SCRIPT_NAME"] = f"{environ.get('SCRIPT_NAME', '')}/{name}"
        environ["PATH_INFO"] = f"/{rest}"
        return app(environ, start_response)

    return serve


def _answer(start_response: Callable[..., Any], name: str, targets: Sequence[str]) -> Iterable[bytes]:
    known = name == HEALTH
    content = {"targets": list(targets)} if known else {"error": f"no function {name!r}", "targets": list(targets)}
    body = json.dumps(content).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("200 OK" if known else "404 Not Found", headers)
    return [body]


class _Gunicorn(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """Gunicorn with settings from code: one worker, no files beside it."""

    def __init__(self, source: Path, targets: Sequence[str], port: int, threads: int) -> None:
        self._source = source
        self._targets = targets
        self._settings: dict[str, Any] = {
            "bind": f"127.0.0.1:{port}",
            "workers": 1,
            "threads": threads,
            "worker_class": "gthread",
            "keepalive": _KEEP_ALIVE,
            # A function may work for as long as its message's deadline allows.
            "timeout": 0,
            "graceful_timeout": 5,
            "loglevel": "warning",
            "control_socket_disable": True,
            "post_worker_init": _say_ready,
        }
        super().__init__()

    def load_config(self) -> None:
        """Called by gunicorn."""
        for key, value in self._settings.items():
            self.cfg.set(key, value)

    def load(self) -> WsgiApp:
        """Called by gunicorn in the worker, so that clients a function keeps are made where they are used."""
        return build_app(self._source, self._targets)


def _say_ready(worker: Any) -> None:
    port = worker.sockets[0].getsockname()[1]
    print(json.dumps({"url": f"http://127.0.0.1:{port}"}), flush=True)


def serve(source: Path, targets: Sequence[str], port: int = 0, threads: int = 16) -> None:
    """Serve until SIGTERM; prints ``{"url": ...}`` when the functions are loaded. Exits 3 when they cannot be."""
    _Gunicorn(source, targets, port, threads).run()


class FunctionsHost:
    """The host as a process, for tests and stacks; ``url`` is its address, ``/<target>`` each function.

    ``environment`` is added to this process's own.
    """

    def __init__(
        self,
        source: Path,
        targets: Sequence[str],
        environment: Mapping[str, str] | None = None,
        threads: int = 16,
        port: int = 0,
    ) -> None:
        command = [sys.executable, "-m", "local.servers.functions", "--source", str(source)]
        command += [part for target in targets for part in ("--target", target)]
        self._command = [*command, "--threads", str(threads), "--port", str(port)]
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})}
        self.url = ""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, env=self._environment, text=True)
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith('{"url"'):
                self.url = json.loads(line)["url"]
                # A function that prints would stop at a full pipe.
                self._reader = threading.Thread(target=self._pass_on, name="functions-output", daemon=True)
                self._reader.start()
                return self
        self._process.stdout.close()
        code = self._process.wait()
        raise RuntimeError(f"{' '.join(self._command)} ended with {code} before it served; see its output")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)
        self._reader.join(timeout=5)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _pass_on(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            print(line, end="", file=sys.stderr)
