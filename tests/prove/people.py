"""What people do to the simulated world: by a plan, at any moment, and when something waits for them."""

import random
from contextlib import suppress

from retraining import operate
from retraining.errors import RetrainingError
from retraining.records import RunState
from retraining.rollouts import Phase
from tests.prove.scenes import Act
from tests.prove.world import World


class People:
    """Somebody at the console, and with a hand on the endpoint."""

    def __init__(self, world: World, seed: int) -> None:
        self._world, self._chance = world, random.Random(f"people {seed}")
        self._held: object = None  # the rollout and phase that were held when they came by last

    def come_by(self, *, calm: bool) -> None:
        """Approve what waits, and do something about what is held: in a calm scene, always take it back."""
        world = self._world
        self._to_runs("approve", RunState.AWAITING_APPROVAL)
        record = world.rollout
        if record.phase is not Phase.HELD or record.ask is not None:
            return
        held = (record.sequence, record.held_from)
        first, self._held = self._held != held, held
        with suppress(RetrainingError):
            if calm or not first or self._chance.random() < 0.5:
                operate.roll_back(world.store, world.spec, "ann", "it is held", world.now)
            else:
                operate.resume(world.store, world.spec, "ann", "go on", world.now)

    def act(self, act: Act) -> None:
        """Do one thing, or let the world change. What makes no sense now is refused, and that is all."""
        world, store, spec = self._world, self._world.store, self._world.spec
        if act.setting is not None:
            world.behave(act.setting)
            return
        with suppress(RetrainingError):
            match act.what:
                case "pause":
                    operate.pause(store, spec.name, "ann", "a holiday", world.now)
                case "resume":
                    operate.resume(store, spec, "ann", "back", world.now)
                case "roll back":
                    operate.roll_back(store, spec, "ann", "I do not like it", world.now)
                case "cancel" | "approve":
                    self._to_runs(act.what)
                case _:
                    self._split_by_hand()

    def _to_runs(self, what: str, state: RunState | None = None) -> None:
        world = self._world
        act = operate.cancel if what == "cancel" else operate.approve
        for path in world.store.list("active/"):
            run = world.watch.runs.get(path.removeprefix("active/").removesuffix(".json"))
            if run is not None and state in (None, run.state):
                with suppress(RetrainingError):
                    act(world.store, run.run_id, "ann", world.now)

    def _split_by_hand(self) -> None:
        world = self._world
        view = world.endpoints.view(world.spec.endpoint)
        assert view is not None
        if len(view.deployed) < 2 or world.rollout.phase not in (Phase.STEP, Phase.FULL):
            return
        share, (one, other) = self._chance.randrange(101), sorted(view.deployed)[:2]
        world.tell(f"a person gives {share} % to {one}")
        world.endpoints.by_hand(world.spec.endpoint, {one: share, other: 100 - share})
