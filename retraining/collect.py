"""From the inbox to a run: each trigger is claimed for one run, once, whatever crashes in between.

The order of writes is what makes it safe. The claim is create-only and names the run, so a repeat follows the first
claim. The run's marker is written before its record, and the trigger leaves the inbox last.
"""

import secrets

from retraining import names
from retraining.audit import record_event
from retraining.errors import Exists
from retraining.intake import Claim, Parked
from retraining.modelspec import ModelSpec
from retraining.records import MAX_CAUSES, Change, Run, RunState
from retraining.state import RunWorld, read_run, read_state, write_run, write_state
from retraining.triggers import Trigger


def collect(world: RunWorld, spec: ModelSpec, paths: list[str]) -> None:
    """Take the triggers at ``paths`` (inbox of one model) into a waiting run. Raises Conflict when racing."""
    for path in paths:
        stored = world.store.read(path)
        if stored is None:
            continue
        trigger = Parked.from_json(stored.body).trigger
        run_id = _claim(world, spec, trigger)
        _join(world, spec, run_id, trigger)
        world.effect("empty inbox", lambda path=path: world.store.delete(path))  # type: ignore[misc]


def _claim(world: RunWorld, spec: ModelSpec, trigger: Trigger) -> str:
    """The run that answers this trigger: the first claim decides for ever."""
    path = names.claim_path(spec.name, trigger.key)
    stored = world.store.read(path)
    if stored is None:
        claim = Claim(run_id=_waiting_run(world, spec, trigger), trigger=trigger)
        try:
            world.effect("claim trigger", lambda: world.store.create(path, claim.to_json()))
            return claim.run_id
        except Exists:
            stored = world.store.read(path)
    assert stored is not None
    return Claim.from_json(stored.body).run_id


def _waiting_run(world: RunWorld, spec: ModelSpec, trigger: Trigger) -> str:
    """The run that is collecting triggers, or a new id for one, written down before anything refers to it."""
    state, version = read_state(world.store, spec.name)
    if state.waiting_run:
        run = read_run(world.store, state.waiting_run)
        if run is None or run[0].state is RunState.WAITING:
            return state.waiting_run
    run_id = names.run_id(spec.name, world.now(), trigger.key + world.unique(2))
    write_state(world, "open run", state.but(waiting_run=run_id), version)
    return run_id


def _join(world: RunWorld, spec: ModelSpec, run_id: str, trigger: Trigger) -> None:
    found = read_run(world.store, run_id)
    if found is None:
        _open(world, spec, run_id, trigger)
        return
    run, version = found
    if any(cause.key == trigger.key for cause in run.causes) or run.state.ended:
        return
    if len(run.causes) >= MAX_CAUSES:
        joined = run.but(more_causes=run.more_causes + 1)
    else:
        joined = run.but(causes=(*run.causes, trigger))
    write_run(world, "join run", joined, version)


def _open(world: RunWorld, spec: ModelSpec, run_id: str, trigger: Trigger) -> None:
    now = world.now()
    run = Run(
        run_id=run_id,
        model=spec.name,
        state=RunState.WAITING,
        opened=now,
        entered=now,
        spec_digest=spec.digest,
        causes=(trigger,),
        history=(Change(at=now, state=RunState.WAITING, reason=trigger.reason),),
        nonce=secrets.token_hex(8),
    )
    marker = f'{{"model": "{spec.name}"}}'
    world.effect("mark run", lambda: world.store.create(names.active_path(run_id), marker))
    world.effect("create run", lambda: world.store.create(names.run_path(run_id), run.to_json()))
    record_event(world.store, now, "run opened", spec.name, run_id, reason=trigger.reason)
