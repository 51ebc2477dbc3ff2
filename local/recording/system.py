"""The whole system on this machine with an address of its own for each account and service.

The servers are those of the stack. Between them and each function, kind of job, model server and person stands a
recorder; the functions run one to a process, and a wrapper around the container's interpreter gives a job the
addresses of the account that such a job acts as.
"""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self

from local.recording.calls import Log
from local.recording.grpc_proxy import GrpcProxy
from local.recording.http_proxy import HttpProxy
from local.recording.permissions import Gate, Installation, Use
from local.stack import messaging, strays
from local.stack.child import Child, Server
from local.stack.layout import MARKER, Layout
from local.stack.options import Options, settings
from local.stack.ports import HOST, choose
from local.stack.resources import ROOT, Resources, load_resources
from local.stack.servers import PORTS, environment, table
from local.stack.supervisor import StartFailed
from retraining.modelfile import load_models
from retraining.settings import Settings

JOBS = {"trainer": "trainer", "trainer.evaluate": "evaluator", "trainer.serve": "server"}
"""Module that a container runs → the account that it acts as."""

PEOPLE = "operator"

QUIET = ("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
"""Keeps Cloud Storage's client from asking for the bucket itself, at first and after each 404, to label traces."""

_KEPT = ("bigquery", "storage", "vertex", "pubsub", "scheduler", "provision", "endpoints")
_START_SECONDS, _PATIENCE = 120.0, 8.0


class RecordedSystem:
    """Everything, between ``with`` and its end. ``log`` holds the calls of every account.

    ``env`` leads to the servers directly: what is done there is nobody's call. ``functions`` are URLs by name.
    """

    def __init__(self, folder: Path, options: Options, grants: Iterable[Use] | None = None) -> None:
        """``folder`` keeps everything; ``options`` must name an account for trainers, evaluators and servers.

        With ``grants`` an account that makes another call is refused, as IAM would refuse it.
        """
        self._layout = Layout.at(folder)
        self._options = options
        self._resources = load_resources()
        self._stack = ExitStack()
        self.installation = _installation(settings(options, self._layout, ""))
        self.log = Log() if grants is None else Log(Gate(self.installation, frozenset(grants)).refusal)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def account_env(self, account: str) -> dict[str, str]:
        """Variables that lead to the servers by the addresses of ``account``."""
        return {**self.env, **self._addresses[account]}

    @property
    def settings(self) -> Settings:
        """The settings of every account, with the servers' own addresses."""
        return Settings.from_env(self.env)

    def printed(self, server: str) -> str:
        """What a server has said."""
        return self._layout.log(server).read_text(errors="replace")

    def _start(self, stack: ExitStack) -> None:
        functions = {name: name.replace("_", "-") for name in self._resources.functions}
        ports = choose([*PORTS, *functions.values()], layout=self._layout, pinned={}, report=lambda _: None)
        self._options.start_clock(self._layout)
        self.env = environment(self._options, self._layout, ports) | dict([QUIET])
        self._addresses = {
            account: self._record(stack, account) for account in (*functions, *JOBS.values(), PEOPLE)
        }
        self._guard(stack)
        servers = [*self._servers(ports), *(self._function(name, ports) for name in functions)]
        self._run(stack, servers)
        self.functions = {name: f"http://{HOST}:{ports[port]}/{name}" for name, port in functions.items()}
        self._deliver()

    def _record(self, stack: ExitStack, account: str) -> dict[str, str]:
        """Recorders of one account: variable → address."""
        env, log = self.env, self.log
        vertex = stack.enter_context(GrpcProxy(env["RETRAIN_VERTEX_API"], account, "vertex", log))
        pubsub = stack.enter_context(GrpcProxy(env["PUBSUB_EMULATOR_HOST"], account, "pubsub", log))
        storage = stack.enter_context(HttpProxy(env["STORAGE_EMULATOR_HOST"], account, "storage", log))
        bigquery = stack.enter_context(HttpProxy(env["BIGQUERY_EMULATOR_HOST"], account, "bigquery", log))
        monitoring = stack.enter_context(HttpProxy(env["RETRAIN_MONITORING_API"], account, "monitoring", log))
        return {
            "RETRAIN_VERTEX_API": vertex.address,
            "RETRAIN_MONITORING_API": monitoring.url,
            "PUBSUB_EMULATOR_HOST": pubsub.address,
            "STORAGE_EMULATOR_HOST": storage.url,
            "BIGQUERY_EMULATOR_HOST": bigquery.url,
        }

    def _guard(self, stack: ExitStack) -> None:
        """Whatever becomes of this process, what it started ends."""
        command = [sys.executable, "-I", "-S", strays.__file__, MARKER, str(self._layout.root)]
        guard = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        stack.callback(guard.communicate)

    def _servers(self, ports: Mapping[str, int]) -> Iterator[Server]:
        own = settings(self._options, self._layout, f"{HOST}:{ports['vertex']}")
        image = f"{own.trainer_image}={self._interpreter()} -m trainer"
        for server in table(self._resources, own, self._layout, ports, self._options.crons):
            if server.name == "vertex":
                words = list(server.command)
                words[words.index("--image") + 1] = image
                yield replace(server, command=tuple(words))
            elif server.name in _KEPT:
                yield server

    def _interpreter(self) -> Path:
        """A command that stands for the container's Python and sets the addresses by what it is to run."""
        path = self._layout.root / "python-of-account"
        cases = [
            f'*" -m {module} "*) exec env {_words(self._addresses[account])} {shlex.quote(sys.executable)} "$@" ;;'
            for module, account in JOBS.items()
        ]
        text = ["#!/bin/sh", 'case " $* " in', *cases, '*) echo "no account runs $*" >&2; exit 2 ;;', "esac", ""]
        path.write_text("\n".join(text))
        path.chmod(0o755)
        return path

    def _function(self, name: str, ports: Mapping[str, int]) -> Server:
        source, port = str(ROOT / "functions" / "main.py"), str(ports[name.replace("_", "-")])
        words = ("--source", source, "--target", name, "--port", port)
        command = (sys.executable, "-m", "local.servers.functions", *words)
        return Server(name, command, after=("provision", "endpoints"), env=self._addresses[name])

    def _run(self, stack: ExitStack, servers: list[Server]) -> None:
        """Start every server when those it waits for are ready. Raises StartFailed."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("RETRAIN_", "GOOGLE_"))}
        private = {"CLOUDSDK_CONFIG": str(self._layout.data("gcloud")), MARKER: str(self._layout.root)}
        waiting = {one.name: Child(one, self._layout, {**inherited, **self.env, **private}) for one in servers}
        running: dict[str, Child] = {}
        ready: set[str] = set()
        deadline = time.monotonic() + _START_SECONDS
        while waiting or running.keys() - ready:
            for name in [name for name, child in waiting.items() if ready.issuperset(child.server.after)]:
                running[name] = waiting.pop(name)
                running[name].start(ROOT)
                stack.callback(running[name].stop, _PATIENCE)
            for name in running.keys() - ready:
                child = running[name]
                if child.says_ready():
                    ready.add(name)
                elif child.code() is not None or time.monotonic() > deadline:
                    raise StartFailed(f"{name} is not ready; the last it said:\n{child.tail()}")
            time.sleep(0.05)

    def _deliver(self) -> None:
        """Each function's messages go to the process of that function."""
        with variables(self.env):
            for name, url in self.functions.items():
                own = _of(self._resources, name)
                messaging.create_subscriptions(self.settings.project, own, url.removesuffix(f"/{name}"))


def _installation(own: Settings) -> Installation:
    tables = (spec.source.table for spec in load_models(ROOT / own.models).values())
    return Installation(own, frozenset(table.partition(".")[0] for table in tables))


def _of(resources: Resources, function: str) -> Resources:
    own = {name: one for name, one in resources.subscriptions.items() if one.function == function}
    return resources.model_copy(update={"subscriptions": own})


def _words(env: Mapping[str, str]) -> str:
    return " ".join(f"{name}={shlex.quote(value)}" for name, value in env.items())


@contextmanager
def variables(env: Mapping[str, str]) -> Iterator[None]:
    """The environment with these variables, and afterwards as it was."""
    before = dict(os.environ)
    os.environ.update(env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
