"""The engine of runs: read the record and the world, ask ``next_step``, perform that one step, again.

Every event and every tick ends here, so a lost, doubled or late event changes when things happen and never what.
"""

from collections.abc import Callable
from functools import partial

from retraining import names
from retraining.audit import record_event
from retraining.collect import collect
from retraining.errors import Permanent
from retraining.guard import Guard
from retraining.observe import observe
from retraining.run_effects import EFFECTS
from retraining.run_machine import Do, Move, Wait, next_step
from retraining.state import RunWorld, read_run, write_run

MAX_STEPS = 40  # of one run in one tick; more would starve the others


def tick(world: RunWorld, report: Callable[[str], None] = lambda text: None) -> None:
    """Take in new triggers, then move every run that has not ended as far as it goes now.

    One record's trouble never stops the others: what failed is reported and left to the next tick. Raises an
    ExceptionGroup at the end when something failed that nobody foresaw.
    """
    guard = Guard(report)
    for path in world.store.list("inbox/"):
        if (spec := world.models.get(path.split("/")[1])) is not None:
            guard(path, partial(collect, world, spec, [path]))
    for path in world.store.list("active/"):
        run_id = path.removeprefix("active/").removesuffix(".json")
        guard(run_id, partial(reconcile, world, run_id))
    guard.finish()


def reconcile(world: RunWorld, run_id: str) -> None:
    """Move one run as far as it goes now."""
    intended = ""
    for _ in range(MAX_STEPS):
        after = advance(world, run_id, intended)
        if after is None:
            return
        intended = after


def advance(world: RunWorld, run_id: str, intended: str = "") -> str | None:
    """Move one run by one step. None when there is nothing more to do; else what this pass intends (a job, or
    nothing), to be given to the next step."""
    found = read_run(world.store, run_id)
    if found is None:
        return None  # its marker was written, its record not yet
    run, version = found
    spec = world.models.get(run.model)
    if spec is None:
        raise Permanent(f"run {run_id} is of model {run.model!r}, which has no model file")
    view = observe(world, spec, run, own_intent=bool(intended))
    step = next_step(run, spec, view)
    match step:
        case Wait():
            return None
        case Move(state, reason, changes):
            after = run.but(**changes).move(state, reason, view.now)
            write_run(world, f"move to {state.value}", after, version)
            record_event(world.store, view.now, f"run {state.value}", run.model, run.run_id, reason=reason)
            return ""
        case Do(what, job):
            if what == "close":
                world.effect("close run", lambda: world.store.delete(names.active_path(run.run_id)))
                return None
            EFFECTS[what](world, spec, run, version, view, job)
            return what if what == "intend_job" else ""
