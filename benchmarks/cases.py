"""Draws in which nothing moves, or one thing does: what the drift rules are compared on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Kind = Literal["num", "cat"]
Array = np.ndarray[Any, Any]
Draw = Callable[[np.random.Generator, int], Array]
Day = dict[str, Array]
BASE, CLEAN, DRIFTING = 56, 28, 7  # days of a seasonal stream


@dataclass(frozen=True)
class Case:
    """One kind of change: how the reference is drawn, how the window is, and how many rows that has."""

    name: str
    kind: Kind
    usual: Draw
    window: Draw
    rows: int


def normal(mean: float = 0.0, sd: float = 1.0, missing: float = 0.0) -> Draw:
    """Normal numbers, a share of them missing."""

    def draw(random: np.random.Generator, n: int) -> Array:
        values = random.normal(mean, sd, n)
        values[random.random(n) < missing] = np.nan
        return values

    return draw


def lognormal(factor: float = 1.0) -> Draw:
    """Log-normal numbers times a factor."""
    return lambda random, n: factor * random.lognormal(0, 1, n)


def zero_inflated(shift: float = 0.0) -> Draw:
    """Thirty in a hundred are zero; the rest is log-normal and shifted by so many of its standard deviations."""

    def draw(random: np.random.Generator, n: int) -> Array:
        rest = random.lognormal(0, 0.5, n)
        return np.where(random.random(n) < 0.3, 0.0, rest + shift * 0.604)

    return draw


def discrete(levels: int, wrong: float = 0.0, factor: float = 1.609) -> Draw:
    """Distances of so many routes, some flown more often; a share of rows in kilometres instead of miles."""
    miles = np.random.default_rng(7).choice(np.arange(80, 2800), levels, replace=False).astype(float)
    shares = 1 / np.arange(2, levels + 2)

    def draw(random: np.random.Generator, n: int) -> Array:
        found = random.choice(miles, n, p=shares / shares.sum())
        return np.where(random.random(n) < wrong, found * factor, found)

    return draw


def with_missing(draw: Draw, share: float) -> Draw:
    """The same numbers, a share of them missing."""

    def missing(random: np.random.Generator, n: int) -> Array:
        values = np.asarray(draw(random, n), dtype=np.float64)
        values[random.random(n) < share] = np.nan
        return values

    return missing


def categories(shares: Array) -> Draw:
    """Categories 0, 1, 2... with these shares."""
    return lambda random, n: random.choice(len(shares), n, p=shares / shares.sum())


TEN = np.array([0.3, 0.2, 0.15, 0.1, 0.08, 0.06, 0.05, 0.03, 0.02, 0.01])
THOUSAND = 1 / np.arange(1, 1001)


def mixed() -> Mapping[str, tuple[Kind, Draw]]:
    """Thirty features of all sorts."""
    of: dict[str, tuple[Kind, Draw]] = {
        "normal": ("num", normal()),
        "log-normal": ("num", lognormal()),
        "Pareto": ("num", lambda random, n: random.pareto(1.2, n)),
        "Cauchy": ("num", lambda random, n: random.standard_cauchy(n)),
        "uniform": ("num", lambda random, n: random.random(n)),
        "zero-inflated": ("num", zero_inflated()),
        "nearly all zero": (
            "num",
            lambda random, n: np.where(random.random(n) < 0.98, 0, random.lognormal(0, 1, n)),
        ),
        "few whole numbers": ("num", lambda random, n: random.poisson(3, n)),
        "many whole numbers": ("num", lambda random, n: random.poisson(200, n)),
        "geometric": ("num", lambda random, n: random.geometric(0.02, n)),
        "40 distances": ("num", discrete(40)),
        "200 distances": ("num", discrete(200)),
        "rounded": ("num", lambda random, n: np.round(random.lognormal(3, 1, n))),
        "rare flag": ("num", lambda random, n: (random.random(n) < 0.01).astype(float)),
        "2 % missing": ("num", normal(missing=0.02)),
        "half missing": ("num", with_missing(lognormal(), 0.5)),
        "seldom missing": ("num", with_missing(lambda random, n: random.poisson(8, n), 0.001)),
        "constant": ("num", lambda _, n: np.full(n, 7.0)),
        "yes or no": ("cat", categories(np.array([0.3, 0.7]))),
        "10 categories": ("cat", categories(TEN)),
        "30, one in most rows": ("cat", categories(np.array([0.99, *[0.01 / 29] * 29]))),
        "60 equal": ("cat", categories(np.ones(60))),
        "200 categories": ("cat", categories(THOUSAND[:200])),
        "1000 categories": ("cat", categories(THOUSAND)),
        "1000 equal": ("cat", categories(np.ones(1000))),
        "identifiers": ("cat", lambda random, n: random.integers(0, 100_000, n)),
        "long tail": ("cat", lambda random, n: np.minimum(random.zipf(2.2, n), 50_000)),
    }
    return of | {f"normal {n}": ("num", normal(n, 1 + n)) for n in range(3)}


def correlated(random: np.random.Generator, n: int, rho: float) -> Day:
    """Ten features, the first two of them normal with this correlation; among the others are a skewed one, a count
    and a category."""
    first = random.normal(size=n)
    day: Day = {"x0": first, "x1": rho * first + np.sqrt(1 - rho**2) * random.normal(size=n)}
    day |= {f"x{place}": random.normal(size=n) for place in range(2, 7)}
    return day | {"x7": random.lognormal(size=n), "x8": random.poisson(3, n), "x9": random.choice(10, n, p=TEN)}


CORRELATED: Mapping[str, Kind] = {f"x{place}": "cat" if place == 9 else "num" for place in range(10)}


def _moved(mass: float) -> Array:
    shares = TEN.copy()
    shares[0] -= mass
    shares[3] += mass
    return shares


def null_cases() -> list[Case]:
    """Nothing changes."""
    usual: dict[str, tuple[Kind, Draw]] = {
        "normal": ("num", normal()),
        "log-normal": ("num", lognormal()),
        "10 categories": ("cat", categories(TEN)),
        "1000 categories": ("cat", categories(THOUSAND)),
        "2 % missing": ("num", normal(missing=0.02)),
        "200 distances": ("num", discrete(200)),
    }
    return [
        Case(name, kind, draw, draw, rows)
        for name, (kind, draw) in usual.items()
        for rows in (100, 500, 2000, 10_000)
    ]


def power_cases() -> list[Case]:
    """One feature changes."""
    ten, thousand = categories(TEN), categories(THOUSAND)
    spread = THOUSAND * 0.9
    spread[::2] += 0.1 * THOUSAND.sum() / 500
    return [
        Case("mean +0.05 sd (too small to matter)", "num", normal(), normal(0.05), 100_000),
        Case("mean +0.1 sd (the tolerance)", "num", normal(), normal(0.1), 10_000),
        Case("mean +0.2 sd", "num", normal(), normal(0.2), 500),
        Case("mean +0.2 sd", "num", normal(), normal(0.2), 2000),
        Case("mean +0.5 sd", "num", normal(), normal(0.5), 2000),
        Case("mean +1 sd", "num", normal(), normal(1.0), 2000),
        Case("log-normal x e^0.5", "num", lognormal(), lognormal(1.65), 10_000),
        Case("zero-inflated +0.2 sd of the rest", "num", zero_inflated(), zero_inflated(0.2), 10_000),
        Case("sd x1.25", "num", normal(), normal(sd=1.25), 500),
        Case("sd x1.25", "num", normal(), normal(sd=1.25), 2000),
        Case("5 % of the mass moved", "cat", ten, categories(_moved(0.05)), 2000),
        Case("10 % of the mass moved", "cat", ten, categories(_moved(0.1)), 500),
        Case("1000 categories, 10 % spread", "cat", thousand, categories(spread), 10_000),
        Case("15 % of rows in another unit, 40 values", "num", discrete(40), discrete(40, 0.15), 1000),
        Case("15 % of rows in another unit, 200 values", "num", discrete(200), discrete(200, 0.15), 1000),
        Case("missing 2 % -> 5 %", "num", normal(missing=0.02), normal(missing=0.05), 500),
        Case("missing 2 % -> 5 %", "num", normal(missing=0.02), normal(missing=0.05), 2000),
        Case("missing 2 % -> 20 %", "num", normal(missing=0.02), normal(missing=0.2), 10_000),
        Case("new category 0.5 %", "cat", ten, categories(np.append(TEN, 0.005)), 2000),
        Case("new category 2 %", "cat", ten, categories(np.append(TEN, 0.02)), 2000),
        Case("new category 0.5 %", "cat", ten, categories(np.append(TEN, 0.005)), 100_000),
    ]


def seasonal(random: np.random.Generator, rows: int) -> tuple[list[Day], dict[str, Kind]]:
    """91 days of five numbers and five categories whose level depends on the weekday and varies by the day."""
    kinds: dict[str, Kind] = {f"n{n}": "num" for n in range(5)}
    kinds.update({f"c{n}": "cat" for n in range(5)})
    weekly = {name: random.normal(0, 0.2, 7) for name in kinds}
    usual = {name: np.log(random.dirichlet(np.full(8, 3.0))) for name in kinds}
    tilt = {name: random.normal(0, 1, 8) for name in kinds}
    days = []
    for index in range(BASE + CLEAN + DRIFTING):
        n, drifts = int(rows * random.uniform(0.8, 1.2)), index >= BASE + CLEAN
        day: Day = {}
        for name, kind in kinds.items():
            level = weekly[name][index % 7] + random.normal(0, 0.05)
            if kind == "num":
                day[name] = random.normal(level + 0.3 * (drifts and name == "n0"), 1, n)
            else:
                shares = np.exp(usual[name] + level * tilt[name])
                shares[3] *= 1.6 if drifts and name == "c0" else 1.0
                day[name] = random.choice(8, n, p=shares / shares.sum())
        days.append(day)
    return days, kinds
