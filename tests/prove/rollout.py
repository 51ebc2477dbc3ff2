"""A challenger on its way, and handlers that race, stall and die: does traffic ever go where it must not?"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from retraining import names, rollout_loop
from retraining.errors import RetrainingError
from retraining.records import RunState
from retraining.reports import Evaluation, Manifest
from retraining.rollout_loop import RolloutWorld
from retraining.rollouts import Phase, Rollout, Serving
from retraining.views import ArmCounts, DeployPlan, VersionView
from tests.engine.cloud import SETTINGS
from tests.prove.cloud import (
    PARENT,
    Box,
    Cloud,
    PlainArtifacts,
    PlainEndpoints,
    PlainOperations,
    PlainRegistry,
    PlainStore,
    PlainWarehouse,
    clock,
)
from tests.prove.explore import Calls, Handler, Paused, State, Violation
from tests.prove.launch import straight, with_handler, without_handler
from tests.unit.build import FLIGHTS, NOW, counts
from tests.unit.build import run as make_run

OLD, NEW = "flights-old", "flights-new"
CHAMPION = names.deployed_id(OLD, 1)
CHALLENGER = names.deployed_id(NEW, 2)
TICK = timedelta(hours=1)
SOAK = timedelta(hours=1)
SPEC = FLIGHTS.model_copy(
    update={
        "rollout": FLIGHTS.rollout.model_copy(
            update={
                "steps": (10, 100),
                "step_time": TICK,
                "soak": SOAK,
                "look_every": timedelta(),
                "min_requests": 100,
                "deploy_timeout": timedelta(hours=10),
                "step_deadline": timedelta(hours=20),
            }
        )
    }
)
POINTS = frozenset({"look at endpoint", "read rollouts"})
CLOSING_TICKS = 80
_SUM = 0.16 * 5000
ARMS = {
    "good": ArmCounts(rows=5000, invalid=0, labelled=5000, loss_sum=_SUM, loss_sq_sum=_SUM * 0.2),
    "bad": ArmCounts(rows=5000, invalid=3, labelled=5000, loss_sum=_SUM, loss_sq_sum=_SUM * 0.2),
    "none": ArmCounts(rows=0, invalid=0),
}


@dataclass(frozen=True)
class Bounds:
    """See launch.Bounds."""

    ticks: int = 4
    crashes: int = 1
    losses: int = 1
    bad_looks: int = 1  # looks at which the challenger does harm
    failures: int = 1  # deploys that fail
    time: int = 3
    together: int = 2


class Rolling:
    """One rollout, from the queue to its end."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._closed: dict[bytes, str] = {}

    def start(self) -> State:
        """The champion serves alone; a winner waits in the queue."""
        b = self._bounds
        left = {"tick": b.ticks, "crash": b.crashes, "lose": b.losses, "bad": b.bad_looks, "fail": b.failures}
        return State(first_cloud(), (), tuple(sorted({**left, "time": b.time}.items())))

    def next(self, state: State) -> Iterator[tuple[str, State]]:
        """See Model."""
        cloud = state.world
        assert isinstance(cloud, Cloud)
        room = len(state.handlers) < self._bounds.together and is_busy(cloud)
        if room and (after := state.spend("tick")) is not None:
            handler = Handler(state.free, "step")
            yield from self._run(after, handler, "", f"tick {handler.number} begins")
        for handler in state.handlers:
            yield from self._go_on(state, handler)
            if (after := state.spend("crash")) is not None:
                yield f"tick {handler.number} dies", without_handler(after, handler)
        for name, op in cloud.operations.items():
            if not op.done:
                yield f"{op.kind} ends well", replace(state, world=watched_end(cloud, name, ""))
                if op.kind == "deploy" and (after := state.spend("fail")) is not None:
                    yield "deploy fails", replace(after, world=watched_end(cloud, name, "no capacity"))
        if (after := state.spend("time")) is not None:
            # No function lives that long: what stalled is ended by its time limit.
            later = cloud.pass_time(TICK + timedelta(minutes=5))
            yield "an hour passes", replace(after, world=later, handlers=())

    def check_end(self, state: State) -> None:
        """Left alone from here, the rollout ends, and leaves one model with all traffic and no other."""
        cloud = state.world
        assert isinstance(cloud, Cloud)
        if cloud.mark not in self._closed:
            self._closed[cloud.mark] = close(cloud)
        if self._closed[cloud.mark]:
            raise Violation(self._closed[cloud.mark])

    def _go_on(self, state: State, handler: Handler) -> Iterator[tuple[str, State]]:
        rest = without_handler(state, handler)
        words = f"tick {handler.number} goes on"
        yield from self._run(rest, handler, "", words)
        if (after := rest.spend("lose")) is not None:
            yield from self._run(after, handler, "lost", f"{words}, an answer is lost")
        if handler.waiting == "judge":
            if (after := rest.spend("bad")) is not None:
                yield from self._run(after, handler, "bad", f"{words}, the challenger does harm")
            yield from self._run(rest, handler, "none", f"{words}, nobody asked the challenger")

    def _run(self, state: State, handler: Handler, variant: str, words: str) -> Iterator[tuple[str, State]]:
        cloud = state.world
        assert isinstance(cloud, Cloud)
        box, calls = Box(cloud), Calls(handler, variant)
        again = run(box, calls, f"{handler.number:02x}")
        check(cloud, box.cloud)
        after = replace(state, world=noted(box.cloud))
        words = f"{words}: {calls.performed}" if calls.performed else words
        if calls.waiting:
            yield words, with_handler(after, replace(handler, answers=tuple(calls.answers), waiting=calls.waiting))
        elif again:
            yield words, with_handler(after, replace(handler, answers=(), waiting=""))
        else:
            yield words, after


def is_busy(cloud: Cloud) -> bool:
    """Whether a tick visits the endpoint at all."""
    return any(path.startswith(("rolling/", "candidates/")) for path in cloud.objects)


def run(box: Box, calls: Any, unique: str) -> bool:
    """Run one step of the rollout's engine; whether the tick has more to do."""
    del unique
    try:
        return rollout_loop.advance(world(box, calls), SPEC)
    except (Paused, RetrainingError):  # a tick reports the error and leaves it to the next one
        return False


def world(box: Box, calls: Any) -> RolloutWorld:
    """The engine's world over a cloud."""
    return RolloutWorld(
        settings=SETTINGS,
        models={"flights": SPEC},
        store=PlainStore(box, calls, POINTS),
        endpoints=PlainEndpoints(box, calls, POINTS, watch),
        registry=PlainRegistry(box, calls, POINTS),
        operations=PlainOperations(box, calls, POINTS),
        warehouse=PlainWarehouse(box, calls, POINTS, counts(), ARMS),
        artifacts=PlainArtifacts(box, calls, POINTS),
        now=clock(box, calls),
    )


def first_cloud() -> Cloud:
    """The champion serves; the challenger has won its gate."""
    serving = Serving(run_id=OLD, deployed_id=CHAMPION, version=f"{PARENT}/models/m@1", digest="old")
    record = Rollout(
        endpoint="flights", model="flights", sequence=1, champion=serving, confirmed={CHAMPION: 100}, entered=NOW,
    )  # fmt: skip
    challenger = make_run(RunState.ELIGIBLE, run_id=NEW, manifest_digest="new")
    manifest = Manifest(
        run_id=NEW, files={}, digest="new", spec_digest="s", data_digest="d", code_digest="c", parameters={},
        versions={}, seed=1,
    )  # fmt: skip
    report = Evaluation(
        run_id=NEW, nonce="", rows=5000, candidate={}, champion=None, candidate_digest="new",
        candidate_objects={"saved_model.pb": "1"},
    )  # fmt: skip
    folder = names.artifact_uri("artifacts", NEW)
    cloud = Cloud(
        NOW,
        files={
            f"{folder}/model/saved_model.pb": b"graph",
            f"{folder}/report/manifest.json": manifest.to_json().encode(),
            names.evaluation_uri("artifacts", NEW): report.to_json().encode(),
        },
        versions={names.version_alias(OLD): VersionView(f"{PARENT}/models/m@1", {}, "")},
        deployed={CHAMPION: f"{PARENT}/models/m@1"},
        split={CHAMPION: 100},
        champion=CHAMPION,
    )
    cloud, _ = cloud.put(names.rollout_path("flights"), record.to_json())
    cloud, _ = cloud.put(names.run_path(NEW), challenger.to_json())
    cloud, _ = cloud.put(names.candidate_path("flights", NEW), json.dumps({"run_id": NEW}))
    return cloud


def watch(cloud: Cloud, what: str, subject: Any) -> None:
    """What is asked of the endpoint, held against the promises before it happens."""
    match what, subject:
        case "set_traffic", dict(split):
            if sum(split.values()) != 100:
                raise Violation(f"a split that does not sum to 100: {split}")
            if missing := set(split) - set(cloud.deployed):
                raise Violation(f"a split that names what is not deployed: {sorted(missing)}")
        case "undeploy", str(deployed_id):
            if deployed_id == CHAMPION:
                _champion_may_go(cloud)
        case "deploy", DeployPlan():
            pass
        case _:
            raise AssertionError(f"unknown request {what}")


def _champion_may_go(cloud: Cloud) -> None:
    if cloud.split.get(CHALLENGER) != 100 or not cloud.facts:
        raise Violation(f"the champion is taken away while the split is {dict(cloud.split)}")
    soaked = cloud.now - datetime.fromisoformat(cloud.facts[0])
    if soaked < SOAK:
        raise Violation(f"the champion is taken away {soaked} after the challenger had all traffic")


def noted(cloud: Cloud) -> Cloud:
    """With the moment remembered since when the challenger has all traffic."""
    is_full = cloud.split == {CHALLENGER: 100}
    if is_full == bool(cloud.facts):
        return cloud
    return replace(cloud, facts=(cloud.now.isoformat(),) if is_full else ())


def check(before: Cloud, after: Cloud) -> None:
    """What holds between any two moments."""
    if after.split != before.split and after.etag == before.etag:
        raise Violation("traffic changed without a new etag")
    if sum(after.split.values()) != 100:
        raise Violation(f"traffic sums to {sum(after.split.values())}")
    if gone := {key for key, share in after.split.items() if share} - set(after.deployed):
        raise Violation(f"traffic goes to {sorted(gone)}, which is not deployed")


def watched_end(cloud: Cloud, name: str, error: str) -> Cloud:
    """An operation ends; traffic is as it was."""
    after = cloud.end_operation(name, error)
    check(cloud, after)
    return after


def record_of(cloud: Cloud) -> Rollout:
    """The endpoint's record."""
    return Rollout.from_json(cloud.objects[names.rollout_path("flights")][0])


def close(cloud: Cloud) -> str:
    """What is wrong when, from here on, only ticks come and all goes well; empty when the rollout ends clean."""
    for _ in range(CLOSING_TICKS):
        for name, op in cloud.operations.items():
            if not op.done:
                cloud = watched_end(cloud, name, "")
        box = Box(cloud)
        for _ in range(rollout_loop.MAX_STEPS if is_busy(cloud) else 0):
            if not run(box, straight, "99"):
                break
        check(cloud, box.cloud)
        cloud = noted(box.cloud).pass_time(TICK + timedelta(minutes=5))
    return left_behind(cloud)


def left_behind(cloud: Cloud) -> str:
    """What is not as it must be after a rollout; empty when all is."""
    record = record_of(cloud)
    if record.phase is not Phase.IDLE:
        return f"the rollout did not end: {record.phase.value}: {record.reason}"
    assert record.champion is not None
    serving = record.champion.deployed_id
    if dict(cloud.split) != {serving: 100}:
        return f"the record says that {serving} serves, the endpoint splits {dict(cloud.split)}"
    if set(cloud.deployed) != {serving}:
        return f"left behind beside {serving}: {sorted(set(cloud.deployed) - {serving})}"
    if names.outcome_path(NEW) not in cloud.objects:
        return "the run was never told how its rollout ended"
    if left := [path for path in cloud.objects if path.startswith(("candidates/", "rolling/"))]:
        return f"left in the queue: {left}"
    return ""
