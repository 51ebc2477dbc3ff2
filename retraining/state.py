"""Reading and writing records, and the world a run lives in."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from retraining import names
from retraining.errors import BadRecord
from retraining.intake import Effect, direct
from retraining.modelspec import ModelSpec
from retraining.ports import Artifacts, Bus, Clock, Jobs, Store, Warehouse
from retraining.record import Record
from retraining.records import ModelState, Money, Run
from retraining.rollouts import Rollout
from retraining.settings import Settings


@dataclass(frozen=True)
class RunWorld:
    """Everything a run's tick may touch. It has no endpoint: who trains cannot deploy."""

    settings: Settings
    models: Mapping[str, ModelSpec]
    store: Store
    jobs: Jobs
    warehouse: Warehouse
    artifacts: Artifacts
    bus: Bus
    now: Clock
    effect: Effect = direct
    unique: Callable[[int], str] = secrets.token_hex  # as many random bytes, as text
    modules: Callable[[], str] = lambda: ""  # digest of the module set for new runs; empty: the image's own code


def read_run(store: Store, run_id: str) -> tuple[Run, str] | None:
    """A run's record and its version, or None."""
    stored = store.read(names.run_path(run_id))
    return None if stored is None else (_own(Run.from_json(stored.body), run_id=run_id), stored.version)


def write_run(world: RunWorld, why: str, run: Run, version: str) -> str:
    """Write the record if nobody else did. Raises Conflict."""
    return _replace(world, why, names.run_path(run.run_id), run, version)


def read_state(store: Store, model: str) -> tuple[ModelState, str]:
    """What is known about a model, and its version; an empty version means it was never written."""
    stored = store.read(names.model_path(model))
    if stored is None:
        return ModelState(model=model), ""
    return _own(ModelState.from_json(stored.body), model=model), stored.version


def write_state(world: RunWorld, why: str, state: ModelState, version: str) -> str:
    """Write the model's state if nobody else did. Raises Conflict."""
    return _replace(world, why, names.model_path(state.model), state, version)


def read_money(store: Store, model: str, at: datetime) -> tuple[Money, str]:
    """The month's budget record and its version; an empty version means it was never written."""
    stored = store.read(names.budget_path(model, at))
    if stored is None:
        return Money(model=model, month=f"{at:%Y%m}"), ""
    return _own(Money.from_json(stored.body), model=model), stored.version


def write_money(world: RunWorld, why: str, money: Money, at: datetime, version: str) -> str:
    """Write the month's budget record if nobody else did. Raises Conflict."""
    return _replace(world, why, names.budget_path(money.model, at), money, version)


def read_rollout(store: Store, endpoint: str, model: str) -> tuple[Rollout, str]:
    """An endpoint's record and its version; an empty version means it was never written."""
    stored = store.read(names.rollout_path(endpoint))
    if stored is None:
        return Rollout(endpoint=endpoint, model=model), ""
    return _own(Rollout.from_json(stored.body), endpoint=endpoint, model=model), stored.version


def _own[R: Record](record: R, **names_it_has: str) -> R:
    """``record``, which must name what its path names: a copied or forged one may act for nobody else.

    Raises BadRecord.
    """
    for field, name in names_it_has.items():
        if getattr(record, field) != name:
            raise BadRecord(
                f"{type(record).__name__}: {field}: expected {name!r}, got {getattr(record, field)!r:.80}"
            )
    return record


def put(store: Store, effect: Effect, why: str, path: str, record: Record, version: str) -> str:
    """Create (empty ``version``) or replace a record under a fresh nonce. Raises Conflict or Exists."""
    body = record.but(nonce=secrets.token_hex(8)).to_json()
    if version:
        return str(effect(why, lambda: store.replace(path, body, version)))
    return str(effect(why, lambda: store.create(path, body)))


def _replace(world: RunWorld, why: str, path: str, record: Record, version: str) -> str:
    return put(world.store, world.effect, why, path, record, version)
