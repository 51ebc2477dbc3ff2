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
from tests.prove.explore import Violation
from tests.prove.faults import Chance, never
from tests.prove.people import People
from tests.prove.promises import Watch
from tests.prove.report import Part
from tests.prove.scenes import LENGTH, Scene, scenes
from tests.prove.world import World
from tests.unit.build import DAY, FLIGHTS, HOUR, trigger

HOW = "python -m tests.prove.simulate --years {years} --seed {seed}"
QUICK_YEARS, DEEP_YEARS = 20, 1000


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
        self.people = People(self.world, seed)
        self._scenes = scenes(seed)

    def live(self) -> None:
        """Let the year pass. Raises Violation."""
        for scene in self._scenes:
            self._play(scene)
        self.world.tell("the year is over; late messages come")
        self.world.run_until(self.world.now + 210 * DAY, lambda: not self.world.busy)
        self._rest()
        self.world.watch.at_the_end(self.world.store, self.world.told, self.world.jobs)
        self._only_the_champion()

    def _play(self, scene: Scene) -> None:
        world = self.world
        world.tell(f"--- scene {scene.number}: {scene.theme}")
        world.behave(scene.setting)
        begun = world.now
        for told in scene.facts:
            fact = trigger(told.kind, key=told.key, at=begun + told.at, actor="ann", **told.changes)
            for after in (timedelta(), *told.again):
                world.later(told.at + after, lambda fact=fact: world.deliver(fact))  # type: ignore[misc]
        for act in scene.acts:
            world.later(act.at, lambda act=act: self.people.act(act))  # type: ignore[misc]
        while world.now < begun + LENGTH:
            world.run_until(min(world.now + 6 * HOUR, begun + LENGTH))
            self.people.come_by(calm=scene.calm)
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
            self.people.come_by(calm=False)
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


def simulate(years: int, seed: int) -> Tally:
    """Live ``years`` years, of the seeds from ``seed`` on."""
    tally = Tally()
    for number in range(seed, seed + years):
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
    """Twenty years in about a minute, or a thousand in an hour."""
    years = DEEP_YEARS if deep else QUICK_YEARS
    return part(simulate(years, 1), years, 1)


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
