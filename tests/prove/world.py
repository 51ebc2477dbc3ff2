"""A cloud in which time passes by itself: jobs queue, start and end, models deploy, messages come late and twice.

Time jumps. Ticks come at most every five minutes, the interval that Cloud Scheduler has in an installation; after a
tick that changed nothing the next is eight times as far away, up to four hours, since a tick that finds nothing due
does nothing. Whatever happens outside, and whatever goes wrong in a tick with work open, brings the next one near.
"""

import heapq
import itertools
import json
import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from local.memory.bus import MemoryBus
from local.memory.registry import MemoryRegistry
from retraining import rollout_loop, run_loop
from retraining.errors import Conflict, RetrainingError, Temporary
from retraining.intake import Intake, accept
from retraining.modelspec import ModelSpec
from retraining.rollout_loop import RolloutWorld
from retraining.state import RunWorld
from retraining.triggers import Trigger
from retraining.views import (
    JobPlan,
    JobState,
    JobView,
    Trial,
)
from tests.engine.cloud import SETTINGS, Cloud
from tests.prove.faults import STALE, STALL, Crash, Fault, Port, fail, never
from tests.prove.living import Feed, KeptStore, LivingJobs, LivingOperations, WatchedEndpoints
from tests.prove.promises import Watch
from tests.unit.build import FLIGHTS, HOUR, NOW

MINUTE = timedelta(minutes=1)
INTERVAL = 5 * MINUTE
FAR = 4 * HOUR
LIFE = 9 * MINUTE  # of a function; then it is ended
STORY = 120  # lines kept


@dataclass(frozen=True)
class Setting:
    """How everything outside behaves."""

    difference: float = -0.01  # of the candidate on the hold-out
    live: float = 0.0  # of the challenger in live requests
    traffic: bool = True
    feed: str = ""
    fates: Mapping[tuple[str, int], str] = field(default_factory=dict)
    failing_deploys: int = 0


class World(Cloud):
    """See the module. What a scene asks for is in the attributes of the second block."""

    def __init__(self, seed: int, fault: Fault = never, spec: ModelSpec = FLIGHTS, *, coarse: int = 1) -> None:
        self.chance = random.Random(f"world {seed}")
        self.fault, self.spec, self._coarse = fault, spec, coarse  # times are further apart by this factor
        self.told: set[str] = set()
        self.story: deque[str] = deque(maxlen=STORY)
        self.troubles, self.ticks, self.beats = 0, 0, 0
        self.tick_loss = self.tick_double = 0.0

        self.traffic = True
        self.job_fates: dict[tuple[str, int], str] = {}  # kind, attempt → fate; else it ends well
        self.failing_deploys = 0  # of each model, the first so many

        self._events: list[tuple[datetime, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._depth, self._begun = 0, NOW
        self._next, self._pace = NOW, INTERVAL
        self._deploys: dict[str, int] = {}
        self._fates: dict[str, str] = {}
        self._training: dict[str, str] = {}  # job → run
        self.watch = Watch(spec, lambda: self.now, lambda: self.troubles)
        super().__init__()

    def __post_init__(self) -> None:
        super().__post_init__()
        models, clock = {self.spec.name: self.spec}, lambda: self.now
        self.store: KeptStore = KeptStore(self)
        self.operations = LivingOperations(self)
        self.endpoints: WatchedEndpoints = WatchedEndpoints(self.operations, self.watch, self.spec.endpoint)
        self.registry, self.jobs, self.feed = MemoryRegistry(self.operations), LivingJobs(self), Feed()
        self.warehouse, self.bus = self.feed, MemoryBus(SETTINGS.candidates_topic)
        ports: dict[str, Any] = {
            name: Port(name, getattr(self, name), self._perform)
            for name in ("store", "jobs", "warehouse", "artifacts", "bus", "endpoints", "registry", "operations")
        }
        run_ports = {name: ports[name] for name in ("store", "jobs", "warehouse", "artifacts", "bus")}
        self.runs = RunWorld(SETTINGS, models, now=clock, unique=self._unique, **run_ports)
        roll = ("store", "endpoints", "registry", "operations", "warehouse", "artifacts")
        self.rollouts = RolloutWorld(SETTINGS, models, now=clock, **{name: ports[name] for name in roll})
        self.intake = Intake(models, ports["store"], clock)

    def new_rows(self) -> None:
        """Rows come by themselves here."""

    def behave(self, setting: Setting) -> None:
        """From now on, everything outside behaves in this way."""
        self.difference, self.live, self.traffic = setting.difference, setting.live, setting.traffic
        self.feed.broken, self.job_fates = setting.feed, dict(setting.fates)
        self.failing_deploys = setting.failing_deploys

    @property
    def busy(self) -> bool:
        """Whether anything is still to happen outside."""
        return bool(self._events)

    def _unique(self, size: int) -> str:
        return self.chance.randbytes(size).hex()

    def minutes(self, low: float, high: float) -> timedelta:
        """Some time between."""
        return self.chance.uniform(low, high) * MINUTE

    def tell(self, line: str) -> None:
        """For the story."""
        self.story.append(f"{self.now:%m-%d %H:%M:%S} {'  ' * self._depth}{line}")

    # Time -----------------------------------------------------------------------------

    def later(self, by: timedelta, act: Callable[[], None]) -> None:
        """Let something happen after a while."""
        heapq.heappush(self._events, (self.now + by, next(self._numbers), act))

    def pass_time(self, by: timedelta) -> None:
        """Let time pass; nobody ticks."""
        end = self.now + by
        while self._events and self._events[0][0] <= end:
            at, _, act = heapq.heappop(self._events)
            self.now = max(self.now, at)
            act()
            self._next = min(self._next, self.now + self.minutes(0, 5))
        self.now = max(self.now, end)

    def run_until(self, end: datetime, stop: Callable[[], bool] = lambda: False) -> None:
        """Let everything happen until then, or until ``stop`` says so after a tick."""
        while self.now < end and not stop():
            at = min(self._next, end)
            if self._events and self._events[0][0] < at:
                at = self._events[0][0]
                self.pass_time(max(timedelta(), at - self.now))
                continue
            self.pass_time(max(timedelta(), at - self.now))
            if self.now >= self._next:
                self.beat()

    @property
    def open(self) -> bool:
        """Whether any work is open."""
        return any(self.store.list(prefix) for prefix in ("inbox/", "active/", "rolling/", "candidates/"))

    def beat(self) -> None:
        """One time of the schedule: both engines get their tick, unless it is lost."""
        writes, troubles = self.store.writes, self.troubles
        self.beats += 1
        engines = [self.run_tick, self.rollout_tick]
        self.chance.shuffle(engines)
        for engine in engines:
            times = self._times()
            for _ in range(times):
                engine()
        self.check(clean=self.troubles == troubles)
        disturbed = self.troubles != troubles and self.open
        near = self.store.writes != writes or disturbed
        self._pace = INTERVAL if near else min(8 * self._pace, self._coarse * FAR)
        self._next = self.now + self._pace + self.minutes(0, 2)

    def _times(self) -> int:
        drawn = self.chance.random()
        if drawn < self.tick_loss:
            self.trouble("a tick is lost")
            return 0
        return 2 if drawn > 1 - self.tick_double else 1

    def check(self, *, clean: bool) -> None:
        """The promises between two ticks."""
        view = self.endpoints.view(self.spec.endpoint)
        assert view is not None
        self.watch.between(self.store, view.split, view.deployed, clean=clean)

    def run_tick(self) -> None:
        """What on_tick does."""
        self._engine(lambda: run_loop.tick(self.runs, self.reports.append))

    def rollout_tick(self) -> None:
        """What on_candidate does."""
        self._look()
        self._engine(lambda: rollout_loop.tick(self.rollouts, self.reports.append))

    def _engine(self, act: Callable[[], None]) -> None:
        self.ticks += 1
        before, self._begun = self._begun, self.now
        try:
            act()
        except Crash as crash:
            self.tell(f"the process died at {crash}")
        except RetrainingError as error:  # the tick is not acknowledged; the next one comes anyhow
            self.tell(f"the tick ended early: {error}")
        finally:
            self._begun = before
        del self.reports[:-20]

    def _look(self) -> None:
        """What the request log says now."""
        if self.watch.rollout is None or not self.traffic:
            self.warehouse.arm_counts.clear()
        else:
            self._requests()

    @property
    def rollout(self) -> Any:
        """The endpoint's record, as it was written last."""
        return self.watch.rollout or super().rollout

    # Faults ---------------------------------------------------------------------------

    def trouble(self, what: str) -> None:
        """Something goes wrong."""
        self.troubles += 1
        self.tell(f"! {what}")

    def _perform(self, call: str, method: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        mode = self.fault(call)
        if not mode:
            return method(*args)
        self.trouble(f"{mode}: {call} {args[0] if args and isinstance(args[0], str) else ''}")
        if mode == STALE:
            return [job for job in method(*args) if job.created < self.now - 10 * MINUTE]
        if mode == STALL:
            self._stall()
            return method(*args)
        return fail(mode, call, method, args)

    def _stall(self) -> None:
        """This tick stands still, and others come by. One that lives too long is ended."""
        if self._depth >= 2:
            return
        begun = self._begun
        self._depth += 1
        try:
            self.pass_time(self.minutes(0.1, 8))
            for engine in (self.run_tick, self.rollout_tick):
                if self.chance.random() < 0.8:
                    engine()
        finally:
            self._depth -= 1
        if self.now - begun > LIFE:
            raise Crash("its time limit")

    # Messages -------------------------------------------------------------------------

    def deliver(self, fact: Trigger) -> None:
        """A message comes; while it is not acknowledged, it comes again."""
        try:
            accept(self.intake, fact)
        except (Temporary, Conflict, Crash):
            self.later(self.minutes(1, 10), lambda: self.deliver(fact))
            return
        self.told.add(fact.key)

    # Jobs -----------------------------------------------------------------------------

    def job_created(self, plan: JobPlan, job: JobView) -> None:
        """It waits in a queue."""
        attempt = int(job.labels.get("attempt", "1"))
        self.watch.launched(plan, attempt)
        self._fates[job.name] = fate = self.job_fates.get((plan.kind, attempt), "")
        self.tell(f"{job.name.rsplit('/', 1)[-1]}: {plan.kind} job created, {fate or 'well'}")
        if fate != "never starts":
            self.later(self.minutes(1, 30), lambda: self._start(job.name))

    def _start(self, name: str) -> None:
        job, plan = self.jobs.view(name), self.jobs.plan(name)
        assert job is not None
        if job.state.ended:
            return
        self.jobs.finish(name, JobState.RUNNING)
        if plan.kind == "train" and not self._fence(name, plan):
            self.jobs.finish(name, JobState.SUCCEEDED)
            self.tell(f"{name.rsplit('/', 1)[-1]} goes home: another holds the fence")
            return
        fate = self._fates[name]
        limit = plan.timeout_s / 60
        self.later(
            limit * MINUTE if fate == "never ends" else self.minutes(5, limit * 0.8), lambda: self._end(name)
        )

    def _fence(self, name: str, plan: JobPlan) -> bool:
        fence = _arguments(plan)["--fence"]
        if self.artifacts.read(fence) is not None:
            return False
        self.artifacts.write(fence, json.dumps({"job_id": name.rsplit("/", 1)[-1]}).encode())
        self._training[name] = plan.run_id
        self.watch.training_begins(plan.run_id, name)
        return True

    def _end(self, name: str) -> None:
        """The job ends as its fate says. Vertex AI itself ends what runs into its time limit."""
        job, plan, fate = self.jobs.view(name), self.jobs.plan(name), self._fates[name]
        assert job is not None
        if job.state.ended:
            return
        well = fate == ""
        if plan.kind == "train" and fate in ("", "fails late"):
            self._write_model(plan.run_id, _arguments(plan))
        if plan.kind == "evaluate" and fate in ("", "fails late"):
            self._evaluate(plan.run_id, any(a.startswith("--champion=") for a in plan.args))
        trials = (
            Trial(id="1", state="SUCCEEDED", parameters={"batch_size": 512.0}, metrics={"val_log_loss": 0.15}),
        )
        errors = {"fails": "exit 1", "fails late": "exit 1", "fails for good": "permanent: bad rows"}
        state = JobState.SUCCEEDED if fate in ("", "says nothing") else JobState.FAILED
        state = JobState.CANCELLED if fate == "never ends" else state
        self.jobs.finish(name, state, errors.get(fate, ""), trials if plan.kind == "tune" and well else ())
        self.tell(f"{name.rsplit('/', 1)[-1]} {state.value} {fate}")
        self.job_stopped(name, well=well)

    def job_stopped(self, name: str, *, well: bool = False) -> None:
        """Whatever it did, it does no more."""
        if name in self._training:
            self.watch.training_ends(self._training[name], name, well=well)

    def operation_started(self, name: str) -> None:
        """A deploy or an upload goes its way."""
        error = ""
        if "/endpoints/" in name:
            key = self.endpoints.starting
            self._deploys[key] = self._deploys.get(key, 0) + 1
            error = "no capacity" if self._deploys[key] <= self.failing_deploys else ""
        self.later(self.minutes(3, 45), lambda: self.operation_ends(name, error))

    def operation_ends(self, name: str, error: str) -> None:
        """It ends, unless it has."""
        if name not in self.operations.running():
            return
        self.tell(f"{'deploy' if '/endpoints/' in name else 'upload'} ended {error or 'well'}")
        self.operations.end(name, error)


def _arguments(plan: JobPlan) -> dict[str, str]:
    return dict(argument.split("=", 1) for argument in plan.args if "=" in argument)
