"""Taking in triggers: write the fact down, once, and nothing else.

A trigger first lies in the inbox. The tick claims it for a run (``retraining.collect``) and then takes it out. Both
writes are create-only and keyed by what the trigger means, so a fact that is told again changes nothing.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from retraining import migrations, names
from retraining.audit import record_event
from retraining.errors import BadMessage, Exists
from retraining.modelspec import ModelSpec
from retraining.ports import Clock, Store
from retraining.record import Record
from retraining.triggers import Trigger

Effect = Callable[[str, Callable[[], object]], object]


def direct(name: str, act: Callable[[], object]) -> object:
    """Perform an effect. Tests pass their own, which crash, stall or lose the answer at a named effect."""
    del name
    return act()


@dataclass(frozen=True)
class Intake:
    """What taking in a trigger needs: the records, the model files and the time."""

    models: Mapping[str, ModelSpec]
    store: Store
    now: Clock
    effect: Effect = direct

    def model(self, name: str) -> ModelSpec:
        """The model of this name. Raises BadMessage naming those that exist."""
        if name not in self.models:
            raise BadMessage(f"model: expected one of {sorted(self.models)}, got {name!r:.60}")
        return self.models[name]


class Claim(Record):
    """Which run answers a trigger."""

    format = migrations.CLAIM

    run_id: str
    trigger: Trigger


class Parked(Record):
    """A trigger in the inbox."""

    format = migrations.PARKED

    trigger: Trigger
    received: datetime
    nonce: str


def accept(world: Intake, trigger: Trigger) -> bool:
    """Write a trigger down; False when the same fact was told before. Raises BadMessage for an unknown model."""
    world.model(trigger.model)
    if world.store.read(names.claim_path(trigger.model, trigger.key)) is not None:
        return False
    parked = Parked(trigger=trigger, received=world.now(), nonce=secrets.token_hex(8))
    path = names.inbox_path(trigger.model, trigger.key)
    try:
        world.effect("park trigger", lambda: world.store.create(path, parked.to_json()))
    except Exists:
        return False
    record_event(
        world.store,
        world.now(),
        "trigger accepted",
        trigger.model,
        reason=trigger.reason,
        key=trigger.key,
        kind=trigger.kind.value,
        actor=trigger.actor,
    )
    return True
