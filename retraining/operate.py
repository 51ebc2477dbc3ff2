"""What people may do: pause, resume, approve, cancel, roll back. Each is one compare-and-swap, and in the audit."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from retraining import names
from retraining.audit import record_event
from retraining.errors import Conflict, Exists, Refused
from retraining.intake import direct
from retraining.modelspec import ModelSpec
from retraining.ports import Store
from retraining.record import Record
from retraining.records import Pause, RunState
from retraining.rollouts import Ask, Phase, Rollout
from retraining.state import put, read_rollout, read_run, read_state

ATTEMPTS = 5


def _again[T](act: Callable[[], T]) -> T:
    """Repeat when somebody else wrote first: what a person asked for does not depend on it."""
    for _ in range(ATTEMPTS - 1):
        try:
            return act()
        except Conflict:
            continue
    return act()


def _put(store: Store, path: str, record: Record, version: str) -> None:
    put(store, direct, "operate", path, record, version)


def pause(store: Store, model: str, by: str, reason: str, at: datetime) -> None:
    """No run of this model starts until somebody resumes it. What runs already goes on."""

    def act() -> None:
        state, version = read_state(store, model)
        _put(store, names.model_path(model), state.but(paused=Pause(by=by, reason=reason, at=at)), version)

    _again(act)
    record_event(store, at, "paused", model, by=by, reason=reason)


def resume(store: Store, spec: ModelSpec, by: str, reason: str, at: datetime) -> list[str]:
    """End a pause, and let a held rollout go on; what was done, in words. Raises Refused when there is neither."""

    def unpause() -> bool:
        state, version = read_state(store, spec.name)
        if state.paused is None:
            return False
        _put(store, names.model_path(spec.name), state.but(paused=None), version)
        return True

    def release() -> bool:
        record, version = read_rollout(store, spec.endpoint, spec.name)
        if record.phase is not Phase.HELD:
            return False
        wish = Ask(action="resume", by=by, reason=reason, at=at)
        _put(store, names.rollout_path(spec.endpoint), record.but(ask=wish), version)
        return True

    done = ["the pause is over"] if _again(unpause) else []
    done += ["the held rollout goes on with the next tick"] if _again(release) else []
    if not done:
        raise Refused(f"{spec.name}: expected a pause or a held rollout, found neither")
    record_event(store, at, "resumed", spec.name, by=by, reason=reason)
    return done


def roll_back(store: Store, spec: ModelSpec, by: str, reason: str, at: datetime) -> str:
    """Take back the challenger of an open rollout, or return to the version before the champion.

    Returns what will happen, in words. Raises Refused when there is nothing to return to.
    """

    def act() -> str:
        record, version = read_rollout(store, spec.endpoint, spec.name)
        target = _target(record)
        if record.phase is Phase.IDLE:  # the deployer's tick comes where a marker is
            with suppress(Exists):
                store.create(names.rolling_path(spec.endpoint, record.sequence + 1), "{}")
        wish = Ask(action="roll_back", by=by, reason=reason, at=at)
        _put(store, names.rollout_path(spec.endpoint), record.but(ask=wish), version)
        return target

    target = _again(act)
    record_event(store, at, "rollback asked", spec.name, by=by, reason=reason)
    return target


def _target(record: Rollout) -> str:
    if record.phase is Phase.CLEANUP:
        raise Refused(
            f"{record.endpoint}: the old champion is being taken away; ask again when the rollout is over"
        )
    if record.phase is not Phase.IDLE:
        kept = record.champion.run_id if record.champion else "nothing"
        return f"traffic returns to {kept}"
    if record.previous is None or not record.previous.version:
        raise Refused(f"{record.endpoint}: expected a previous version to return to, found none")
    return f"{record.previous.run_id} is deployed again and takes all traffic"


def approve(store: Store, run_id: str, by: str, at: datetime) -> None:
    """Say yes to a candidate that waits for a person. Raises Refused."""

    def act() -> str:
        found = read_run(store, run_id)
        if found is None:
            raise Refused(f"run {run_id}: there is none of this name")
        run, version = found
        if run.state is not RunState.AWAITING_APPROVAL:
            raise Refused(f"run {run_id}: expected it to await approval, it is {run.state.value}")
        _put(store, names.run_path(run_id), run.but(approved_by=by), version)
        return run.model

    record_event(store, at, "approved", _again(act), run_id, by=by)


def cancel(store: Store, run_id: str, by: str, at: datetime) -> None:
    """Stop a run before its rollout; its jobs are cancelled by the next tick. Raises Refused."""

    def act() -> str:
        found = read_run(store, run_id)
        if found is None:
            raise Refused(f"run {run_id}: there is none of this name")
        run, version = found
        if run.state.ended or run.state is RunState.ROLLING_OUT:
            raise Refused(f"run {run_id}: it is {run.state.value}; what rolls out is taken back with a rollback")
        _put(store, names.run_path(run_id), run.but(cancelled_by=by), version)
        return run.model

    record_event(store, at, "cancel asked", _again(act), run_id, by=by)
