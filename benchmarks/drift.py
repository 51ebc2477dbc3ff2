"""How often drift is cried without cause, and how often it is found: ours beside the rules of other tools.

Run ``python -m benchmarks.drift``; it prints Markdown. Every rule sees the same draws (benchmarks.cases) and
runs at its defaults (benchmarks.peers). 30 features share one false-alarm rate, so ours must find one moved
feature among 30. Real days are all flights from New York in 2013, with faults put into half of the copies.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.adapters import drifting_features, is_drift
from benchmarks.cases import (
    BASE,
    CLEAN,
    CORRELATED,
    DRIFTING,
    Array,
    Case,
    Day,
    Kind,
    correlated,
    mixed,
    null_cases,
    power_cases,
    seasonal,
)
from benchmarks.columns import count_columns, define_columns
from benchmarks.peers import Rule as Peer
from benchmarks.peers import rules
from monitoring.judge import Rule, from_training, judge
from monitoring.ordinary import Unit, reference_for

REFERENCE_ROWS = 20_000
FEATURES = 30
NULL_ROWS = (100, 500, 2000, 10_000, 100_000)
MOST_ROWS = 400_000  # of all windows without change of one size: large ones are drawn less often
Row = dict[str, Any]
Change = Callable[[np.random.Generator, Day], Day]


def ours(reference: Array, window: Array, kind: Kind) -> bool:
    """The rule that runs in production, without history."""
    return is_drift(reference, window, kind, {"F": FEATURES})


RULES: Mapping[str, Peer] = {"ours": ours, **rules(FEATURES)}


def flagged(case: Case, trials: int) -> Row:
    """Rule → share of trials in which it flags the case's window."""
    random = np.random.default_rng(20)
    found = dict.fromkeys(RULES, 0)
    for _ in range(trials):
        reference, window = case.usual(random, REFERENCE_ROWS), case.window(random, case.rows)
        for name, rule in RULES.items():
            found[name] += rule(reference, window, case.kind)
    return {"case": case.name, "rows": case.rows, **{name: hits / trials for name, hits in found.items()}}


def alarmed(rows: int, trials: int) -> Row:
    """Windows without any change in which ours flags any of 30 features of all sorts, pairs of them included."""
    random = np.random.default_rng(21)
    draws = mixed()
    kinds = {name: kind for name, (kind, _) in draws.items()}
    windows = max(4, min(5 * trials, MOST_ROWS // rows))
    alarms = 0
    for number in range(windows):
        if number % 10 == 0:
            reference = {name: draw(random, REFERENCE_ROWS) for name, (_, draw) in draws.items()}
            made = define_columns(reference, kinds, paired=True)
        window = count_columns(made, {name: draw(random, rows) for name, (_, draw) in draws.items()})
        alarms += any(finding.flagged for finding in judge(made, window, from_training(made), Rule()))
    return {"rows": rows, "windows": windows, "with an alarm": alarms / windows}


def correlations(rows: int, trials: int) -> Row:
    """Two of ten features begin to hang together; nothing else moves."""
    random = np.random.default_rng(22)
    caught = false = 0
    for _ in range(trials):
        usual = correlated(random, REFERENCE_ROWS, 0.0)
        caught += drifting_features([usual, correlated(random, rows, 0.2)], CORRELATED, 1, [0]) >= {"x0", "x1"}
        false += bool(drifting_features([usual, correlated(random, rows, 0.0)], CORRELATED, 1, [0]))
    return {
        "case": "rho 0 -> .2 among 10 features",
        "rows": rows,
        "trials": trials,
        "caught": caught / trials,
        "false": false / trials,
    }


def season(rows: int, streams: int) -> list[Row]:
    """Weekly season and days that vary: 8 ordinary weeks, 4 clean weeks, then 7 days of drift in two features. The
    other rules compare each day with as many rows of the 8 weeks as a reference has elsewhere."""
    found: dict[str, list[list[set[str]]]] = {name: [] for name in RULES}
    for stream in range(streams):
        days, kinds = seasonal(np.random.default_rng(stream), rows)
        found["ours"].append([drifting_features(days, kinds, d, range(BASE)) for d in range(BASE, len(days))])
        pick = np.random.default_rng(stream)
        usual = {
            name: pick.choice(np.concatenate([day[name] for day in days[:BASE]]), REFERENCE_ROWS) for name in kinds
        }
        for rule in list(RULES)[1:]:
            found[rule].append(
                [{n for n, kind in kinds.items() if RULES[rule](usual[n], day[n], kind)} for day in days[BASE:]]
            )
    return [
        {
            "rule": rule,
            "rows a day": rows,
            "clean days flagged": sum(bool(day) for one in of for day in one[:CLEAN]) / (CLEAN * streams),
            "clean, 2 of 3 days": sum(_persistent(one[:CLEAN]) for one in of) / (CLEAN * streams),
            "+0.3 sd caught": sum("n0" in day for one in of for day in one[CLEAN:]) / (DRIFTING * streams),
            "category x1.6 caught": sum("c0" in day for one in of for day in one[CLEAN:]) / (DRIFTING * streams),
        }
        for rule, of in found.items()
    ]


def _persistent(days: Sequence[set[str]]) -> int:
    return sum(any(day & before for before in days[max(0, n - 2) : n]) for n, day in enumerate(days))


def flights(every: int) -> list[Row]:
    """Days of 2013 from April on, after 56 ordinary days, as they were and with faults, each ``every`` days."""
    from local.data.flights import NEW_YORK, load

    rows = load()
    columns: dict[str, Kind] = {
        "distance": "num",
        "dep_hour": "num",
        "carrier": "cat",
        "origin": "cat",
        "dest": "cat",
    }
    by = rows["departure"].dt.tz_convert(NEW_YORK).dt.date
    days = [{name: day[name].to_numpy() for name in columns} for _, day in rows.groupby(by)][31:]
    random = np.random.default_rng(23)
    clean = [bool(drifting_features(days, columns, d, range(BASE))) for d in range(BASE, len(days))]
    found: list[Row] = [{"fault": "none, any feature", "days": len(clean), "flagged": sum(clean) / len(clean)}]
    faults: dict[str, tuple[str, Change]] = {
        "15 % of distances in km": ("distance", _kilometres),
        "half of the largest carrier renamed": ("carrier", _renamed),
    }
    for name, (feature, change) in faults.items():
        hits = [
            feature in drifting_features([*days[:d], change(random, days[d])], columns, d, range(BASE))
            for d in range(BASE, len(days), every)
        ]
        found.append({"fault": name, "days": len(hits), "flagged": sum(hits) / len(hits)})
    return found


def _kilometres(random: np.random.Generator, day: Day) -> Day:
    miles = day["distance"]
    return day | {"distance": np.where(random.random(len(miles)) < 0.15, miles * 1.609, miles)}


def _renamed(random: np.random.Generator, day: Day) -> Day:
    names, times = np.unique(day["carrier"].astype(str), return_counts=True)
    largest = day["carrier"] == names[times.argmax()]
    return day | {"carrier": np.where(largest & (random.random(len(largest)) < 0.5), "new", day["carrier"])}


def judging() -> Row:
    """CPU milliseconds to learn from 56 days and to judge one, at 30 features; and 45 pairs more."""
    days, kinds = seasonal(np.random.default_rng(1), 5000)
    found: Row = {}
    for paired in (False, True):
        made = define_columns(
            {name: np.concatenate([day[name] for day in days[:BASE]]) for name in kinds}, kinds, paired=paired
        )
        counted = [count_columns(made, day) for day in days]
        history = [Unit(n % 7, counted[n]) for n in range(BASE)]
        times, start = 20, time.process_time()
        for _ in range(times):
            against = reference_for(made, history, 0, 7)
        middle = time.process_time()
        for _ in range(times):
            judge(made, counted[BASE], against, Rule())
        end = time.process_time()
        found["learn with pairs" if paired else "learn"] = 1000 * (middle - start) / times
        found["judge with pairs" if paired else "judge"] = 1000 * (end - middle) / times
    thirty = FEATURES / len(kinds)
    for part in ("learn", "judge"):
        pairs = found[f"{part} with pairs"] - found[part]
        found[part] *= thirty
        found[f"{part} with pairs"] = found[part] + pairs
    return found


def measure(trials: int, *, real: bool) -> dict[str, list[Row]]:
    """All tables."""
    streams = max(2, trials // 10)
    tables = {
        "No drift: share of windows flagged, one feature of 30": [flagged(one, trials) for one in null_cases()],
        "No drift: any of 30 features of all sorts, or of 45 pairs": [alarmed(rows, trials) for rows in NULL_ROWS],
        "Drift: share of windows flagged, one feature of 30": [flagged(one, trials) for one in power_cases()],
        "Association only": [correlations(rows, trials) for rows in (500, 2000, 10_000)],
        "Season and ordinary days": [row for rows in (1000, 10_000) for row in season(rows, streams)],
        "CPU milliseconds for 30 features": [judging()],
    }
    return tables | ({"Flights of 2013": flights(5)} if real else {})


def show(tables: Mapping[str, Sequence[Row]]) -> str:
    """The tables as Markdown."""
    lines: list[str] = []
    for title, rows in tables.items():
        heads = list(rows[0])
        lines += [f"### {title}", "", f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
        lines += [f"| {' | '.join(map(_text, row.values()))} |" for row in rows]
        lines.append("")
    return "\n".join(lines)


def _text(value: object) -> str:
    return (f"{value:.3f}".rstrip("0").rstrip(".") or "0") if isinstance(value, float) else str(value)


def main(arguments: Sequence[str]) -> None:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--trials", type=int, default=40, help="draws per case")
    parser.add_argument("--real", action="store_true", help="also the flights of 2013, which must be installed")
    parser.add_argument("--json", type=Path, help="also write the tables to this file")
    options = parser.parse_args(arguments)
    start = time.process_time()
    tables = measure(options.trials, real=options.real)
    print(show(tables))
    print(f"{options.trials} trials, {time.process_time() - start:.0f} CPU s")
    if options.json:
        options.json.write_text(json.dumps(tables, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
