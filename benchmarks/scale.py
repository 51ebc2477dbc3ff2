"""What one tick costs when there are many models, most of them asleep, and a year of records lies behind.

Store operations are counted exactly; time is CPU of this process. The same hundred models have work to do in every
installation, so that whatever grows between the lines grows with models that are asleep.
"""

import bisect
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from console.newest import newest_events, newest_runs
from local.memory.artifacts import MemoryArtifacts
from local.memory.bus import MemoryBus
from local.memory.endpoints import MemoryEndpoints
from local.memory.jobs import MemoryJobs
from local.memory.operations import MemoryOperations
from local.memory.registry import MemoryRegistry
from local.memory.warehouse import MemoryWarehouse
from monitoring import handler as monitor
from monitoring.log import Kept, Pass, Subject
from monitoring.records import Watch, watch_path
from retraining import names, rollout_loop, run_loop
from retraining.errors import Conflict, Exists, RetrainingError
from retraining.health import rollouts_health, runs_health
from retraining.intake import Intake, accept
from retraining.modelfile import load_models
from retraining.modelspec import ModelSpec
from retraining.plans import Planner
from retraining.records import JobRef, ModelState, Run, RunState
from retraining.rollout_loop import RolloutWorld
from retraining.rollouts import Look, Phase, Rollout, Serving, Verdict
from retraining.settings import Settings
from retraining.state import RunWorld
from retraining.triggers import Kind, Trigger
from retraining.views import DeployPlan, JobState, Stored
from retraining.watermark import WatermarkWorld, check

NOW = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
SETTINGS = Settings("my-project", "us-central1", "state", "artifacts", "retraining", trainer_image="trainer")
SIZES = (100, 1_000, 10_000)
ACTIVE = 100  # half of them train, a quarter has news, a quarter rolls out
RUNS, EVENTS = 120_000, 1_000_000  # of the year behind
_MODELS = Path(__file__).parents[1] / "models"
_YEAR = timedelta(days=365)


class YearStore:
    """Records in memory, kept so that a prefix is found as a service finds it, with every operation counted.

    The year behind is made up when somebody asks for it: names in order of time, bodies from one example.
    """

    def __init__(self, runs: int, events: int, models: list[str]) -> None:
        self.objects: dict[str, Stored] = {}
        self.operations: Counter[str] = Counter()
        self.named = 0  # names in the answers to lists
        self._events = events
        self._number = 0
        self._example = _finished("example").to_json()
        each = runs // len(models)
        self._past = {
            names.run_path(f"{model}-{NOW - _YEAR * (number + 1) / (each + 1):%Y%m%d-%H%M%S}-{number:04x}")
            for model in models
            for number in range(each)
        }
        self._sorted = sorted(self._past)

    def create(self, path: str, body: str) -> str:
        """See Store."""
        self.operations["create"] += 1
        if path in self.objects or path in self._past:
            raise Exists(f"record {path}: expected none, found one")
        bisect.insort(self._sorted, path)
        return self._put(path, body)

    def read(self, path: str) -> Stored | None:
        """See Store."""
        self.operations["read"] += 1
        if path in self._past and path not in self.objects:
            run_id = path.removeprefix("runs/").removesuffix(".json")
            return Stored(self._example.replace("example", run_id).replace('"m"', f'"{run_id[:-21]}"'), "1")
        if path.startswith("events/") and path not in self.objects:
            return Stored(json.dumps({"version": 1, "at": NOW.isoformat(), "what": "x", "model": "m"}), "1")
        return self.objects.get(path)

    def replace(self, path: str, body: str, version: str) -> str:
        """See Store."""
        self.operations["replace"] += 1
        found = self.objects.get(path)
        if found is None or found.version != version:
            raise Conflict(f"record {path}: expected version {version}, found another or none")
        return self._put(path, body)

    def delete(self, path: str) -> None:
        """See Store."""
        self.operations["delete"] += 1
        if self.objects.pop(path, None) is not None:
            del self._sorted[bisect.bisect_left(self._sorted, path)]

    def list(self, prefix: str) -> list[str]:
        """See Store."""
        self.operations["list"] += 1
        found = self._sorted[
            bisect.bisect_left(self._sorted, prefix) : bisect.bisect_left(self._sorted, prefix + "~")
        ]
        if prefix.startswith("events/"):
            found = sorted([*found, *self._past_events(prefix)])
        self.named += len(found)
        return found

    def seed(self, path: str, body: str) -> None:
        """A record that was written before, without counting."""
        bisect.insort(self._sorted, path)
        self._put(path, body)

    def forget(self) -> None:
        """Begin to count anew."""
        self.operations, self.named = Counter(), 0

    def _put(self, path: str, body: str) -> str:
        self._number += 1
        self.objects[path] = Stored(body, str(self._number))
        return str(self._number)

    def _past_events(self, prefix: str) -> Iterator[str]:
        """Those of the day that the prefix names, or of all days."""
        each = self._events // _YEAR.days
        for back in range(1, _YEAR.days + 1):
            day = NOW.replace(hour=0, minute=0) - timedelta(days=back)
            if f"events/{day:%Y-%m-%d}/".startswith(prefix):
                for number in range(each):
                    yield names.event_path(day + timedelta(days=number / each), f"{number:08x}")


def _finished(run_id: str) -> Run:
    at = NOW - 30 * 24 * HOUR
    cause = Trigger(model="m", kind=Kind.DATA, key="k", at=at, reason="rows arrived")
    run = Run(
        run_id=run_id, model="m", state=RunState.WAITING, opened=at, entered=at, spec_digest="d", causes=(cause,)
    )
    return run.move(RunState.PROMOTED, "it serves all requests", at + HOUR)


class Quiet:
    """A request log without rows."""

    def __init__(self) -> None:
        self.asked = 0

    def count_all(self, passes: Iterable[Pass]) -> dict[str, RetrainingError]:
        """See Log."""
        self.asked += bool(list(passes))
        return {}

    def read(self, subject: Subject, since: datetime, until: datetime) -> Kept:
        """See Log."""
        self.asked += 1
        return Kept({})

    def unknown_names(self, subject: Subject, start: datetime, end: datetime) -> dict[str, int]:
        """See Log."""
        self.asked += 1
        return {}

    def define(self, subject: Subject) -> None:
        """See Log."""
        self.asked += 1


@dataclass
class Installation:
    """So many models, the first ``ACTIVE`` of which have something to do."""

    models: Mapping[str, ModelSpec]
    store: YearStore
    warehouse: MemoryWarehouse = field(default_factory=MemoryWarehouse)
    artifacts: MemoryArtifacts = field(default_factory=MemoryArtifacts)
    bus: MemoryBus = field(default_factory=MemoryBus)
    reports: list[str] = field(default_factory=list)  # what a tick postponed: nothing should be

    def __post_init__(self) -> None:
        self.jobs = MemoryJobs(lambda: NOW)
        self.operations = MemoryOperations(at_once=True)
        self.endpoints = MemoryEndpoints(self.operations, *self.models)
        self.log = Quiet()

    @property
    def intake(self) -> Intake:
        """For new facts."""
        return Intake(self.models, self.store, lambda: NOW)

    @property
    def runs(self) -> RunWorld:
        """For the tick of runs."""
        now = lambda: NOW  # noqa: E731
        return RunWorld(SETTINGS, self.models, self.store, self.jobs, self.warehouse, self.artifacts, self.bus, now)

    @property
    def rollouts(self) -> RolloutWorld:
        """For the tick of rollouts."""
        return RolloutWorld(
            settings=SETTINGS,
            models=self.models,
            store=self.store,
            endpoints=self.endpoints,
            registry=MemoryRegistry(self.operations),
            operations=self.operations,
            warehouse=self.warehouse,
            artifacts=self.artifacts,
            now=lambda: NOW,
        )

    @property
    def monitor(self) -> monitor.MonitorWorld:
        """For the tick of the monitor."""
        return monitor.MonitorWorld(
            SETTINGS, self.models, self.store, self.bus, self.log, self.artifacts, lambda: NOW
        )


def install(size: int, runs: int = RUNS, events: int = EVENTS) -> Installation:
    """``size`` models, all of which serve; ``ACTIVE`` of them have work."""
    example = load_models(_MODELS)["flights"]
    found = [f"model{number:05d}" for number in range(size)]
    models = {name: example.model_copy(update={"name": name, "endpoint": name}) for name in found}
    here = Installation(models, YearStore(runs, events, found[:ACTIVE]))
    for number, spec in enumerate(models.values()):
        serving = Serving(run_id=f"{spec.name}-0", deployed_id=_deployed(number, 0), version="v")
        record = Rollout(endpoint=spec.name, model=spec.name, sequence=1, champion=serving)
        record = record.move(Phase.IDLE, "the rollout is over", NOW - 30 * 24 * HOUR)
        if number >= ACTIVE or number % 4:
            here.store.seed(
                names.rollout_path(spec.name), record.but(confirmed={serving.deployed_id: 100}).to_json()
            )
        else:
            _roll(here, spec, record, number)
        if number < ACTIVE and number % 4 == 1:
            _fact(here, spec)
        state = ModelState(model=spec.name, watermark=NOW - 24 * HOUR)
        if number < ACTIVE and number % 4 > 1:
            state = state.but(active_run=_train(here, spec, number))
        here.store.seed(names.model_path(spec.name), state.to_json())
        judged = monitor.floor(NOW, spec)
        watch = Watch(
            model=spec.name,
            run_id=f"{spec.name}-0",
            deployed_id=serving.deployed_id,
            since=judged,
            judged_until=judged,
        )
        here.store.seed(watch_path(spec.name), watch.to_json())
    here.store.forget()
    return here


def _deployed(number: int, arm: int) -> str:
    return str(10**9 + 2 * number + arm)


def _fact(here: Installation, spec: ModelSpec) -> None:
    """New rows, which no run has taken up."""
    trigger = Trigger(model=spec.name, kind=Kind.DATA, key=f"{spec.name}|rows", at=NOW, reason="rows arrived")
    assert accept(here.intake, trigger)


def _train(here: Installation, spec: ModelSpec, number: int) -> str:
    """A run whose training job has not ended."""
    run = _finished(f"{spec.name}-{NOW - HOUR:%Y%m%d-%H%M%S}-{number:04x}")
    cause = run.causes[0].but(model=spec.name)
    ref = JobRef(kind="train", attempt=1, intended=NOW - HOUR)
    run = run.but(model=spec.name, opened=NOW - HOUR, causes=(cause,), history=(), spec_digest=spec.digest)
    run = run.move(RunState.TRAINING, "rows are frozen", NOW - HOUR)
    job = here.jobs.launch(Planner(SETTINGS, spec).plan(run, ref, None, "nonce"))
    here.jobs.finish(job.name, JobState.RUNNING)
    run = run.with_job(ref.but(name=job.name, state=JobState.RUNNING))
    here.store.seed(names.run_path(run.run_id), run.to_json())
    here.store.seed(names.active_path(run.run_id), "{}")
    return run.run_id


def _roll(here: Installation, spec: ModelSpec, record: Rollout, number: int) -> None:
    """A challenger that takes its first share, and was looked at a moment ago."""
    share = spec.rollout.steps[0]
    split = {_deployed(number, 0): 100 - share, _deployed(number, 1): share}
    for deployed in split:
        here.endpoints.deploy(DeployPlan(spec.name, deployed, "v", deployed, spec.machines.serving, ""))
    seen = here.endpoints.view(spec.name)
    assert seen is not None
    here.endpoints.set_traffic(spec.name, split, seen.etag)
    challenger = Serving(run_id=f"{spec.name}-1", deployed_id=_deployed(number, 1), version="v")
    look = Look(at=NOW, verdict=Verdict.INCONCLUSIVE, reason="few rows", challenger_rows=9, champion_rows=90)
    changed = record.but(challenger=challenger, confirmed=split, sequence=2, look=look)
    moved = changed.move(Phase.STEP, "it is deployed", NOW - HOUR)
    here.store.seed(names.rollout_path(spec.name), moved.but(look=look, confirmed=split).to_json())
    here.store.seed(names.rolling_path(spec.name, 2), "{}")


# What is measured ----------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """Of one act."""

    operations: int
    named: int  # names in answers to lists
    cpu_ms: float


def measured(store: YearStore, act: Callable[[], object]) -> Cost:
    """What ``act`` costs."""
    store.forget()
    began = time.process_time()
    act()
    spent = time.process_time() - began
    return Cost(sum(store.operations.values()), store.named, spent * 1000)


def watermarks(here: Installation, specs: list[ModelSpec]) -> None:
    """Ask for new rows of these models, as their Scheduler jobs do one by one."""
    look = WatermarkWorld(here.store, here.warehouse, lambda: NOW)
    for spec in specs:
        check(look, spec)


def ticks(here: Installation) -> dict[str, Callable[[], object]]:
    """Every tick by its name. The first of runs takes in the news; the second finds the same work and no news."""
    reports = here.reports
    active = [here.models[name] for name in sorted(here.models)[:ACTIVE]]
    return {
        "runs, with news": lambda: run_loop.tick(here.runs, reports.append),
        "runs": lambda: run_loop.tick(here.runs, reports.append),
        "health of runs": lambda: runs_health(here.runs),
        "rollouts": lambda: rollout_loop.tick(here.rollouts, reports.append),
        "health of rollouts": lambda: rollouts_health(here.rollouts),
        "watermarks of the active": lambda: watermarks(here, active),
        "monitor, all windows judged": lambda: here.reports.extend(monitor.tick(here.monitor)),
    }


def questions(here: Installation) -> dict[str, Callable[[], object]]:
    """What people ask at the console, by the command."""
    store, first = here.store, sorted(here.models)[0]
    return {
        "retrain status MODEL": lambda: newest_runs(store, [first], NOW, 1, lambda run: run.state.ended),
        "retrain runs MODEL": lambda: newest_runs(store, [first], NOW, 20),
        "retrain runs": lambda: newest_runs(store, here.models, NOW, 20),
        "retrain events": lambda: newest_events(store, "", NOW, 30),
    }


def asked(runs: int = RUNS, events: int = EVENTS) -> dict[str, Cost]:
    """What each question costs after a year, in the smallest installation."""
    here = install(SIZES[0], runs, events)
    return {name: measured(here.store, act) for name, act in questions(here).items()}


def costs(size: int, runs: int = RUNS, events: int = EVENTS) -> dict[str, Cost]:
    """What each tick costs in an installation of this size."""
    here = install(size, runs, events)
    found = {name: measured(here.store, act) for name, act in ticks(here).items()}
    if here.reports:
        raise RuntimeError(f"expected ticks that postpone nothing, got {here.reports[:3]}")
    return found


def main() -> None:
    """Print the table and JSON."""
    found = {size: costs(size) for size in SIZES}
    print(f"{ACTIVE} models with work, {RUNS:,} runs and {EVENTS:,} audit entries behind; store operations, CPU ms")
    print(f"{'tick':30}" + "".join(f"{f'{size:,} models':>24}" for size in SIZES) + f"{'growth':>9}")
    for name in found[SIZES[0]]:
        line = [found[size][name] for size in SIZES]
        shown = "".join(f"{cost.operations:>12,}{cost.cpu_ms:>12.1f}" for cost in line)
        print(f"{name:30}{shown}{line[-1].operations / max(1, line[0].operations):>8.2f}x")
    print(f"{'question':30}{'operations':>12}{'names':>12}{'CPU ms':>12}")
    for name, cost in asked().items():
        print(f"{name:30}{cost.operations:>12,}{cost.named:>12,}{cost.cpu_ms:>12.1f}")
    told: dict[str, Any] = {
        str(size): {name: cost.__dict__ for name, cost in one.items()} for size, one in found.items()
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
