"""The functions of the soak: the real entry points, engine, records, jobs and artefacts, in a process that may die.

A source file for the functions' host. What differs from ``functions/main.py``: rows are always there and sound,
nobody listens to the bus, and between any two effects the process may kill itself as ``kill -9`` does. Some deaths
come at any moment instead. Each leaves one line in a file, so that they can be counted.
"""

import os
import random
import signal
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import functions_framework
from flask import Request, Response

from functions import entries
from functions.logs import log
from functions.message import Entry
from functions.request import respond
from functions.world import World
from gcp.artifacts import GcsArtifacts
from gcp.clock import clock
from gcp.jobs import VertexJobs
from gcp.storage import connect
from gcp.store import GcsStore
from local.memory.bus import MemoryBus
from retraining import run_loop
from retraining.errors import Conflict
from retraining.intake import Intake
from retraining.messages.hints import Hint
from retraining.modelspec import ModelSpec
from retraining.settings import Settings
from retraining.state import RunWorld
from retraining.views import ArmCounts, DataCounts, SnapshotView, Watermark
from tests.prove.soak_models import MODELS
from tests.unit.build import counts

DEATHS = Path(os.environ.get("SOAK_DEATHS", "/dev/null"))
CHANCE = float(os.environ.get("SOAK_CHANCE", "0"))  # of a death before an effect, and after one
ANYWHERE = CHANCE * 2  # of a death some milliseconds after a request came
MOMENTS_S = 0.05
_chance = random.Random(f"{os.environ.get('SOAK_SEED', '')}/{os.getpid()}")
_lock = threading.Lock()


def die(where: str) -> None:
    """Leave a line, and be gone: no ``finally``, no flush, no answer."""
    with DEATHS.open("ab", buffering=0) as file:
        file.write(f"{where}\n".encode())
    os.kill(os.getpid(), signal.SIGKILL)


def drawn(share: float) -> bool:
    """Whether it happens this time."""
    with _lock:
        return _chance.random() < share


def deadly(name: str, act: Callable[[], object]) -> object:
    """Perform an effect, if the process lives that long."""
    if drawn(CHANCE):
        die(f"before {name}")
    done = act()
    if drawn(CHANCE):
        die(f"after {name}")
    return done


class Rows:
    """A warehouse whose rows are sound and as new as the clock says."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now

    def watermark(self, spec: ModelSpec, since: datetime | None, now: datetime) -> Watermark:
        """See Warehouse."""
        return Watermark(newest=now - timedelta(hours=1), new_rows=100_000)

    def count_data(self, spec: ModelSpec, run_id: str, since: datetime, until: datetime) -> DataCounts:
        """See Warehouse."""
        return counts(newest=self._now() - timedelta(hours=1))

    def snapshot(self, spec: ModelSpec, run_id: str, until: datetime, uri: str) -> SnapshotView:
        """See Warehouse. The same again is the same snapshot."""
        rows = {"train": 60_000, "eval": 20_000, "test": 5_000}
        last = until - timedelta(hours=2)
        return SnapshotView(uri=uri, rows=rows, first=last - timedelta(days=60), last=last, digest=f"d-{run_id}")

    def arms(self, spec: ModelSpec, since: datetime, until: datetime) -> dict[str, ArmCounts]:
        """See Warehouse."""
        return {}


@cache
def world() -> World:
    """Built by the process's first request."""
    settings = Settings.from_env(os.environ)
    storage, now = connect(settings.project), clock(settings.clock)
    store, rows = GcsStore(storage, settings.state_bucket), Rows(now)
    runs = RunWorld(
        settings=settings,
        models=MODELS,
        store=store,
        jobs=VertexJobs(settings),
        warehouse=rows,
        artifacts=GcsArtifacts(storage),
        bus=MemoryBus(),
        now=now,
        effect=deadly,
    )

    def tick(hint: Hint) -> None:
        if hint.run_id:
            try:
                run_loop.reconcile(runs, hint.run_id)
            except Conflict:
                log("WARNING", f"{hint.run_id}: somebody else is at it")
        else:
            run_loop.tick(runs, lambda line: log("WARNING", line))

    intake = Intake(MODELS, store, now, deadly)
    return World(settings, intake, lambda: rows, tick, _nothing, _nothing)


def _nothing(hint: Hint) -> None:
    del hint


_built = threading.Lock()


def _world() -> World:
    with _built:  # functools.cache would build one for each thread that comes first
        return world()


def _respond(request: Request, entry: Entry) -> Response:
    if drawn(ANYWHERE):
        threading.Timer(_chance.random() * MOMENTS_S, die, ["at any moment"]).start()
    return respond(request, entry, _world)


@functions_framework.http
def on_manual(request: Request) -> Response:
    """See functions.main."""
    return _respond(request, entries.ON_MANUAL)


@functions_framework.http
def on_drift(request: Request) -> Response:
    """See functions.main."""
    return _respond(request, entries.ON_DRIFT)


@functions_framework.http
def on_schedule(request: Request) -> Response:
    """See functions.main."""
    return _respond(request, entries.ON_SCHEDULE)


@functions_framework.http
def on_tick(request: Request) -> Response:
    """See functions.main."""
    return _respond(request, entries.ON_TICK)
