"""Proof that a tick costs what the models with work cost, and that a storm of alarms launches one training.

The costs are counted in ``benchmarks.scale``. The storm goes to the real ``on_drift`` under gunicorn; then the real
tick moves what it left behind, over the same records and with jobs in memory.
"""

import argparse
import base64
import contextlib
import http.client
import json
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.scale import ACTIVE, EVENTS, RUNS, SIZES, Cost, asked, costs
from gcp.storage import connect
from gcp.store import GcsStore
from local.memory.artifacts import MemoryArtifacts
from local.memory.bus import MemoryBus
from local.memory.jobs import MemoryJobs
from local.memory.warehouse import MemoryWarehouse
from local.servers.functions.host import FunctionsHost
from retraining import run_loop
from retraining.records import Run
from retraining.state import RunWorld, read_run
from tests.functions.events import SETTINGS
from tests.prove.fuzz import quantile
from tests.prove.report import Part
from tests.servers import gcs_server
from tests.unit.build import SPECS, counts

MOST_GROWTH = 1.05
MONITOR = "monitor, all windows judged"
MOST_PER_MODEL = 2  # reads of the monitor for a model whose windows are all judged
MOST_SHARE = 0.01  # of a year's names that a question may list
THREADS = 8
P99_MS = 200.0
ALERTS_QUICK, ALERTS_DEEP = 2_000, 10_000
FACTS = 50  # different facts among the alerts: incidents and their windows
TICKS = 12
_MAIN = Path(__file__).parents[2] / "functions" / "main.py"


@dataclass
class Storm:
    """How the alerts went."""

    alerts: int
    seconds: float = 0.0
    milliseconds: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # answers other than 200
    launches: int = 0
    runs: list[Run] = field(default_factory=list)
    left: list[str] = field(default_factory=list)  # in the inbox after the ticks


def alerts(number: int) -> Iterator[bytes]:
    """So many pushes about one model; each has an id of its own, and they tell of few facts."""
    start = datetime(2026, 5, 1, tzinfo=UTC)
    for at in range(number):
        fact = at * 7919 % FACTS
        incident = {
            "kind": "drift-incident",
            "model": "flights",
            "incident_id": f"flights-{fact % 5}",
            "window_end": (start + timedelta(hours=fact // 5)).isoformat(),
            "features": {"taxi_out": 0.4},
        }
        data = base64.b64encode(json.dumps(incident).encode()).decode()
        message = {"data": data, "messageId": f"m-{at}", "publishTime": start.isoformat(), "attributes": {}}
        yield json.dumps({"message": message, "subscription": "s"}).encode()


def storm(number: int) -> Storm:
    """Send the alerts as fast as eight clients can, then tick until nothing moves any more."""
    seen = Storm(number)
    with gcs_server() as address:
        client = connect(SETTINGS.project, address)
        client.create_bucket("storm-state")
        wanted = {name: value for name, value in SETTINGS.to_env().items() if value}
        wanted |= {"RETRAIN_STATE_BUCKET": "storm-state", "STORAGE_EMULATOR_HOST": address}
        with FunctionsHost(_MAIN, ["on_drift"], wanted, threads=THREADS) as host:
            _blow(seen, host.url.removeprefix("http://"))
        _settle(seen, GcsStore(client, "storm-state"))
    return seen


def _blow(seen: Storm, address: str) -> None:
    waiting, lock = alerts(seen.alerts), threading.Lock()

    def send() -> None:
        with contextlib.closing(http.client.HTTPConnection(address, timeout=60)) as connection:
            while (body := take()) is not None:
                began = time.perf_counter()
                connection.request("POST", "/on_drift", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                seen.milliseconds.append((time.perf_counter() - began) * 1000)
                if answer.status != 200:
                    seen.refused.append(str(answer.status))

    def take() -> bytes | None:
        with lock:
            return next(waiting, None)

    clients = [threading.Thread(target=send) for _ in range(THREADS)]
    began = time.perf_counter()
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    seen.seconds = time.perf_counter() - began


def _settle(seen: Storm, store: GcsStore) -> None:
    """Let time pass; the job that was launched never ends, so that nothing makes room for a second."""
    now = datetime.now(UTC)
    jobs, warehouse = MemoryJobs(lambda: now), MemoryWarehouse()
    warehouse.counts["flights"] = counts(newest=now - timedelta(hours=1))
    warehouse.labelled["flights"] = [now - timedelta(days=1)] * 5000
    world = RunWorld(
        replace(SETTINGS, trainer_image="trainer"),
        SPECS,
        store,
        jobs,
        warehouse,
        MemoryArtifacts(),
        MemoryBus(),
        lambda: now,
    )
    for _ in range(TICKS):
        run_loop.tick(world)
        now += timedelta(minutes=30)
    seen.launches = len(jobs.all())
    seen.left = store.list("inbox/")
    ids = [path.removeprefix("runs/").removesuffix(".json") for path in store.list("runs/")]
    seen.runs = [found[0] for run_id in ids if (found := read_run(store, run_id))]


# What it says ---------------------------------------------------------------------------


def grown(found: dict[int, dict[str, Cost]]) -> list[str]:
    """What grows with the models that are asleep."""
    small, large = min(found), max(found)
    broken = []
    for name, cost in found[large].items():
        ratio = cost.operations / found[small][name].operations
        if name == MONITOR:
            if cost.operations > MOST_PER_MODEL * large:
                broken.append(f"{name}: {cost.operations} operations for {large} models")
        elif ratio > MOST_GROWTH:
            broken.append(f"{name}: {ratio:.2f} times the operations at {large} models than at {small}")
    return broken


def slow(found: dict[str, Cost], runs: int, events: int) -> list[str]:
    """Questions that list the years behind."""
    limits = {name: MOST_SHARE * (events if "events" in name else runs) for name in found}
    return [
        f"{name}: {cost.named} names were listed, expected at most {limits[name]:.0f}"
        for name, cost in found.items()
        if cost.named > limits[name]
    ]


def wrong(seen: Storm) -> list[str]:
    """Promises that did not hold in the storm."""
    p99 = quantile(seen.milliseconds, 0.99)
    told = {cause.key for run in seen.runs for cause in run.causes}
    broken = [f"{len(seen.refused)} alerts were answered with {sorted(set(seen.refused))}"] if seen.refused else []
    broken += [f"{seen.launches} jobs were launched"] if seen.launches > 1 else []
    broken += [f"p99 is {p99:.0f} ms"] if p99 > P99_MS else []
    broken += [f"left in the inbox: {seen.left}"] if seen.left else []
    broken += [f"{len(told)} of {FACTS} facts have a run"] if len(told) != FACTS else []
    return broken


def proof(deep: bool) -> Part:
    """All sizes, and a storm of two or ten thousand alerts."""
    found, questions = {size: costs(size) for size in SIZES}, asked()
    seen = storm(ALERTS_DEEP if deep else ALERTS_QUICK)
    rows = []
    for name in found[SIZES[0]]:
        line = [found[size][name] for size in SIZES]
        growth = line[-1].operations / line[0].operations
        rows.append((name, *(f"{cost.operations:,} ({cost.cpu_ms:.1f} ms)" for cost in line), f"{growth:.2f}"))
    asked_for = ", ".join(
        f"`{name}` {cost.operations} operations over {cost.named:,} names" for name, cost in questions.items()
    )
    p50, p99 = quantile(seen.milliseconds, 0.5), quantile(seen.milliseconds, 0.99)
    return Part(
        title=f"Cost of a tick with {ACTIVE} models at work among many",
        header=("tick", *(f"{size:,} models: operations (CPU)" for size in SIZES), "growth"),
        rows=tuple(rows),
        broken=(*grown(found), *slow(questions, RUNS, EVENTS), *wrong(seen)),
        how="python -m tests.prove.scale" + (" --deep" if deep else ""),
        notes=(
            f"{RUNS:,} finished runs and {EVENTS:,} audit entries lie behind. Questions: {asked_for}.",
            f"Storm: {seen.alerts:,} alerts about one model in {seen.seconds:.0f} s "
            f"({seen.alerts / seen.seconds:.0f} a second), p50 {p50:.0f} ms, p99 {p99:.0f} ms: "
            f"{FACTS} facts, {len(seen.runs)} run, {seen.launches} launch.",
            f"The monitor reads {MOST_PER_MODEL} records of each model that serves, and begins elsewhere every "
            "hour, so that a tick that is cut off starves nobody.",
            "",
        ),
    )


def main() -> int:
    """Print the table; 1 when a promise did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.prove.scale", description=__doc__)
    parser.add_argument("--deep", action="store_true", help="a storm of ten thousand alerts")
    found = proof(parser.parse_args().deep)
    print(found.text)
    for story in found.broken:
        print(f"BROKEN: {story}", file=sys.stderr)
    return 1 if found.broken else 0


if __name__ == "__main__":
    sys.exit(main())
