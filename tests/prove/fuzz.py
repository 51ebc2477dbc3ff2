"""Proof that no message does harm: hostile requests through the real entry points of all seven functions.

Most go to the functions over records in memory, where every write is looked at; a part goes to the deployed file
itself, ``functions/main.py``, with its own wiring and a Storage server. A request that breaks a promise is printed
in base64, and ``--replay`` sends it again.
"""

import argparse
import contextlib
import io
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from functions_framework import create_app

from functions import wiring
from gcp.storage import connect
from gcp.store import GcsStore
from local.servers.vertex.server import Config, VertexServer
from tests.functions.events import SETTINGS
from tests.prove.hostile import CANARY, TARGETS, Sent, make
from tests.prove.report import Part
from tests.prove.witness import INTAKE, PLACE, wrong
from tests.servers import gcs_server

SEED = 20260131
QUICK_CPU_S, QUICK_REAL_CPU_S = 38.0, 8.0
DEEP, DEEP_REAL = 1_000_000, 20_000
P99_MS = 50.0
TICKING = ("on_monitor", "on_tick", "on_candidate")
STORE_FAULTS = 0.02  # share of requests in which a write fails
REPEATS = 0.05  # share of requests that come twice
CLEARED_EVERY = 20_000  # requests after which the records in memory are forgotten
MOST_STORIES = 5
_ROOT = Path(__file__).parents[2]
_HERE = Path(__file__).parent
_MAKE: Callable[[str, str], Flask] = create_app


@dataclass
class Tally:
    """What happened so far."""

    seed: int
    number: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    families: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)  # records by folder
    wall: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in TARGETS})  # ms
    cpu: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in TARGETS})  # ms
    broken: list[str] = field(default_factory=list)

    def blame(self, sent: Sent, why: str) -> None:
        """Keep the story of a promise that did not hold."""
        again = f"python -m tests.prove.fuzz --replay {sent.to_text()}"
        self.broken.append(f"{why} ({sent.target}, {sent.family}, seed {self.seed}, number {self.number}): {again}")

    def time(self, sent: Sent, wall: float, cpu: float) -> None:
        """Note seconds of one request."""
        self.wall[sent.target].append(wall * 1000)
        self.cpu[sent.target].append(cpu * 1000)


def clients(source: Path) -> dict[str, FlaskClient]:
    """A client of each function of a source file, by the framework's own application."""
    return {target: _MAKE(target, str(source)).test_client() for target in TARGETS}


def post(client: FlaskClient, sent: Sent, tally: Tally) -> int:
    """Send it, hold the answer against what every answer promises, and return its status; 0 when it got out."""
    said = io.StringIO()
    wall, cpu = time.perf_counter(), time.thread_time()
    try:
        with contextlib.redirect_stdout(said):
            # What is given as data= the client may change.
            body: dict[str, Any] = {"input_stream": io.BytesIO(sent.body), "content_length": len(sent.body)}
            answer = client.open(sent.path, method=sent.method, headers=list(sent.headers), **body)
    except Exception as error:  # noqa: BLE001 - this is what must not happen
        tally.blame(sent, f"{type(error).__name__} got out: {error!s:.200}")
        return 0
    tally.time(sent, time.perf_counter() - wall, time.thread_time() - cpu)
    tally.answers[answer.status_code] += 1
    if answer.data:
        tally.blame(sent, f"the answer has a body: {answer.data[:200]!r}")
    if CANARY in str(answer.headers):
        tally.blame(sent, "a header of the request came back")
    if why := _wrong_log(said.getvalue()):
        tally.blame(sent, why)
    return int(answer.status_code)


def expected(sent: Sent) -> tuple[int, ...]:
    """The statuses that are right while the store works."""
    if sent.method == "POST":
        return (200,)
    return (200,) if sent.method in ("GET", "HEAD") else (405, 200) if sent.method == "OPTIONS" else (405,)


def in_memory(tally: Tally, count: int, cpu_s: float) -> None:
    """Send up to ``count`` requests, for up to so many CPU seconds, to functions with records in memory."""
    apps, ends = clients(_HERE / "fuzz_app.py"), time.process_time() + cpu_s
    for number in range(count):
        if time.process_time() > ends or len(tally.broken) >= MOST_STORIES:
            return
        if number % CLEARED_EVERY == 0:
            PLACE.clear()
        tally.number = number
        sent = make(tally.seed, number)
        tally.families[sent.family] += 1
        _one(apps[sent.target], sent, tally)


def _one(client: FlaskClient, sent: Sent, tally: Tally) -> None:
    """One request, perhaps with a store that fails, perhaps twice."""
    share = (tally.number * 2654435761 % 2**32) / 2**32  # the same for the same number, spread evenly
    fails_at = 1 + tally.number % 3 if share < STORE_FAULTS else 0
    PLACE.store.forget(fails_at)
    status = post(client, sent, tally)
    _check_writes(sent, tally)
    failed, created = PLACE.store.failed, PLACE.store.created
    if failed and not failed.startswith("events/"):
        if status != 503:
            tally.blame(sent, f"{failed} could not be written and the answer was {status}")
        status, fails_at = _again(client, sent, tally), 0
    elif status and status not in expected(sent):
        tally.blame(sent, f"expected one of {expected(sent)}, got {status}")
    if STORE_FAULTS <= share < STORE_FAULTS + REPEATS:
        _again(client, sent, tally)
        fresh = {path for path, _ in PLACE.store.created if not path.startswith("events/")}
        if fresh - {path for path, _ in created}:
            tally.blame(sent, f"told twice, written twice: {sorted(fresh)}")


def _again(client: FlaskClient, sent: Sent, tally: Tally) -> int:
    """Send it once more to a store that works."""
    PLACE.store.forget()
    status = post(client, sent, tally)
    _check_writes(sent, tally)
    if status and status not in expected(sent):
        tally.blame(sent, f"once more: expected one of {expected(sent)}, got {status}")
    return status


def _check_writes(sent: Sent, tally: Tally) -> None:
    for path, body in PLACE.store.created:
        tally.written[path.split("/")[0]] += 1
        if why := wrong(path, body):
            tally.blame(sent, why)
        if CANARY in body:
            tally.blame(sent, f"{path} holds a header of the request")
    for change in PLACE.store.changed:
        tally.blame(sent, f"intake did more than create: {change}")


def _wrong_log(said: str) -> str:
    """What is wrong with the lines of the log: each is one JSON object that people can read."""
    if CANARY in said:
        return "a header of the request is in the log"
    for line in said.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            return f"a line of the log is no JSON: {line:.200}"
        message = entry.get("message", "")
        if entry.get("stack_trace"):
            return f"a defect: {message} {entry['stack_trace'].splitlines()[-1]}"
        if not message.isprintable():
            return f"a line of the log is not printable: {message!r:.200}"
    return ""


# The deployed file itself ---------------------------------------------------------------


class _NotFound(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"error": {"code": 404, "message": "Not found: Dataset", "errors": [{"reason": "notFound"}]}}'
        self.send_response(404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the server's own naming

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called
        """Say nothing."""


@contextlib.contextmanager
def nothing_there() -> Iterator[str]:
    """The address of a BigQuery in which there is nothing, as in a project that loads its rows later."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _NotFound)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def installed(bucket: str) -> Iterator[GcsStore]:
    """The environment of an installation with a Storage server, a Vertex AI and an empty warehouse."""
    with (
        gcs_server() as address,
        TemporaryDirectory() as folder,
        VertexServer(Config(Path(folder))) as vertex,
        nothing_there() as warehouse,
    ):
        client = connect(SETTINGS.project, address)
        client.create_bucket(bucket)
        wanted = {name: value for name, value in SETTINGS.to_env().items() if value}
        wanted |= {"RETRAIN_STATE_BUCKET": bucket, "RETRAIN_VERTEX_API": vertex.grpc}
        wanted |= {"STORAGE_EMULATOR_HOST": address, "BIGQUERY_EMULATOR_HOST": warehouse}
        before = dict(os.environ)
        os.environ.update(wanted)
        wiring.process_world.cache_clear()
        try:
            yield GcsStore(client, bucket)
        finally:
            os.environ.clear()
            os.environ.update(before)
            wiring.process_world.cache_clear()


def over_storage(tally: Tally, count: int, cpu_s: float) -> None:
    """The same requests to ``functions/main.py``.

    First what moves runs and rollouts, while there is nothing to move: then no tick may write any more than the
    others, which come after.
    """
    with installed("fuzz-state") as store:
        apps = clients(_ROOT / "functions" / "main.py")
        ticking = {name: app for name, app in apps.items() if name in TICKING}
        _send(ticking, tally, count // 4, cpu_s / 4)
        _send({name: app for name, app in apps.items() if name not in TICKING}, tally, count, cpu_s * 3 / 4)
        for path in store.list(""):
            tally.written[path.split("/")[0]] += 1
            if not path.startswith(INTAKE):
                tally.broken.append(f"{path} is none of intake's records")


def _send(apps: dict[str, FlaskClient], tally: Tally, count: int, cpu_s: float) -> None:
    """Those of ``count`` requests that are for ``apps``."""
    ends = time.process_time() + cpu_s
    for number in range(count):
        if time.process_time() > ends or len(tally.broken) >= MOST_STORIES:
            return
        tally.number = number
        sent = make(tally.seed, number)
        if sent.target not in apps:
            continue
        tally.families[sent.family] += 1
        status = post(apps[sent.target], sent, tally)
        if status and status not in expected(sent):
            tally.blame(sent, f"expected one of {expected(sent)}, got {status}")


# What it says ---------------------------------------------------------------------------


def quantile(values: list[float], share: float) -> float:
    """The value below which ``share`` of the others lie; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def part(tally: Tally, real: Tally) -> Part:
    """Both tallies as one table."""
    rows, broken = [], [*tally.broken, *real.broken]
    for name in TARGETS:
        figures = [quantile(tally.wall[name], 0.5), quantile(tally.wall[name], 0.99)]
        figures += [quantile(tally.cpu[name], 0.99), max(tally.wall[name], default=0.0)]
        figures += [quantile(real.wall[name], 0.5), quantile(real.wall[name], 0.99)]
        counts = (str(len(tally.wall[name])), str(len(real.wall[name])))
        rows.append((f"`{name}`", *counts, *(f"{figure:.2f}" for figure in figures)))
        if figures[2] > P99_MS:
            broken.append(f"{name}: p99 of {figures[2]:.1f} ms CPU, expected at most {P99_MS:.0f}")
    requests, over = sum(tally.answers.values()), sum(real.answers.values())
    return Part(
        title=f"{requests + over:,} hostile requests to the entry points",
        header=(
            "entry point", "requests", "over Storage", "p50 ms", "p99 ms", "p99 ms CPU", "longest ms",
            "p50 ms over Storage", "p99 ms over Storage",
        ),
        rows=tuple(rows),
        broken=tuple(broken),
        how="python -m tests.prove.fuzz",
        notes=(
            f"Answers: {_shown(tally.answers)}; over Storage {_shown(real.answers)}; 503 only where a write was "
            f"made to fail. Records written: {_shown(tally.written)}; over Storage {_shown(real.written)}.",
            f"Requests by what their message is: {_shown(tally.families)}. Seed {tally.seed}.",
            "",
        ),
    )  # fmt: skip


def _shown(counts: Counter[Any]) -> str:
    return (
        ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items(), key=lambda one: -one[1])) or "none"
    )


def run(seed: int, count: int, cpu_s: float, real_count: int, real_cpu_s: float) -> Part:
    """Both ways, each up to a number of requests and of CPU seconds."""
    tally, real = Tally(seed), Tally(seed + 1)
    in_memory(tally, count, cpu_s)
    over_storage(real, real_count, real_cpu_s)
    return part(tally, real)


def proof(deep: bool) -> Part:
    """As many as fit into 50 s of CPU, or a million."""
    if deep:
        return run(SEED, DEEP, float("inf"), DEEP_REAL, float("inf"))
    return run(SEED, DEEP, QUICK_CPU_S, DEEP_REAL, QUICK_REAL_CPU_S)


def replay(text: str) -> Part:
    """One request again."""
    tally, sent = Tally(0), Sent.from_text(text)
    PLACE.clear()
    _one(clients(_HERE / "fuzz_app.py")[sent.target], sent, tally)
    for path, body in PLACE.store.created:
        print(path, body)
    return part(tally, Tally(0))


def main() -> int:
    """Print the table; 1 when a promise did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.prove.fuzz", description=__doc__)
    parser.add_argument("--deep", action="store_true", help="a million requests")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--count", type=int, help="so many requests, however long they take")
    parser.add_argument("--replay", metavar="BASE64", help="one request again")
    given = parser.parse_args()
    if given.replay:
        found = replay(given.replay)
    elif given.count or given.seed != SEED:
        found = run(given.seed, given.count or DEEP, float("inf") if given.count else QUICK_CPU_S, 1000, 8.0)
    else:
        found = proof(given.deep)
    print(found.text)
    for story in found.broken:
        print(f"BROKEN: {story}", file=sys.stderr)
    return 1 if found.broken else 0


if __name__ == "__main__":
    sys.exit(main())
