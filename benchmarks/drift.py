"""How often drift is cried without cause, and how often it is found: ours beside the rules of three other
tools.

Run ``python -m benchmarks.drift``. Every rule sees the same draws. 30 features share one false-alarm rate, so
ours must find one moved feature among 30. The others are re-implemented from their documentation: Vertex AI
Model Monitoring (Jensen-Shannon divergence on ten equal bins, L-infinity for categories, both over 0.3), PSI
over 0.2 on ten quantile bins, and the Kolmogorov-Smirnov or chi-squared test at 5 %.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.adapters import Kind, count, define_columns, drifting_features, is_drift
from monitoring.judge import Rule, from_training, judge
from monitoring.ordinary import Unit, reference_for

Array = np.ndarray[Any, Any]
Draw = Callable[[np.random.Generator, int], Array]
REFERENCE_ROWS = 20_000
FEATURES = 30


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


def categories(shares: Array) -> Draw:
    """Categories 0, 1, 2... with these shares."""
    return lambda random, n: random.choice(len(shares), n, p=shares / shares.sum())


TEN = np.array([0.3, 0.2, 0.15, 0.1, 0.08, 0.06, 0.05, 0.03, 0.02, 0.01])
THOUSAND = 1 / np.arange(1, 1001)


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
        Case("missing 2 % -> 5 %", "num", normal(missing=0.02), normal(missing=0.05), 500),
        Case("missing 2 % -> 5 %", "num", normal(missing=0.02), normal(missing=0.05), 2000),
        Case("missing 2 % -> 20 %", "num", normal(missing=0.02), normal(missing=0.2), 10_000),
        Case("new category 0.5 %", "cat", ten, categories(np.append(TEN, 0.005)), 2000),
        Case("new category 2 %", "cat", ten, categories(np.append(TEN, 0.02)), 2000),
        Case("new category 0.5 %", "cat", ten, categories(np.append(TEN, 0.005)), 100_000),
    ]


def ours(reference: Array, window: Array, kind: Kind) -> bool:
    """The rule that runs in production, without history."""
    return is_drift(reference, window, kind, {"F": FEATURES})


def vertex(reference: Array, window: Array, kind: Kind) -> bool:
    """Vertex AI Model Monitoring's default."""
    p, q = _shares(reference, window, kind, equal_width=True)
    if kind == "cat":
        return bool(np.abs(p - q).max() > 0.3)
    middle = (p + q) / 2
    return bool((stats.entropy(p, middle, base=2) + stats.entropy(q, middle, base=2)) / 2 > 0.3)


def psi(reference: Array, window: Array, kind: Kind) -> bool:
    """The population stability index over 0.2."""
    p, q = (np.maximum(share, 1e-4) for share in _shares(reference, window, kind, equal_width=False))
    return bool(np.sum((p - q) * np.log(p / q)) > 0.2)


def p_value(reference: Array, window: Array, kind: Kind) -> bool:
    """Kolmogorov-Smirnov or chi-squared at 5 %, as many tools default to."""
    if kind == "num":
        return bool(stats.ks_2samp(_present(reference), _present(window), method="asymp").pvalue < 0.05)
    table = np.array(
        [np.bincount(one, minlength=max(reference.max(), window.max()) + 1) for one in (reference, window)]
    )
    return bool(stats.chi2_contingency(table[:, table.sum(0) > 0]).pvalue < 0.05)


RULES = {"ours": ours, "Vertex 0.3": vertex, "PSI 0.2": psi, "p < .05": p_value}


def _shares(reference: Array, window: Array, kind: Kind, *, equal_width: bool) -> tuple[Array, Array]:
    if kind == "cat":
        size = max(reference.max(), window.max()) + 1
        counts = [np.bincount(one, minlength=size) for one in (reference, window)]
    else:
        a, b = _present(reference), _present(window)
        both = np.concatenate([a, b])
        edges = (
            np.linspace(both.min(), both.max(), 11)[1:-1]
            if equal_width
            else np.unique(np.quantile(a, np.linspace(0, 1, 11)[1:-1]))
        )
        size = len(edges) + 1
        counts = [np.bincount(np.searchsorted(edges, one, side="right"), minlength=size) for one in (a, b)]
    return counts[0] / counts[0].sum(), counts[1] / counts[1].sum()


def _present(values: Array) -> Array:
    return values[~np.isnan(values)]


def flagged(case: Case, trials: int) -> dict[str, float]:
    """Rule → share of trials in which it flags the case's window."""
    random = np.random.default_rng(20)
    found = dict.fromkeys(RULES, 0)
    for _ in range(trials):
        reference, window = case.usual(random, REFERENCE_ROWS), case.window(random, case.rows)
        for name, rule in RULES.items():
            found[name] += rule(reference, window, case.kind)
    return {name: hits / trials for name, hits in found.items()}


def windows_alarmed(rows: int, windows: int) -> float:
    """Share of windows without any change in which ours flags any of 30 features."""
    random = np.random.default_rng(21)
    kinds: dict[str, Kind] = {f"f{n}": "cat" if n % 3 == 2 else "num" for n in range(FEATURES)}
    draw = {"num": normal(missing=0.02), "cat": categories(TEN)}
    made = define_columns({name: draw[kind](random, REFERENCE_ROWS) for name, kind in kinds.items()}, kinds)
    alarms = 0
    for _ in range(windows):
        window = {name: count(one, draw[kinds[name]](random, rows)) for name, one in made.features.items()}
        alarms += any(finding.flagged for finding in judge(made, window, from_training(made), Rule()))
    return alarms / windows


def season(rows: int, streams: int) -> dict[str, float]:
    """Weekly season and days that vary: 8 ordinary weeks, 4 clean weeks, then 7 days of drift in two features."""
    clean = clean_days = number = category = drift_days = persistent = 0
    for stream in range(streams):
        days, kinds = seasonal(np.random.default_rng(stream), rows)
        found = [drifting_features(days, kinds, d, range(56)) for d in range(56, 91)]
        clean_days += 28
        clean += sum(map(bool, found[:28]))
        persistent += sum(
            bool(found[d] and any(found[d] & found[e] for e in (d - 1, d - 2) if e >= 0)) for d in range(28)
        )
        drift_days += 7
        number += sum("n0" in names for names in found[28:])
        category += sum("c0" in names for names in found[28:])
    return {
        "clean days flagged": clean / clean_days,
        "clean days flagged, 2 of 3": persistent / clean_days,
        "drift days caught, +0.3 sd": number / drift_days,
        "drift days caught, category x1.6": category / drift_days,
    }


def seasonal(random: np.random.Generator, rows: int) -> tuple[list[dict[str, Array]], dict[str, Kind]]:
    """91 days of five numbers and five categories whose level depends on the weekday and varies by the day."""
    kinds: dict[str, Kind] = {f"n{n}": "num" for n in range(5)} | {f"c{n}": "cat" for n in range(5)}  # type: ignore[dict-item]
    weekly = {name: random.normal(0, 0.2, 7) for name in kinds}
    usual = {name: np.log(random.dirichlet(np.full(8, 3.0))) for name in kinds}
    tilt = {name: random.normal(0, 1, 8) for name in kinds}
    days = []
    for index in range(91):
        n, drifts, day = int(rows * random.uniform(0.8, 1.2)), index >= 84, {}
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


def judging_ms() -> dict[str, float]:
    """CPU milliseconds to learn from 56 days and to judge one, at 30 features."""
    days, kinds = seasonal(np.random.default_rng(1), 5000)
    made = define_columns({name: np.concatenate([d[name] for d in days[:56]]) for name in kinds}, kinds)
    counted = [{name: count(one, day[name]) for name, one in made.features.items()} for day in days]
    history = [Unit(n % 7, counted[n]) for n in range(56)]
    times = 20
    start = time.process_time()
    for _ in range(times):
        against = reference_for(made, history, 0, 7)
    middle = time.process_time()
    for _ in range(times):
        judge(made, counted[56], against, Rule())
    end = time.process_time()
    scale = 1000 * FEATURES / len(kinds) / times
    return {"learn": (middle - start) * scale, "judge": (end - middle) * scale}


def measure(trials: int) -> dict[str, Any]:
    """All tables."""
    start = time.process_time()
    return {
        "trials": trials,
        "no drift": [{"case": c.name, "rows": c.rows, **flagged(c, trials)} for c in null_cases()],
        "no drift, any of 30 features": [
            {"rows": rows, "ours": windows_alarmed(rows, 5 * trials)} for rows in (100, 500, 2000, 10_000)
        ],
        "drift": [{"case": c.name, "rows": c.rows, **flagged(c, trials)} for c in power_cases()],
        "season": [{"rows a day": rows, **season(rows, max(2, trials // 8))} for rows in (1000, 10_000)],
        "CPU ms for 30 features": [judging_ms()],
        "CPU s": round(time.process_time() - start, 1),
    }


def show(tables: Mapping[str, Any]) -> None:
    """Print the tables."""
    for title, rows in tables.items():
        if isinstance(rows, list):
            print(f"\n{title}")
            _table(rows)
        else:
            print(f"\n{title}: {rows}")


def _table(rows: Sequence[Mapping[str, Any]]) -> None:
    texts = [
        [f"{v:.3f}".rstrip("0").rstrip(".") if isinstance(v, float) else str(v) for v in row.values()]
        for row in rows
    ]
    heads = list(rows[0])
    widths = [max(map(len, column)) for column in zip(heads, *texts, strict=True)]
    for line in [heads, *texts]:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def main(arguments: Sequence[str]) -> None:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--trials", type=int, default=40, help="draws per case")
    parser.add_argument("--json", type=Path, help="also write the tables to this file")
    options = parser.parse_args(arguments)
    tables = measure(options.trials)
    show(tables)
    if options.json:
        options.json.write_text(json.dumps(tables, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
