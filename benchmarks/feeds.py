"""Broken feeds told from real shifts: windows with a fault or a change of a known kind, and what the monitor says.

``python -m benchmarks.feeds`` prints the table of confusion. Each trial draws its own features, four weeks of
ordinary days with a weekly season and variation between days, and one window; the call is the one of production.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np

from benchmarks.columns import count_columns, define_columns
from monitoring.arrivals import arrival
from monitoring.baseline import Definitions
from monitoring.counts import Counts
from monitoring.feed import Feed, faults
from monitoring.passes import PIECES

DAY = timedelta(days=1)
START = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday
DAYS = 28
Columns = dict[str, Any]
KINDS: dict[str, Literal["num", "cat"]] = {
    "amount": "num",
    "age": "num",
    "items": "num",
    "wait": "num",
    "carrier": "cat",
    "shop": "cat",
    "member": "cat",
}


@dataclass
class Window:
    """One window before it is counted."""

    columns: Columns
    hours: np.ndarray  # rows of each hour
    repeats: int = 0
    unknown: dict[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Logged rows."""
        return int(self.hours.sum())


@dataclass
class World:
    """Features with a life of their own, from one random seed."""

    random: np.random.Generator
    rows: int = 2000  # on an ordinary weekday
    size: float = 1.0  # of the traffic
    shift: float = 0.0  # standard deviations of amounts and ages
    season: float = 0.0  # standard deviations of everything numeric, slowly
    newcomer: float = 0.0  # share of a carrier that nobody knew

    def __post_init__(self) -> None:
        random = self.random
        self.scale = float(np.exp(random.normal(3, 1)))
        self.carriers = random.dirichlet(np.full(6, 2.0))
        self.shops = random.dirichlet(np.full(80, 0.7))
        self.nulls = float(random.choice([0.0, 0.02, 0.1]))
        self.jitter = float(random.uniform(0.0, 0.15))
        self.weekend = float(random.uniform(0.4, 1.0))
        quiet = float(random.uniform(0.0, 0.9))  # how much less is asked at night
        self.hours = 1 - quiet * np.cos(2 * np.pi * (np.arange(PIECES) - random.integers(PIECES)) / PIECES)

    def draw(self, weekday: int) -> Window:
        """One day."""
        random = self.random
        volume = self.rows * self.size * (self.weekend if weekday > 4 else 1.0)
        rows = int(random.poisson(volume * np.exp(0.1 * random.normal())))
        weekly = 0.3 if weekday > 4 else 0.0
        moved = [self.shift + self.season + weekly + self.jitter * random.normal() for _ in range(4)]
        z = random.normal(size=(4, rows))
        amount = self.scale * np.exp(0.8 * (z[0] + moved[0]))
        age = 40 + 12 * (z[1] + moved[1])
        items = random.poisson(4 * np.exp(0.4 * (self.season + weekly + self.jitter * random.normal())), rows) + 1.0
        wait = np.where(random.random(rows) < 0.4, 0.0, np.exp(1 + 0.5 * (z[3] + moved[3] - self.shift)))
        shares = self.carriers * np.exp(self.jitter * random.normal(size=6))
        names = np.array([f"C{k}" for k in range(6)] + ["NEW"], dtype=object)
        shares = np.append(shares / shares.sum() * (1 - self.newcomer), self.newcomer)
        age[random.random(rows) < self.nulls] = np.nan
        hours = random.multinomial(rows, self.hours / self.hours.sum())
        return Window(
            {
                "amount": amount,
                "age": age,
                "items": items,
                "wait": wait,
                "carrier": random.choice(names, rows, p=shares),
                "shop": random.choice(np.array([f"S{k}" for k in range(80)], dtype=object), rows, p=self.shops),
                "member": random.choice(np.array(["false", "true"], dtype=object), rows, p=[0.7, 0.3]),
            },
            hours,
        )


Change = Callable[[World, Window], Window]


def _keep(window: Window, **columns: Any) -> Window:
    return Window(window.columns | columns, window.hours, window.repeats, window.unknown)


def _scaled(name: str, factor: float, share: float = 1.0) -> Change:
    def change(world: World, window: Window) -> Window:
        values = window.columns[name].copy()
        values[world.random.random(window.rows) < share] *= factor
        return _keep(window, **{name: values})

    return change


def _nulls(world: World, window: Window) -> Window:
    amount = window.columns["amount"].copy()
    amount[world.random.random(window.rows) < 0.2] = np.nan
    return _keep(window, amount=amount)


def _constant(name: str) -> Change:
    def change(world: World, window: Window) -> Window:
        values = window.columns[name].copy()
        values[:] = values[0] if values[0] == values[0] else 40.0
        return _keep(window, **{name: values})

    return change


def _renamed(world: World, window: Window) -> Window:
    usual = [k for k in range(6) if world.carriers[k] > 0.05]
    chosen = f"C{world.random.choice(usual)}"
    values = window.columns["carrier"].copy()
    values[values == chosen] = f"{chosen} GmbH"
    return _keep(window, carrier=values)


def _partly_renamed(world: World, window: Window) -> Window:
    chosen = f"C{int(np.argmax(world.carriers))}"
    values = window.columns["carrier"].copy()
    values[(values == chosen) & (world.random.random(window.rows) < 0.5)] = f"{chosen} GmbH"
    return _keep(window, carrier=values)


def _duplicated(world: World, window: Window) -> Window:
    again = world.random.choice(window.rows, window.rows // 4)
    chosen = np.concatenate([np.arange(window.rows), again])
    columns = {name: values[chosen] for name, values in window.columns.items()}
    hours = world.random.multinomial(len(again), world.hours / world.hours.sum())
    return Window(columns, window.hours + hours, len(again))


def _truncated(world: World, window: Window) -> Window:
    end = world.random.uniform(0.3, 0.8) * PIECES
    hours = world.random.binomial(window.hours, np.clip(end - np.arange(PIECES), 0, 1))
    columns = {name: values[: hours.sum()] for name, values in window.columns.items()}
    return Window(columns, hours)


def _no_rows(world: World, window: Window) -> Window:
    return Window({name: values[:0] for name, values in window.columns.items()}, 0 * window.hours)


def _schema(world: World, window: Window) -> Window:
    gone = {name: np.full(window.rows, np.nan) for name in ("amount", "age", "items", "wait")}
    words = {name: np.full(window.rows, None, dtype=object) for name in ("carrier", "shop", "member")}
    return Window(gone | words, window.hours, unknown={"payload": window.rows})


def _as_it_is(world: World, window: Window) -> Window:
    return window


@dataclass(frozen=True)
class Scenario:
    """One kind of window."""

    is_fault: bool
    change: Change = _as_it_is
    world: Mapping[str, float] = field(default_factory=dict)  # what changes in the world
    slowly: bool = False  # over the four weeks before, and on
    is_clear: bool = True  # counts alone can tell


SCENARIOS: dict[str, Scenario] = {
    "unit error, all rows × 100": Scenario(True, _scaled("amount", 100)),
    "unit error, kilograms as pounds": Scenario(True, _scaled("age", 2.204623)),
    "unit error, hours as minutes": Scenario(True, _scaled("wait", 60)),
    "unit error, 15 % of rows × 1000": Scenario(True, _scaled("amount", 1000, 0.15)),
    "unit error, a count × 10": Scenario(True, _scaled("items", 10)),
    "20 % of an input missing": Scenario(True, _nulls),
    "an input stuck, number": Scenario(True, _constant("age")),
    "an input stuck, category": Scenario(True, _constant("carrier")),
    "a category renamed": Scenario(True, _renamed),
    "a category renamed by half the clients (unclear)": Scenario(True, _partly_renamed, is_clear=False),
    "20 % of rows repeated": Scenario(True, _duplicated),
    "the day cut off": Scenario(True, _truncated),
    "no rows at all": Scenario(True, _no_rows),
    "another version of the schema": Scenario(True, _schema),
    "unit error, miles of a long tail (unclear)": Scenario(True, _scaled("amount", 1.609344), is_clear=False),
    "nothing": Scenario(False),
    "means move by 0.5 sd": Scenario(False, world={"shift": 0.5}),
    "means move by 1 sd": Scenario(False, world={"shift": 1.0}),
    "a new carrier of 10 %": Scenario(False, world={"newcomer": 0.1}),
    "a new carrier grows to 20 %": Scenario(False, world={"newcomer": 0.2}, slowly=True),
    "season, 1 sd in four weeks": Scenario(False, world={"season": 1.0}, slowly=True),
    "traffic doubles": Scenario(False, world={"size": 2.0}),
    "traffic grows ninefold in four weeks": Scenario(False, world={"size": 9.0}, slowly=True),
    "traffic halves": Scenario(False, world={"size": 0.5}),
}


def trial(scenario: Scenario, seed: int) -> tuple[str, ...]:
    """The faults that are seen in one window of this kind; empty when the feed is found sound."""
    world = World(np.random.default_rng(seed))
    definitions = define_columns(world.draw(0).columns | _training(world), KINDS)
    usual = {"shift": 0.0, "season": 0.0, "newcomer": 0.0, "size": 1.0}
    ordinary = []
    for day in range(DAYS):
        if scenario.slowly:
            _move(world, usual, scenario.world, day / DAYS)
        ordinary.append(_feed(definitions, world.draw(day % 7), day))
    _move(world, usual, scenario.world, 1.0)
    window = scenario.change(world, world.draw(DAYS % 7))
    return tuple(one.kind for one in faults(definitions, _feed(definitions, window, DAYS), ordinary, list(KINDS)))


def confusion(trials: int, first: int = 0) -> dict[str, tuple[int, dict[str, int]]]:
    """Scenario → (trials told right, kind of fault → trials in which it was named)."""
    found = {}
    for number, (name, scenario) in enumerate(SCENARIOS.items()):
        right, kinds = 0, dict[str, int]()
        for seed in range(trials):
            told = trial(scenario, first + 1000 * number + seed)
            right += bool(told) is scenario.is_fault
            for kind in set(told):
                kinds[kind] = kinds.get(kind, 0) + 1
        found[name] = (right, kinds)
    return found


def _training(world: World) -> Columns:
    """Two months of rows, all weekdays."""
    days = [world.draw(day).columns for day in range(7)]
    return {name: np.concatenate([one[name] for one in days]) for name in KINDS}


def _move(world: World, usual: Mapping[str, float], target: Mapping[str, float], share: float) -> None:
    for name, value in target.items():
        setattr(world, name, usual[name] + share * (value - usual[name]))


def _feed(definitions: Definitions, window: Window, day: int) -> Feed:
    start = START + day * DAY
    unknown = max(window.unknown.values(), default=0)
    came = Counts(window.rows, 0, 0, window.repeats, 0, unknown, tuple(int(n) for n in window.hours))
    counts = count_columns(definitions, window.columns) if window.rows else {}
    return Feed(start, DAY, counts, arrival(start, DAY, came).but(unknown=window.unknown))


def main() -> int:
    """Print the table."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    print(f"| window, {trials} trials | is | told right | named |\n|---|---|---|---|")
    for name, (right, kinds) in confusion(trials).items():
        is_fault = "fault" if SCENARIOS[name].is_fault else "world"
        named = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items(), key=lambda one: -one[1]))
        print(f"| {name} | {is_fault} | {right / trials:.1%} | {named or '-'} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
