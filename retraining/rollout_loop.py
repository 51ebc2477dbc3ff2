"""The engine of rollouts: record, endpoint, record again; ask ``next_step``; perform that one step.

Only this module moves traffic. The record is read before and after the endpoint: if it changed in between, what was
seen belongs to no single moment and nothing is done with it.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from retraining import names, operations_verdict
from retraining.audit import record_event
from retraining.errors import BadRecord, Conflict, Exists, Permanent, Refused, RetrainingError
from retraining.guard import Guard
from retraining.intake import Effect, direct
from retraining.integrity import verify
from retraining.modelspec import ModelSpec
from retraining.operations import Health
from retraining.plans import Planner
from retraining.ports import Artifacts, Clock, Endpoints, Metrics, Operations, Registry, Store, Warehouse
from retraining.records import RunState
from retraining.rollout_machine import (
    Deploy,
    Finish,
    Go,
    Note,
    Rest,
    RolloutView,
    Step,
    Traffic,
    Undeploy,
    Upload,
    aftermath,
    desired_split,
    give_up,
    next_step,
)
from retraining.rollouts import Outcome, Phase, Rollout, Serving
from retraining.settings import Settings
from retraining.state import put, read_rollout, read_run
from retraining.verdict import look
from retraining.views import DeployPlan, EndpointView, OperationView, VersionPlan

MAX_STEPS = 20  # of one endpoint in one tick


@dataclass(frozen=True)
class RolloutWorld:
    """Everything a rollout's tick may touch. It has no jobs: who deploys cannot train."""

    settings: Settings
    models: Mapping[str, ModelSpec]
    store: Store
    endpoints: Endpoints
    registry: Registry
    operations: Operations
    warehouse: Warehouse
    artifacts: Artifacts
    now: Clock
    effect: Effect = direct
    metrics: Metrics | None = None  # None: nobody counts errors, and the request log decides alone


def tick(world: RolloutWorld, report: Callable[[str], None] = lambda text: None) -> None:
    """Move every rollout that is under way, and begin those that wait. One endpoint's trouble stops no other.

    Raises an ExceptionGroup at the end when something failed that nobody foresaw.
    """
    busy = {path.split("/")[1] for prefix in ("rolling/", "candidates/") for path in world.store.list(prefix)}
    by_endpoint = {spec.endpoint: spec for spec in world.models.values()}
    guard = Guard(report)
    for endpoint in sorted(busy & set(by_endpoint)):
        guard(endpoint, partial(reconcile, world, by_endpoint[endpoint]))
        guard(endpoint, partial(_page, world, by_endpoint[endpoint], report))
    guard.finish()


def _page(world: RolloutWorld, spec: ModelSpec, report: Callable[[str], None]) -> None:
    """Say what somebody must know now, for as long as it is so."""
    record, _ = read_rollout(world.store, spec.endpoint, spec.name)
    if record.phase in (Phase.STEP, Phase.FULL) and record.look and record.look.page:
        report(f"{spec.endpoint}: {record.look.page}")


def reconcile(world: RolloutWorld, spec: ModelSpec) -> None:
    """Move one endpoint as far as it goes now."""
    for _ in range(MAX_STEPS):
        if not advance(world, spec):
            return


def advance(world: RolloutWorld, spec: ModelSpec) -> bool:
    """Move one endpoint by one step; False when there is nothing more to do now."""
    record, version = read_rollout(world.store, spec.endpoint, spec.name)
    view = observe(world, spec, record)
    _, version_again = read_rollout(world.store, spec.endpoint, spec.name)
    if version_again != version:
        raise Conflict(f"rollout of {spec.endpoint} moved while its endpoint was read")
    return perform(world, spec, record, version, view, next_step(record, spec, view))


# What a rollout sees ---------------------------------------------------------------------


def observe(world: RolloutWorld, spec: ModelSpec, record: Rollout) -> RolloutView:
    """The world as this rollout needs it. The time is taken last: a look at the log may have taken a while."""
    return replace(_observe(world, spec, record), now=world.now())


def _observe(world: RolloutWorld, spec: ModelSpec, record: Rollout) -> RolloutView:
    endpoint = world.endpoints.view(spec.endpoint)
    if endpoint is None:
        raise Refused(f"endpoint {spec.endpoint!r}: expected one of this display name, found none")
    view = RolloutView(now=world.now(), endpoint=endpoint)
    if record.operation:
        view = replace(view, operation=_operation(world, record.operation))
    match record.phase:
        case Phase.IDLE:
            return replace(view, candidate=_candidate(world, spec, record))
        case Phase.REGISTERING:
            return replace(view, version=_version(world, spec, record))
        case Phase.STEP | Phase.FULL:
            return _with_look(world, spec, record, view)
        case _:
            return view


def _operation(world: RolloutWorld, name: str) -> OperationView:
    """The operation; one that nobody knows any more has ended, and the endpoint itself tells how."""
    try:
        return world.operations.view(name)
    except Refused as error:
        return OperationView(done=True, error=str(error))


def _candidate(world: RolloutWorld, spec: ModelSpec, record: Rollout) -> Serving | None:
    """The oldest winner in the queue whose run still waits; what is out of date leaves the queue.

    One whose record nobody can read is passed over. One of a newer release keeps its place: nobody overtakes it.
    """
    for path in world.store.list(f"candidates/{spec.endpoint}/"):
        run_id = path.rsplit("/", 1)[-1].removesuffix(".json")
        try:
            found = read_run(world.store, run_id)
        except BadRecord:
            continue  # the runs' own tick reports it
        if found is not None and found[0].model != spec.name:
            continue  # forged, or queued at the wrong endpoint: it stays for people to look at
        fit = found is not None and found[0].state in (RunState.ELIGIBLE, RunState.ROLLING_OUT)
        if fit and world.store.read(names.outcome_path(run_id)) is None:
            assert found is not None
            return Serving(
                run_id=run_id,
                deployed_id=names.deployed_id(run_id, record.sequence + 1),
                digest=found[0].manifest_digest,
            )
        world.effect("drop candidate", lambda path=path: world.store.delete(path))  # type: ignore[misc]
    return None


def _version(world: RolloutWorld, spec: ModelSpec, record: Rollout) -> str:
    assert record.challenger is not None
    run_id = record.challenger.run_id
    found = world.registry.find(spec.name, names.version_alias(run_id))
    folder = f"{names.artifact_uri(world.settings.artifact_bucket, run_id)}/model"
    if found and found.artifact_uri != folder:
        raise Refused(f"{run_id}: expected a version of {folder}, got one of {found.artifact_uri:.200}")
    return found.name if found else ""


def _with_look(world: RolloutWorld, spec: ModelSpec, record: Rollout, view: RolloutView) -> RolloutView:
    wanted = desired_split(record, spec)
    if not (record.confirmed == wanted == {k: v for k, v in view.endpoint.split.items() if v}):
        return view  # the step has not begun
    assert record.challenger is not None
    assert record.entered is not None
    last = record.look
    if last is not None and record.entered <= last.at and view.now < last.at + spec.rollout.look_every:
        return replace(view, look=last)
    share = wanted.get(record.challenger.deployed_id, 0)
    ours, theirs = record.challenger.deployed_id, record.champion.deployed_id if record.champion else ""
    health = _health(world, record, view)
    serving = operations_verdict.judge(spec, share, health.get(ours), health.get(theirs))
    arms = world.warehouse.arms(spec, record.entered, view.now)
    return replace(view, look=look(spec, arms.get(ours), arms.get(theirs), view.now, share, serving))


def _health(world: RolloutWorld, record: Rollout, view: RolloutView) -> dict[str, Health]:
    """How the endpoint's models serve since the step began. That nobody can say is no verdict: the log decides."""
    if world.metrics is None or record.entered is None:
        return {}
    try:
        return world.metrics.health(view.endpoint.name, record.entered, view.now)
    except RetrainingError:
        return {}


# What a rollout does ---------------------------------------------------------------------


def perform(
    world: RolloutWorld, spec: ModelSpec, record: Rollout, version: str, view: RolloutView, step: Step
) -> bool:
    """Perform one step; False when there is nothing more to do now."""
    match step:
        case Rest():
            return _forget(world, spec, record, view)
        case Go(phase, reason, changes, by):
            _go(world, record, version, view, phase, reason, changes, by)
        case Note(changes, last):
            _write(world, "note", record.but(**changes), version)
            return not last
        case Traffic(split):
            _set_traffic(world, record, view.endpoint, split)
        case Undeploy(deployed_id):
            world.effect("undeploy", lambda: world.endpoints.undeploy(spec.endpoint, deployed_id))
            _audit(world, record, "undeployed", deployed_id=deployed_id)
        case Upload():
            if (instead := _upload(world, spec, record, version)) is not None:
                return perform(world, spec, record, version, view, instead)
        case Deploy():
            _deploy(world, spec, record, version)
        case Finish(result, reason):
            _finish(world, record, version, view, result, reason)
    return True


def _forget(world: RolloutWorld, spec: ModelSpec, record: Rollout, view: RolloutView) -> bool:
    """Remove the markers of rollouts that ended a while ago, so that the next tick does not come for nothing."""
    settled = record.entered is None or view.now > record.entered + aftermath(spec)
    if record.phase is Phase.IDLE and record.ask is None and settled:
        for path in world.store.list(f"rolling/{record.endpoint}/"):
            number = path.rsplit("/", 1)[-1].removesuffix(".json")
            if number.isdecimal() and int(number) <= record.sequence:
                world.effect("unmark rollout", lambda path=path: world.store.delete(path))  # type: ignore[misc]
    return False


def _write(world: RolloutWorld, why: str, record: Rollout, version: str) -> None:
    put(world.store, world.effect, why, names.rollout_path(record.endpoint), record, version)


def _audit(world: RolloutWorld, record: Rollout, what: str, **details: str) -> None:
    run = record.challenger or record.champion
    record_event(world.store, world.now(), what, record.model, run.run_id if run else "", **details)


def _go(
    world: RolloutWorld,
    record: Rollout,
    version: str,
    view: RolloutView,
    phase: Phase,
    reason: str,
    changes: dict[str, Any],
    by: str,
) -> None:
    if phase is Phase.REGISTERING:
        changes = _begin(world, record, changes)
    after = record.move(phase, reason, view.now, by, **changes)
    _write(world, f"move to {phase.value}", after, version)
    _audit(world, after, f"rollout {phase.value}", reason=reason, by=by, split=json.dumps(view.endpoint.split))


def _begin(world: RolloutWorld, record: Rollout, changes: dict[str, Any]) -> dict[str, Any]:
    """Mark the rollout before its record says that it is under way, and give the challenger its id."""
    sequence = changes["sequence"]
    challenger: Serving = changes["challenger"]
    deployed = names.deployed_id(challenger.run_id, sequence)
    path = names.rolling_path(record.endpoint, sequence)
    with suppress(Exists):  # an earlier pass, or the person who asked, has marked it
        world.effect("mark rollout", lambda: world.store.create(path, f'{{"run_id": "{challenger.run_id}"}}'))
    ids = (*record.retired, deployed)
    return {**changes, "challenger": challenger.but(deployed_id=deployed), "retired": ids[-20:]}


def _set_traffic(world: RolloutWorld, record: Rollout, endpoint: EndpointView, split: dict[str, int]) -> None:
    world.effect("set traffic", lambda: world.endpoints.set_traffic(record.endpoint, split, endpoint.etag))
    _audit(world, record, "traffic set", before=json.dumps(endpoint.split), after=json.dumps(split))


def _upload(world: RolloutWorld, spec: ModelSpec, record: Rollout, version: str) -> Step | None:
    """Register the challenger, if it is what was evaluated; else the step that ends the rollout instead."""
    assert record.challenger is not None
    run_id = record.challenger.run_id
    try:
        verify(world.artifacts, world.settings.artifact_bucket, run_id, record.challenger.digest)
    except Permanent as error:
        _audit(world, record, "model refused", reason=str(error)[:500])
        return give_up(record, str(error)[:500])
    planner = Planner(world.settings, spec)
    plan = VersionPlan(
        model=spec.name,
        alias=names.version_alias(run_id),
        artifact_uri=f"{planner.artifacts(run_id)}/model",
        image=world.settings.trainer_image,
        command=("python", "-m", "trainer.serve"),
        args=(f"--digest={record.challenger.digest}",),
        labels={"run_id": names.label(run_id), "model": spec.name, "spec": spec.digest},
        description=record.reason[:500],
    )
    operation = str(world.effect("upload model", lambda: world.registry.upload(plan)))
    _write(world, "note upload", record.but(operation=operation), version)
    return None


def _deploy(world: RolloutWorld, spec: ModelSpec, record: Rollout, version: str) -> None:
    assert record.challenger is not None
    plan = DeployPlan(
        endpoint=spec.endpoint,
        deployed_id=record.challenger.deployed_id,
        version=record.challenger.version,
        display_name=record.challenger.run_id,
        machine=spec.machines.serving,
        account=world.settings.server_account,
    )
    try:
        operation = str(world.effect("deploy model", lambda: world.endpoints.deploy(plan)))
    except Exists:
        operation = ""  # it is there, or on its way: the next look will tell
    after = record.but(operation=operation, attempts=record.attempts + 1)
    _write(world, "note deploy", after, version)
    _audit(world, record, "deploy started", deployed_id=plan.deployed_id, version=plan.version)


def _previous(record: Rollout) -> Serving | None:
    """Where a later rollback returns to: the champion before, unless it was itself just taken back."""
    return None if record.restoring else record.champion


def _finish(
    world: RolloutWorld, record: Rollout, version: str, view: RolloutView, result: str, reason: str
) -> None:
    """The outcome first: once the record is idle nobody would write it."""
    assert record.challenger is not None
    run_id = record.challenger.run_id
    outcome = Outcome.model_validate({"run_id": run_id, "result": result, "reason": reason, "at": view.now})
    if not record.restoring:
        body = outcome.to_json()
        with suppress(Exists):  # an earlier pass wrote it and stopped before the record followed
            world.effect("write outcome", lambda: world.store.create(names.outcome_path(run_id), body))
        queued = names.candidate_path(record.endpoint, run_id)
        world.effect("drop candidate", lambda: world.store.delete(queued))
    promoted = result == "promoted"
    after = record.but(
        champion=record.challenger if promoted else record.champion,
        previous=_previous(record) if promoted else record.previous,
        challenger=None,
        confirmed=dict(view.endpoint.split),
        operation="",
        restoring=False,
    )
    split = {"split": json.dumps(view.endpoint.split)}
    moved = after.move(Phase.IDLE, f"{result}: {reason}", view.now)
    _write(world, "end rollout", moved, version)
    record_event(world.store, view.now, f"rollout {result}", record.model, run_id, reason=reason, **split)
