"""One fact, told several times, to handlers that race, stall and die: how many trainings come of it?"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from retraining import collect, run_loop
from retraining.errors import RetrainingError
from retraining.intake import Intake, accept
from retraining.records import Run, RunState
from retraining.reports import Manifest
from retraining.state import RunWorld
from retraining.triggers import Kind
from retraining.views import ArmCounts, JobState
from tests.engine.cloud import SETTINGS
from tests.prove.cloud import (
    Box,
    Call,
    Cloud,
    PlainArtifacts,
    PlainBus,
    PlainJobs,
    PlainStore,
    PlainWarehouse,
    clock,
)
from tests.prove.explore import Calls, Handler, Paused, State, Violation
from tests.unit.build import FLIGHTS, NOW, counts, trigger

FACT = trigger(kind=Kind.MANUAL, key="fact", actor="ann", at=NOW)
POINTS = frozenset({"find"})
CLOSING_TICKS = 60
PAST_TRAINING = frozenset(RunState) - {
    RunState.WAITING, RunState.VALIDATING, RunState.LAUNCHING, RunState.TUNING, RunState.TRAINING,
}  # fmt: skip


@dataclass(frozen=True)
class Bounds:
    """How often each kind of event may happen, and how many handlers may be under way at once."""

    deliveries: int = 2
    ticks: int = 2
    crashes: int = 1
    losses: int = 1  # answers lost after the effect
    stales: int = 1  # lists that lag behind
    time: int = 1  # steps of ten minutes
    together: int = 2


class Launch:
    """From the first delivery to one finished training."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._closed: dict[bytes, str] = {}  # clouds from which the end was reached before

    def start(self) -> State:
        """Nothing has happened."""
        b = self._bounds
        left = {"deliver": b.deliveries, "tick": b.ticks, "crash": b.crashes, "lose": b.losses, "stale": b.stales}
        return State(Cloud(NOW), (), tuple(sorted({**left, "time": b.time}.items())))

    def next(self, state: State) -> Iterator[tuple[str, State]]:
        """See Model."""
        cloud = state.world
        assert isinstance(cloud, Cloud)
        yield from self._begin(state)
        for handler in state.handlers:
            yield from self._go_on(state, handler)
            if (after := state.spend("crash")) is not None:
                yield f"handler {handler.number} dies", without_handler(after, handler)
        for words, later in job_events(cloud):
            yield words, replace(state, world=later)
        if (after := state.spend("time")) is not None:
            yield "ten minutes pass", replace(after, world=cloud.pass_time(timedelta(minutes=10)))

    def check_end(self, state: State) -> None:
        """Left alone from here, the fact still ends in one training, and nothing is left running."""
        cloud = state.world
        assert isinstance(cloud, Cloud)
        if cloud.mark not in self._closed:
            self._closed[cloud.mark] = close(cloud)
        if self._closed[cloud.mark]:
            raise Violation(self._closed[cloud.mark])

    def _begin(self, state: State) -> Iterator[tuple[str, State]]:
        if len(state.handlers) >= self._bounds.together:
            return
        for kind in ("deliver", "tick"):
            if (after := state.spend(kind)) is not None:
                handler = Handler(state.free, kind)
                yield from self._run(after, handler, "", f"handler {handler.number} ({kind}) begins")

    def _go_on(self, state: State, handler: Handler) -> Iterator[tuple[str, State]]:
        rest = without_handler(state, handler)
        yield from self._run(rest, handler, "", f"handler {handler.number} goes on")
        if (after := rest.spend("lose")) is not None:
            yield from self._run(after, handler, "lost", f"handler {handler.number} goes on, an answer is lost")
        if handler.waiting.startswith("find") and (after := rest.spend("stale")) is not None:
            yield from self._run(after, handler, "stale", f"handler {handler.number} goes on, a list lags behind")

    def _run(self, state: State, handler: Handler, variant: str, words: str) -> Iterator[tuple[str, State]]:
        """Let the handler run to its next point, or to its end, where its tick may have more to do."""
        cloud = state.world
        assert isinstance(cloud, Cloud)
        box, calls = Box(cloud), Calls(handler, variant)
        following = run(box, calls, handler)
        words = f"{words}: {calls.performed}" if calls.performed else words
        check(box.cloud)
        after = replace(state, world=box.cloud)
        if calls.waiting:
            paused = replace(handler, answers=tuple(calls.answers), waiting=calls.waiting)
            yield words, with_handler(after, paused)
        elif following is not None:
            yield words, with_handler(after, following)
        else:
            yield words, after


def run(box: Box, calls: Call, handler: Handler) -> Handler | None:
    """Run the handler's program until it stands still; what its tick does after it, when it ended."""
    world, intake = worlds(box, calls, f"{handler.number:02x}")
    try:
        if handler.program == "deliver":
            accept(intake, FACT)
            return None
        if handler.program == "tick":
            inbox = world.store.list("inbox/")
            for path in inbox:
                collect.collect(world, FLIGHTS, [path])
            return replace(handler, program="runs", answers=(), waiting="")
        if handler.program == "runs":
            active = [path.removeprefix("active/").removesuffix(".json") for path in world.store.list("active/")]
            return (
                replace(handler, program="step", argument=active[0] + "|", answers=(), waiting="")
                if active
                else None
            )
        run_id, _, intended = handler.argument.partition("|")
        if past_training(box.cloud, run_id):
            return None
        after = run_loop.advance(world, run_id, intended)
        return None if after is None else replace(handler, argument=f"{run_id}|{after}", answers=(), waiting="")
    except Paused:
        return None
    except RetrainingError:  # a tick reports it and leaves it to the next one
        return replace(handler, program="runs", answers=(), waiting="") if handler.program == "tick" else None


def worlds(box: Box, calls: Call, unique: str) -> tuple[RunWorld, Intake]:
    """The engine's world over a cloud, every call of which comes by ``calls``."""
    store, now = PlainStore(box, calls, POINTS), clock(box, calls)
    world = RunWorld(
        settings=SETTINGS,
        models={"flights": FLIGHTS},
        store=store,
        jobs=PlainJobs(box, calls, POINTS),
        warehouse=PlainWarehouse(box, calls, POINTS, counts(), {"good": ArmCounts(rows=0, invalid=0)}),
        artifacts=PlainArtifacts(box, calls, POINTS),
        bus=PlainBus(box, calls, POINTS),
        now=now,
        unique=lambda size: (unique * size)[: 2 * size],
    )
    return world, Intake({"flights": FLIGHTS}, store, now)


def job_events(cloud: Cloud) -> Iterator[tuple[str, Cloud]]:
    """What the jobs themselves do: take the fence or go home; end."""
    for name, job in cloud.jobs.items():
        short = name.rsplit("/", 1)[-1]
        if job.state is JobState.WAITING:
            yield f"job {short} starts", start_job(cloud, name)
        elif job.state is JobState.RUNNING:
            yield f"job {short} ends", end_job(cloud, name)


def start_job(cloud: Cloud, name: str) -> Cloud:
    """The job's first act: it takes the fence, or goes home since another has it."""
    job = cloud.jobs[name]
    fence = f"gs://artifacts/fence/{job.labels['run_id']}-{job.kind}-{job.labels['attempt']}.json"
    if fence in cloud.files:
        return cloud.end_job(name, JobState.SUCCEEDED)
    body = f'{{"job_id": "{name.rsplit("/", 1)[-1]}"}}'.encode()
    running = replace(job, state=JobState.RUNNING, started=cloud.now)
    return replace(cloud, files={**cloud.files, fence: body}, jobs={**cloud.jobs, name: running})


def end_job(cloud: Cloud, name: str) -> Cloud:
    """The job that has the fence writes its manifest."""
    job = cloud.jobs[name]
    run_id = job.labels["run_id"]
    manifest = Manifest(
        run_id=run_id, files={}, digest="m", spec_digest="s", data_digest="d", code_digest="c", parameters={},
        versions={}, seed=1,
    )  # fmt: skip
    uri = f"gs://artifacts/runs/{run_id}/report/manifest.json"
    ended = replace(job, state=JobState.SUCCEEDED, ended=cloud.now)
    return replace(
        cloud,
        files={**cloud.files, uri: manifest.to_json().encode()},
        jobs={**cloud.jobs, name: ended},
        facts=(*cloud.facts, f"trained {run_id}"),
    )


def check(cloud: Cloud) -> None:
    """What holds at every moment."""
    trainings = [fact for fact in cloud.facts if fact.startswith("trained")]
    if len(trainings) > 1:
        raise Violation(f"one fact was trained {len(trainings)} times: {trainings}")
    answering = [run.run_id for run in all_runs(cloud) if any(cause.key == FACT.key for cause in run.causes)]
    if len(answering) > 1:
        raise Violation(f"one fact is answered by {answering}")


def all_runs(cloud: Cloud) -> list[Run]:
    """Every run there is."""
    return [Run.from_json(body) for path, (body, _) in cloud.objects.items() if path.startswith("runs/")]


def past_training(cloud: Cloud, run_id: str) -> bool:
    """Whether the run needs no more looking after here."""
    found = cloud.objects.get(f"runs/{run_id}.json")
    return found is not None and Run.from_json(found[0]).state in PAST_TRAINING


def close(cloud: Cloud) -> str:
    """What is wrong when from here on only ticks, jobs and redelivery happen; empty when all ends well."""
    told = any(path.startswith(("inbox/", "claims/")) for path in cloud.objects)
    for number in range(CLOSING_TICKS):
        for program in ("deliver", "tick") if number == 0 and not told else ("tick",):
            cloud = finish(cloud, Handler(99, program))
        check(cloud)
        for _, later in list(job_events(cloud))[:1]:
            cloud = later
        cloud = cloud.pass_time(timedelta(minutes=30))
    check(cloud)
    runs = all_runs(cloud)
    if [fact for fact in cloud.facts if fact.startswith("trained")] == []:
        return f"the fact was accepted and never trained: {[(run.run_id, run.state.value) for run in runs]}"
    if inbox := [path for path in cloud.objects if path.startswith("inbox/")]:
        return f"left in the inbox: {inbox}"
    if left := [name for name, job in cloud.jobs.items() if not job.state.ended]:
        return f"left running: {left}"
    return ""


def finish(cloud: Cloud, handler: Handler) -> Cloud:
    """A handler runs to its end with nobody beside it."""
    box, following = Box(cloud), handler
    while following is not None:
        following = run(box, straight, following)  # type: ignore[assignment]
    return box.cloud


def straight(name: str, act: object, *, point: bool) -> object:
    """Let a call happen at once."""
    del name, point
    return act("")  # type: ignore[operator]


def without_handler(state: State, handler: Handler) -> State:
    """The state without this handler."""
    return replace(state, handlers=tuple(one for one in state.handlers if one.number != handler.number))


def with_handler(state: State, handler: Handler) -> State:
    """The state with this handler too."""
    return replace(state, handlers=tuple(sorted((*state.handlers, handler), key=lambda one: one.number)))
