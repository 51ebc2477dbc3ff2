"""Proof by soak: the real functions under gunicorn are killed between their effects while bursts of facts come in.

Eight threads tell the same facts many times, each until it is acknowledged, as Pub/Sub does. The records lie in a
Storage server that keeps them on disk; jobs are processes of the local Vertex AI. After each burst ticks are sent
until nothing moves, and then the records and the jobs' own book must show that every promise held.
"""

import argparse
import base64
import contextlib
import http.client
import json
import os
import random
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gcp.clock import clock, write_clock
from gcp.jobs import VertexJobs
from gcp.storage import connect
from gcp.store import GcsStore
from local.servers.vertex.server import Config, VertexServer
from retraining import names
from retraining.errors import RetrainingError
from retraining.intake import Claim
from retraining.ports import Jobs, Store
from retraining.records import Money, Run
from retraining.settings import Settings
from retraining.state import read_run, read_state
from retraining.triggers import drift_key, manual_key, schedule_key
from tests.prove.report import Part
from tests.prove.soak_models import MODELS
from tests.servers import free_port, gcs_server

SEED = 20260504
QUICK_S, QUICK_CHANCE, DEEP_CHANCE = 50.0, 0.06, 0.06
DEEP_KILLS, DEEP_LIMIT_S = 1_000, 3_600.0
LEAST_KILLS = 60  # of the quick proof
THREADS, TICKERS = 8, 2
MOST_TICKS = 200  # after a burst; then what still moves is stuck
STEP, PAUSE = timedelta(minutes=4), timedelta(hours=30)  # between ticks, and between bursts
TRIES = 400  # of one message
MOST_STORIES = 5
_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]


@dataclass(frozen=True)
class Fact:
    """Something that is told: to which entry point, in which words, and the key it must have."""

    model: str
    key: str
    target: str
    body: dict[str, Any]
    published: datetime


@dataclass
class Place:
    """One installation under soak."""

    folder: Path
    url: str
    store: Store
    jobs: Jobs
    chance: random.Random
    facts: list[Fact] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    bursts: int = 0
    ticks: int = 0
    broken: list[str] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        """On the clock of the installation."""
        return clock(f"file:{self.folder / 'clock'}")()

    def later(self, by: timedelta) -> None:
        """Let time pass."""
        write_clock(self.folder / "clock", self.now + by, 1.0)

    def lines(self, name: str) -> list[str]:
        """Of the file of deaths, or of the jobs' book."""
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []


@contextlib.contextmanager
def installed(seed: int, chance: float) -> Iterator[Place]:
    """Storage on disk, Vertex AI, and the functions, which die with this chance before and after each effect."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True)))
        for name in ("objects", "vertex"):
            (folder / name).mkdir()
        write_clock(folder / "clock", datetime(2026, 5, 4, 12, tzinfo=UTC), 1.0)
        interpreter = folder / "python"
        interpreter.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -S -E {_HERE}/soak_job.py "$@"\n')
        interpreter.chmod(0o755)
        address = stack.enter_context(gcs_server(folder / "objects"))
        stack.enter_context(
            _environment(
                {
                    "STORAGE_EMULATOR_HOST": address,
                    "RETRAIN_CLOCK": f"file:{folder / 'clock'}",
                    "SOAK_BOOK": str(folder / "book"),
                    "SOAK_DEATHS": str(folder / "deaths"),
                    "SOAK_CHANCE": str(chance),
                    "SOAK_SEED": str(seed),
                }
            )
        )
        vertex = stack.enter_context(VertexServer(Config(folder / "vertex", [f"trainer={interpreter}"])))
        settings = Settings(
            "soak-project", "us-central1", "soak-state", "soak-artifacts", "retraining",
            trainer_image="trainer", vertex_api=vertex.grpc, clock=f"file:{folder / 'clock'}",
        )  # fmt: skip
        client = connect(settings.project, address)
        for bucket in (settings.state_bucket, settings.artifact_bucket):
            client.create_bucket(bucket)
        url = stack.enter_context(_hosted(folder, settings))
        store = GcsStore(client, settings.state_bucket)
        yield Place(folder, url, store, VertexJobs(settings), random.Random(seed))


@contextlib.contextmanager
def _environment(more: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _hosted(folder: Path, settings: Settings) -> Iterator[str]:
    """The functions' host; its master puts a new worker into the place of one that was killed."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "tests.prove.soak_host", "--port", str(port)]
    environ = {**os.environ, **{name: value for name, value in settings.to_env().items() if value}}
    with (folder / "host.log").open("wb") as log:
        master = subprocess.Popen(command, cwd=_ROOT, env=environ, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not _answers(port):
            if master.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    f"the functions' host did not start:\n{(folder / 'host.log').read_text()[-3000:]}"
                )
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        master.terminate()
        try:
            master.wait(15)
        except subprocess.TimeoutExpired:
            master.kill()
            master.wait()


def _answers(port: int) -> bool:
    try:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
    except OSError:
        return False


# What happens ---------------------------------------------------------------------------


def burst(place: Place) -> list[Fact]:
    """Some facts of all kinds about both models."""
    found = []
    for number in range(place.chance.randrange(1, 5)):
        name, at = place.chance.choice(sorted(MODELS)), place.now
        mark = f"{place.bursts}-{number}"
        kind = place.chance.choice(("manual", "drift", "schedule"))
        if kind == "manual":
            body = {"model": name, "request_id": mark, "dry_run": place.chance.random() < 0.2}
            fact = Fact(name, manual_key(mark), "on_manual", body, at)
        elif kind == "drift":
            end = at.replace(minute=0, second=0, microsecond=0)
            body = {"kind": "drift-incident", "model": name, "incident_id": mark, "window_end": end.isoformat()}
            fact = Fact(name, drift_key(mark, f"{end:%Y-%m-%dT%H:%MZ}"), "on_drift", body, at)
        else:
            body = {"model": name, "schedule": f"s{mark}"}
            fact = Fact(name, schedule_key(f"s{mark}", at), "on_schedule", body, at)
        found.append(fact)
    return found


def tell(place: Place, facts: list[Fact]) -> None:
    """Each fact several times by eight threads; each message again until it is acknowledged."""
    waiting = deque(fact for fact in facts for _ in range(place.chance.randrange(3, 9)))
    place.chance.shuffle(waiting)

    def work() -> None:
        while True:
            try:
                fact = waiting.popleft()
            except IndexError:
                return
            for number in range(TRIES):
                if _post(place, fact.target, fact.body, fact.published) == 200:
                    break
                time.sleep(min(0.01 * (number + 1), 0.2))
            else:
                place.broken.append(f"{fact.key} was never acknowledged in {TRIES} tries")

    _together(work, THREADS)


def settle(place: Place) -> None:
    """Tick, two at a time as when Pub/Sub delivers twice, until nothing is left to move."""
    for _ in range(MOST_TICKS):
        place.later(STEP)
        place.ticks += 1
        _together(lambda: _post(place, "on_tick", {"kind": "tick"}, place.now), TICKERS)
        if not place.store.list("inbox/") and not place.store.list("active/"):
            return
        time.sleep(0.05)  # jobs are processes and take a moment of real time
    place.broken.append(
        f"stuck: {place.store.list('inbox/') + place.store.list('active/')} after {MOST_TICKS} ticks"
    )


def _together(work: Any, number: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(number)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


def _post(place: Place, target: str, body: dict[str, Any], published: datetime) -> int:
    """The status; 0 when the process died instead of answering."""
    data = base64.b64encode(json.dumps(body).encode()).decode()
    message = {"data": data, "messageId": os.urandom(6).hex(), "publishTime": published.isoformat()}
    push = json.dumps({"message": message, "subscription": "s"})
    try:
        with contextlib.closing(http.client.HTTPConnection(place.url, timeout=60)) as connection:
            connection.request("POST", f"/{target}", push, {"Content-Type": "application/json"})
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        place.answers[type(error).__name__] += 1
        return 0
    place.answers[str(status)] += 1
    return status


# What must hold -------------------------------------------------------------------------


def check(place: Place) -> None:
    """Hold the records and the jobs' book against the promises; only while nothing moves."""
    try:
        runs = _runs(place.store)
        for why in (
            *_facts(place, runs),
            *_ends(runs),
            *_budgets(place, runs),
            *_jobs(place, runs),
            *_turns(place),
        ):
            place.broken.append(f"after burst {place.bursts}: {why}")
    except RetrainingError as error:
        place.broken.append(f"after burst {place.bursts}: {type(error).__name__}: {error}")


def _runs(store: Store) -> dict[str, Run]:
    ids = [path.removeprefix("runs/").removesuffix(".json") for path in store.list("runs/")]
    return {run_id: found[0] for run_id in ids if (found := read_run(store, run_id))}


def _facts(place: Place, runs: dict[str, Run]) -> Iterator[str]:
    """Every acknowledged fact has one claim, and exactly the run that it names answers it."""
    for fact in place.facts:
        stored = place.store.read(names.claim_path(fact.model, fact.key))
        if stored is None:
            yield f"{fact.key} was acknowledged and nobody claimed it"
            continue
        run_id = Claim.from_json(stored.body).run_id
        answering = [run.run_id for run in runs.values() if any(cause.key == fact.key for cause in run.causes)]
        if answering != [run_id]:
            yield f"{fact.key} is claimed for {run_id} and answered by {answering}"
    claims = len(place.store.list("claims/"))
    if claims != len(place.facts):
        yield f"{claims} claims for {len(place.facts)} facts"


def _ends(runs: dict[str, Run]) -> Iterator[str]:
    """Every run has ended, with a reason."""
    for run in runs.values():
        if not run.state.ended or not run.history or not run.history[-1].reason:
            yield f"{run.run_id} is {run.state.value} and nothing moves it"


def _budgets(place: Place, runs: dict[str, Run]) -> Iterator[str]:
    """No month is over its limit, and what was reserved is settled."""
    for path in place.store.list("budget/"):
        stored = place.store.read(path)
        money = Money.from_json(stored.body) if stored else Money(model="", month="")
        limit = MODELS[money.model].policy.budget.per_month
        if money.committed > limit + 1e-9 or sum(money.reserved.values()) < 0:
            yield f"{path}: {money.committed} is committed, the limit is {limit}"
        if unsettled := set(money.reserved) - set(money.spent):
            yield f"{path}: never settled: {sorted(unsettled)}"


def _jobs(place: Place, runs: dict[str, Run]) -> Iterator[str]:
    """No attempt was trained twice, and no job is left running."""
    trained = Counter(line.split()[1] for line in place.lines("book") if line.startswith("trained"))
    for fence, times in trained.items():
        if times > 1:
            yield f"{fence} was trained {times} times"
    for run in runs.values():
        for job in (job for kind in {ref.kind for ref in run.jobs} for job in place.jobs.find(run.run_id, kind)):
            if not job.state.ended:
                yield f"{job.name} of {run.run_id} still runs"


def _turns(place: Place) -> Iterator[str]:
    for name in MODELS:
        state, _ = read_state(place.store, name)
        if state.active_run or state.waiting_run:
            yield f"{name}: {state.active_run or state.waiting_run} still has the turn"


# What it says ---------------------------------------------------------------------------


def soak(seed: int, chance: float, seconds: float, kills: int) -> Part:
    """Bursts until so many processes were killed or so much time has passed."""
    with installed(seed, chance) as place:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and len(place.lines("deaths")) < kills and len(place.broken) < MOST_STORIES:
            facts = burst(place)
            tell(place, facts)
            place.facts += facts
            settle(place)
            check(place)
            place.bursts += 1
            place.later(PAUSE * place.chance.random())
        if place.broken:
            place.broken.append((place.folder / "host.log").read_text()[-3000:])
        return part(place, seed)


def part(place: Place, seed: int) -> Part:
    """What was done to the installation, and what it came to."""
    deaths, book = Counter(place.lines("deaths")), Counter(line.split()[0] for line in place.lines("book"))
    runs = _runs(place.store).values()
    ends = Counter(f"{run.state.value} ({run.decision.code if run.decision else '-'})" for run in runs)
    rows = [(where, str(times)) for where, times in sorted(deaths.items(), key=lambda one: (-one[1], one[0]))]
    total = sum(deaths.values())
    return Part(
        title=f"Soak: {total} processes killed between effects",
        header=("killed", "times"),
        rows=(*rows, ("together", str(total))),
        broken=tuple(place.broken),
        how=f"python -m tests.prove.soak --seed {seed}",
        notes=(
            f"{place.bursts} bursts of {len(place.facts)} facts in {sum(place.answers.values()):,} requests by "
            f"{THREADS} threads, {place.ticks} pairs of ticks. Answers: {_shown(place.answers)}.",
            f"{len(runs)} runs: {_shown(ends)}. Jobs: {_shown(book)}. After each burst: one claim and one run for "
            "each fact, no month over its budget, no attempt trained twice, no inbox left, no run stuck.",
            "",
        ),
    )


def _shown(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common()) or "none"


def proof(deep: bool) -> Part:
    """Fifty seconds, or a thousand killed processes."""
    if deep:
        return soak(SEED, DEEP_CHANCE, DEEP_LIMIT_S, DEEP_KILLS)
    return soak(SEED, QUICK_CHANCE, QUICK_S, DEEP_KILLS)


def main() -> int:
    """Print the table; 1 when a promise did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.prove.soak", description=__doc__)
    parser.add_argument("--deep", action="store_true", help="a thousand killed processes")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--seconds", type=float, default=QUICK_S)
    given = parser.parse_args()
    found = proof(True) if given.deep else soak(given.seed, QUICK_CHANCE, given.seconds, DEEP_KILLS)
    print(found.text)
    for story in found.broken:
        print(f"BROKEN: {story}", file=sys.stderr)
    return 1 if found.broken else 0


if __name__ == "__main__":
    sys.exit(main())
