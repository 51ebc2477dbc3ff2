"""Simulated years: everything that can go wrong does, at random and from a seed, and every promise is held after
every tick. Each year is lived twice, with faults and without; what must be equal then is compared.

Promised to be equal, whatever faults come: which facts are answered; how the run of each calm scene ends (it is
known beforehand, see ``scenes``); and at the end who serves, alone. Not promised: times, ids, costs, and how the
runs of wild scenes end, since a moment decides there which facts fall together and what a person finds.
"""

import argparse
import io
import random
import sys
import time
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

from retraining import health, operate
from retraining.errors import RetrainingError
from retraining.modelspec import ModelSpec
from retraining.records import RunState
from retraining.rollouts import Phase
from tests.prove.explore import Violation
from tests.prove.faults import Chance, never
from tests.prove.promises import Watch
from tests.prove.report import Part
from tests.prove.scenes import LENGTH, Act, Scene, Setting, scenes
from tests.prove.world import World
from tests.unit.build import DAY, FLIGHTS, HOUR, trigger

HOW = "python -m tests.prove.simulate --years {years} --seed {seed}"
QUICK_CPU_S, QUICK_YEARS, DEEP_YEARS = 70.0, 20, 1000


@dataclass
class Tally:
    """What some years came to."""

    years: int = 0
    facts: int = 0
    runs: int = 0
    rollouts: int = 0
    ticks: int = 0
    least_ticks: int = 10**9
    troubles: int = 0
    calm: int = 0
    states: dict[str, int] = field(default_factory=dict)
    cpu_s: float = 0.0
    broken: list[str] = field(default_factory=list)


class Year:
    """One year of one world."""

    def __init__(self, seed: int, *, faulty: bool) -> None:
        self.spec, rate = _draw(seed)
        self.rate = rate if faulty else 0.0
        self.world = World(seed, Chance(seed, rate) if faulty else never, self.spec, coarse=1 if faulty else 6)
        if faulty:
            self.world.tick_loss, self.world.tick_double = rate, rate
        self.ends: dict[int, RunState] = {}  # of calm scenes
        self._people = random.Random(f"people {seed}")
        self._scenes = scenes(seed)
        self._held_by: object = None

    def live(self) -> None:
        """Let the year pass. Raises Violation."""
        for scene in self._scenes:
            self._play(scene)
        self.world.tell("the year is over; late messages come")
        self.world.run_until(self.world.now + 210 * DAY, lambda: not self.world._events)
        self._rest()
        self.world.watch.at_the_end(self.world.store, self.world.told, self.world.jobs)
        self._only_the_champion()

    def _play(self, scene: Scene) -> None:
        world = self.world
        world.tell(f"--- scene {scene.number}: {scene.theme}")
        self._set(scene.setting)
        begun = world.now
        for told in scene.facts:
            fact = trigger(told.kind, key=told.key, at=begun + told.at, actor="ann", **told.changes)
            for after in (timedelta(), *told.again):
                world.later(told.at + after, lambda fact=fact: world.deliver(fact))  # type: ignore[misc]
        for act in scene.acts:
            world.later(act.at, lambda act=act: self._act(act))  # type: ignore[misc]
        while world.now < begun + LENGTH:
            world.run_until(min(world.now + 6 * HOUR, begun + LENGTH))
            self._daily(scene)
        self._rest()
        if scene.calm:
            self._ended(scene)

    def _rest(self) -> None:
        """Wait until nothing is open."""
        world, until = self.world, self.world.now + Watch.grace(self.spec)
        with suppress(RetrainingError):
            operate.resume(world.store, self.spec, "ann", "the scene is over", world.now)
        while world.open and world.now < until:
            world.run_until(world.now + 6 * HOUR, lambda: not world.open)
            self._daily(None)
        world.watch.require(not world.open, "P7", f"not at rest after {Watch.grace(self.spec)}")
        world.run_until(world.now + DAY)
        runs = health.runs_health(replace(world.runs, store=world.store))
        rollouts = health.rollouts_health(replace(world.rollouts, store=world.store, endpoints=world.endpoints))
        said = f"overdue at rest: {runs.overdue}, {rollouts.overdue}; {rollouts.orphans} orphans"
        world.watch.require(not (runs.overdue or rollouts.overdue or rollouts.orphans), "P7", said)

    def _ended(self, scene: Scene) -> None:
        world = self.world
        key = scene.facts[0].key
        run = world.watch.runs[world.watch.claims[key]]
        self.ends[scene.number] = run.state
        said = f"{key} ended as {run.state.value} ({run.history[-1].reason}), expected {sorted(scene.ends)}"
        world.watch.require(run.state in scene.ends, "P8", said)

    def _only_the_champion(self) -> None:
        record, view = self.world.rollout, self.world.endpoints.view(self.spec.endpoint)
        assert view is not None
        key = self._scenes[-1].facts[0].key
        said = f"{record.champion} is champion, {view.split} of {sorted(view.deployed)}"
        serves = record.champion is not None and record.champion.run_id == self.world.watch.claims[key]
        alone = serves and view.split == {record.champion.deployed_id: 100} and len(view.deployed) == 1
        self.world.watch.require(alone, "P8", said)

    # What is set, and what people do ---------------------------------------------------

    def _set(self, setting: Setting) -> None:
        world = self.world
        world.difference, world.live, world.traffic = setting.difference, setting.live, setting.traffic
        world.feed.broken, world.job_fates = setting.feed, dict(setting.fates)
        world.failing_deploys = setting.failing_deploys

    def _daily(self, scene: Scene | None) -> None:
        """A person comes by: approves what waits, and does something about what is held."""
        world = self.world
        for path in world.store.list("active/"):
            run = world.watch.runs.get(path.removeprefix("active/").removesuffix(".json"))
            if run and run.state is RunState.AWAITING_APPROVAL:
                with suppress(RetrainingError):
                    operate.approve(world.store, run.run_id, "ann", world.now)
        record = world.rollout
        if record.phase is not Phase.HELD or record.ask is not None:
            return
        calm = scene is not None and scene.calm
        first, self._held_by = (
            self._held_by != (record.sequence, record.held_from),
            (record.sequence, record.held_from),
        )
        with suppress(RetrainingError):
            if calm or not first or self._people.random() < 0.5:
                operate.roll_back(world.store, self.spec, "ann", "it is held", world.now)
            else:
                operate.resume(world.store, self.spec, "ann", "go on", world.now)

    def _act(self, act: Act) -> None:
        world, store, spec = self.world, self.world.store, self.spec
        if act.setting is not None:
            self._set(act.setting)
            return
        with suppress(RetrainingError):  # people are refused what makes no sense now
            match act.what:
                case "pause":
                    operate.pause(store, spec.name, "ann", "a holiday", world.now)
                case "resume":
                    operate.resume(store, spec, "ann", "back", world.now)
                case "roll back":
                    operate.roll_back(store, spec, "ann", "I do not like it", world.now)
                case "cancel" | "approve":
                    self._act_on_a_run(act.what)
                case _:
                    self._split_by_hand()

    def _act_on_a_run(self, what: str) -> None:
        world = self.world
        for path in world.store.list("active/"):
            run_id = path.removeprefix("active/").removesuffix(".json")
            with suppress(RetrainingError):
                act = operate.cancel if what == "cancel" else operate.approve
                act(world.store, run_id, "ann", world.now)

    def _split_by_hand(self) -> None:
        world = self.world
        view = world.endpoints.view(self.spec.endpoint)
        assert view is not None
        if len(view.deployed) < 2 or world.rollout.phase not in (Phase.STEP, Phase.FULL):
            return
        share, (one, other) = self._people.randrange(101), sorted(view.deployed)[:2]
        world.tell(f"a person gives {share} % to {one}")
        world.endpoints.by_hand(self.spec.endpoint, {one: share, other: 100 - share})


def _draw(seed: int) -> tuple[ModelSpec, float]:
    """How the model file says it, and how often a call fails, in this year."""
    chance = random.Random(f"year {seed}")
    rollout = {"look_every": 6 * HOUR, "undecided": chance.choice(("roll_back", "roll_back", "hold"))}
    gate = {"approval": chance.random() < 0.25}
    spec = FLIGHTS.model_copy(
        update={
            "rollout": FLIGHTS.rollout.model_copy(update=rollout),
            "gate": FLIGHTS.gate.model_copy(update=gate),
        }
    )
    return spec, 0.01 * 10 ** (chance.random() ** 2)


def year(seed: int, tally: Tally) -> None:
    """Live one year twice and compare. A broken promise goes into the tally."""
    begun = time.process_time()
    lived = []
    for faulty in (False, True):
        one = Year(seed, faulty=faulty)
        lived.append(one)
        try:
            with redirect_stdout(io.StringIO()):  # what the engines log about audit entries that were lost
                one.live()
        except Violation as error:
            tally.broken.append(_story(seed, one, str(error)))
            break
        except Exception as error:  # noqa: BLE001 - a defect of the engines, or of this
            tally.broken.append(_story(seed, one, f"{type(error).__name__}: {error}"))
            break
    else:
        _compare(seed, lived[0], lived[1], tally)
    _count(tally, lived[-1])
    tally.cpu_s += time.process_time() - begun


def _compare(seed: int, twin: Year, faulty: Year, tally: Tally) -> None:
    ours, theirs = set(faulty.world.watch.claims), set(twin.world.watch.claims)
    if ours != theirs:
        tally.broken.append(_story(seed, faulty, f"P8: answered by one twin only: {sorted(ours ^ theirs)[:5]}"))
    settled = {s.number for s in twin._scenes if len(s.ends) == 1}
    for number in sorted(settled):
        if twin.ends[number] is not faulty.ends[number]:
            said = f"P8: scene {number} ended as {faulty.ends[number]}, without faults as {twin.ends[number]}"
            tally.broken.append(_story(seed, faulty, said))
    if any(n > 1 for n in twin.world.watch.launches.values()):
        tally.broken.append(_story(seed, twin, "P1: a job was created twice although nothing went wrong"))


def _count(tally: Tally, one: Year) -> None:
    world = one.world
    tally.years += 1
    tally.facts += len(world.watch.claims)
    tally.runs += len(world.watch.runs)
    tally.rollouts += world.rollout.sequence
    tally.ticks += world.beats
    tally.least_ticks = min(tally.least_ticks, world.beats)
    tally.troubles += world.troubles
    tally.calm += len(one.ends)
    for run in world.watch.runs.values():
        tally.states[run.state.value] = tally.states.get(run.state.value, 0) + 1


def _story(seed: int, one: Year, said: str) -> str:
    rate = f"faults at {one.rate:.1%} of all calls" if one.rate else "no faults"
    lines = "\n".join(f"    {line}" for line in one.world.story)
    return f"{said}\n  seed {seed}, {rate}; again: {HOW.format(years=1, seed=seed)}\n{lines}"


def simulate(years: int, seed: int, cpu_s: float = float("inf")) -> Tally:
    """Live ``years`` years, of the seeds from ``seed`` on, or as many as fit into ``cpu_s``."""
    tally = Tally()
    for number in range(seed, seed + years):
        if tally.cpu_s > cpu_s:
            break
        year(number, tally)
    return tally


def part(tally: Tally, years: int, seed: int) -> Part:
    """The tally as a table."""
    ends = ", ".join(f"{count} {state}" for state, count in sorted(tally.states.items(), key=lambda p: -p[1]))
    rows = (
        ("simulated years, each lived with and without faults", f"{tally.years}"),
        ("times of the schedule, the fewest in a year", f"{tally.ticks:,}, {tally.least_ticks:,}"),
        ("calls and ticks that went wrong", f"{tally.troubles:,}"),
        ("facts answered", f"{tally.facts:,}"),
        ("runs", f"{tally.runs:,}: {ends}"),
        ("rollouts", f"{tally.rollouts:,}"),
        ("runs whose end was known beforehand", f"{tally.calm:,}"),
        ("CPU seconds", f"{tally.cpu_s:.0f}"),
        ("violations", f"{len(tally.broken)}"),
    )
    return Part(
        "Simulated years", ("what", "how much"), rows, tuple(tally.broken), HOW.format(years=years, seed=seed)
    )


def proof(deep: bool) -> Part:
    """Twenty years in a little more than a minute, or a thousand."""
    years = DEEP_YEARS if deep else QUICK_YEARS
    return part(simulate(years, 1, float("inf") if deep else QUICK_CPU_S), years, 1)


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=int, default=QUICK_YEARS)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    found = part(simulate(asked.years, asked.seed), asked.years, asked.seed)
    print(found.text)
    print(*found.broken, sep="\n\n")
    return int(bool(found.broken))


if __name__ == "__main__":
    sys.exit(main())
