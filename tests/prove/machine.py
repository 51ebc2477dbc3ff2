"""A state machine that Hypothesis drives: any message, time, fault, person and tick in any order, and every promise
held after each step. What breaks one is made as short as it can be.

Where the simulated years go wrong by a rate, here the fault is chosen: which call of a tick, and how. When a story
is over nothing goes wrong any more, and all that is open must come to its end.
"""

import argparse
import io
import sys
import time
from contextlib import redirect_stdout, suppress
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from functions.entries import ON_DATA, ON_DRIFT, ON_MANUAL, ON_SCHEDULE
from functions.message import Entry, receive
from functions.world import World as Functions
from retraining import operate
from retraining.errors import Conflict, RetrainingError, Temporary
from retraining.triggers import Ask, Kind, Trigger
from tests.engine.cloud import SETTINGS
from tests.functions.events import event, published
from tests.prove.faults import LOST, MODES, Crash, possible
from tests.prove.people import People
from tests.prove.promises import Watch
from tests.prove.report import Part
from tests.prove.scenes import PEOPLE, THEMES, Act
from tests.prove.world import Setting, World
from tests.unit.build import DAY, FLIGHTS, HOUR, trigger

HOW = "python -m tests.prove.machine --examples {examples} --seed {seed}"
STEPS, DEEP_EXAMPLES, BATCH = 60, 100_000, 25
QUICK_CPU_S = 60.0
PASSES = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=40), 6 * HOUR, DAY, 3 * DAY)
ENTRIES = (ON_DATA, ON_DRIFT, ON_SCHEDULE, ON_MANUAL)
FACTS = st.builds(
    lambda kind, number, ask, force, dry: (
        kind,
        f"{kind.value}|{number}",
        {"ask": ask, "force": force, "dry_run": dry},
    ),
    st.sampled_from(list(Kind)),
    st.integers(0, 5),
    st.sampled_from(list(Ask)),
    st.booleans(),
    st.integers(0, 9).map(lambda drawn: drawn == 9),
)
FAULTS = st.one_of(st.none(), st.tuples(st.integers(1, 40), st.sampled_from(MODES)))
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(("flights", "tick")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("model", "kind", "action", "x")), inner)
    ),
    max_leaves=8,
)


class Armed:
    """The one fault to come: at the n-th call from now."""

    def __init__(self) -> None:
        self.left, self.mode = 0, ""

    def __call__(self, call: str) -> str:
        """See Fault."""
        self.left -= 1
        if self.left == 0:
            return self.mode if possible(self.mode, call) else LOST
        return ""


class Story(RuleBasedStateMachine):
    """One world, from nothing to rest."""

    def __init__(self) -> None:
        super().__init__()
        self.armed = Armed()
        rollout = FLIGHTS.rollout.model_copy(update={"look_every": 6 * HOUR})
        self.world = World(1, self.armed, FLIGHTS.model_copy(update={"rollout": rollout}))
        self.people = People(self.world, 1)
        self.waiting: list[Trigger] = []  # messages on their way
        self.functions = Functions(
            SETTINGS,
            self.world.intake,
            lambda: self.world.feed,
            run_tick=lambda hint: None,
            candidate_tick=lambda hint: None,
            monitor_tick=lambda hint: None,
        )

    def arm(self, fault: tuple[int, str] | None) -> None:
        """Let the n-th call from now go wrong."""
        self.armed.left, self.armed.mode = fault or (0, "")

    # Messages -------------------------------------------------------------------------

    @rule(fact=FACTS)
    def told(self, fact: tuple[Kind, str, dict[str, Any]]) -> None:
        """A fact is published; its message is on its way. The same one may be published again and again."""
        kind, key, changes = fact
        changes = changes if kind is Kind.MANUAL else {}
        self.waiting.append(trigger(kind, key=key, at=self.world.now, actor="ann", **changes))

    @rule(which=st.integers(0, 99), again=st.booleans(), fault=FAULTS)
    def arrives(self, which: int, again: bool, fault: tuple[int, str] | None) -> None:
        """One of the messages comes, in any order; it may come again."""
        if not self.waiting:
            return
        self.arm(fault)
        fact = self.waiting[which % len(self.waiting)]
        if not again:
            self.waiting.remove(fact)
        self.world.deliver(fact)

    @rule(number=st.integers(0, 3))
    def storm(self, number: int) -> None:
        """Twenty alerts at once."""
        for n in range(20):
            key = f"drift|storm-{number}-{n}"
            self.world.deliver(trigger(Kind.DRIFT, key=key, at=self.world.now))

    @rule(body=JSON | st.binary(max_size=40) | st.text(max_size=40), entry=st.sampled_from(ENTRIES), fault=FAULTS)
    def garbage(self, body: Any, entry: Entry, fault: tuple[int, str] | None) -> None:
        """Anything at all is published. It is put aside, or asked for again while the store is away."""
        self.arm(fault)
        before = set(self.world.watch.parked)
        with suppress(Temporary, Conflict, Crash), redirect_stdout(io.StringIO()):
            receive(event(published(body)), entry, self.functions)
        self.world.told |= self.world.watch.parked - before

    # Time and ticks -------------------------------------------------------------------

    @rule(by=st.sampled_from(PASSES))
    def time_passes(self, by: timedelta) -> None:
        """And every tick in it is lost. Jobs and deploys go on."""
        self.arm(None)
        self.world.pass_time(by)

    @rule(by=st.sampled_from(PASSES[:4]))
    def hours_pass(self, by: timedelta) -> None:
        """With their ticks."""
        self.arm(None)
        self.world.run_until(self.world.now + 4 * by)

    @rule(runs=st.booleans(), rollouts=st.booleans(), fault=FAULTS)
    def tick(self, runs: bool, rollouts: bool, fault: tuple[int, str] | None) -> None:
        """One engine's tick, or both; a call of it may go wrong: it dies, say, or stalls while others tick."""
        self.arm(fault)
        troubles = self.world.troubles
        if runs:
            self.world.run_tick()
        if rollouts:
            self.world.rollout_tick()
        self.arm(None)
        self.world.check(clean=runs and rollouts and self.world.troubles == troubles)

    # The rest of the world ------------------------------------------------------------

    @rule(theme=st.sampled_from(sorted(THEMES)))
    def change(self, theme: str) -> None:
        """From now on jobs fail, a feed is broken, a candidate does harm, nobody asks ..."""
        self.world.behave(THEMES[theme][0])

    @rule(what=st.sampled_from(PEOPLE))
    def person(self, what: str) -> None:
        """Somebody does something, whatever makes sense."""
        self.people.act(Act(timedelta(), what))

    @invariant()
    def promises(self) -> None:
        """What holds between any two steps."""
        self.world.check(clean=False)

    def teardown(self) -> None:
        """From here on all goes well: everything comes to its end."""
        self.arm(None)
        world, until = self.world, self.world.now + 2 * Watch.grace(self.world.spec)
        world.behave(Setting())
        for fact in self.waiting:
            world.deliver(fact)
        with suppress(RetrainingError):
            operate.resume(world.store, world.spec, "ann", "the story is over", world.now)
        while (world.open or world.busy) and world.now < until:
            world.run_until(world.now + 6 * HOUR, lambda: not (world.open or world.busy))
            self.people.come_by(calm=False)
        world.watch.require(not world.open, "P7", f"not at rest: {list(world.story)[-5:]}")
        world.watch.at_the_end(world.store, world.told, world.jobs)
        world.check(clean=True)


def tell(examples: int, number: int = 1, steps: int = STEPS) -> None:
    """Tell so many stories of so many steps. Raises what Hypothesis found, with its shortest story."""
    run_state_machine_as_test(
        seed(number)(type("Seeded", (Story,), {})),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


def proof(deep: bool) -> Part:
    """As many stories as fit into a minute, or a hundred thousand."""
    return tally(DEEP_EXAMPLES, 1, float("inf") if deep else QUICK_CPU_S)


def tally(examples: int, number: int, cpu_s: float = float("inf")) -> Part:
    """Tell stories in small batches, each from a seed of its own, until there are enough or the time is over."""
    broken: list[str] = []
    begun, told = time.process_time(), 0
    while told < examples and time.process_time() - begun < cpu_s and not broken:
        try:
            with redirect_stdout(io.StringIO()):
                tell(min(BATCH, examples - told), number)
        except Exception as error:  # noqa: BLE001 - whatever broke is the finding
            notes = "\n".join(getattr(error, "__notes__", ()))
            broken.append(
                f"{type(error).__name__}: {error}\n{notes}\nagain: {HOW.format(examples=BATCH, seed=number)}"
            )
        told, number = told + min(BATCH, examples - told), number + 1
    seconds = time.process_time() - begun
    row = (f"{told:,}", str(STEPS), f"{seconds:.0f}", str(len(broken)))
    header = ("stories", "steps of each, at most", "CPU seconds", "violations")
    return Part("Any step after any other", header, (row,), tuple(broken), HOW.format(examples=told, seed=1))


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    found = tally(asked.examples, asked.seed)
    print(found.text)
    print(*found.broken, sep="\n\n")
    return int(bool(found.broken))


if __name__ == "__main__":
    sys.exit(main())
