"""``python -m benchmarks.replay``: how long a year of daily windows with 30 features takes to be judged again.

Prints one JSON line: CPU seconds of judging alone, from counts in memory; and whether the replay says the same as
the monitor's own pass, day by day, over the same windows.
"""

import argparse
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.meter import measured
from monitoring.baseline import Definition, Definitions
from monitoring.counts import Counts
from monitoring.log import Windows
from monitoring.looking import advance
from monitoring.records import Watch
from monitoring.replay import replay
from monitoring.verdict import Judged
from retraining.modelfile import load_models
from retraining.modelspec import ModelSpec

FIRST = datetime(2025, 1, 6, tzinfo=UTC)  # a Monday
CELLS, ROWS = 20, 10_000
PAIRED = 10  # features of which every pair is watched
WEEKLY, JITTER = 0.15, 0.03  # standard deviations


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Judge a year of stored counts again, and say how long it took.")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--features", type=int, default=30)
    parser.add_argument("--rows", type=int, default=ROWS, help="a day")
    parser.add_argument("--pairs", action="store_true", help="watch the 45 pairs of the first ten features, too")
    parser.add_argument("--compare", action="store_true", help="judge day by day as the monitor does, and compare")
    asked = parser.parse_args()
    spec = load_models(Path("models"))["flights"]
    definitions, windows = year(asked.days, asked.features, asked.rows, pairs=asked.pairs)
    end = FIRST + timedelta(days=asked.days)
    with measured() as meter:
        told = replay(spec, definitions, windows, FIRST, end)
    line: dict[str, object] = {
        "windows": len(windows),
        "features": asked.features,
        "pairs": len(definitions.features) - asked.features,
        "cpu_seconds": round(meter.cpu, 2),
        "judged": len(told.verdicts),
        "incidents": len(told.incidents),
    }
    if asked.compare:
        with measured() as slow:
            other = day_by_day(spec, definitions, windows, end)
        line |= {
            "same": [_told(one) for one in other] == [_told(one) for one in told.verdicts],
            "day_by_day_cpu_seconds": round(slow.cpu, 2),
        }
    print(json.dumps(line))


def day_by_day(spec: ModelSpec, definitions: Definitions, windows: Windows, end: datetime) -> list[Judged]:
    """What the monitor concludes when it looks once a day."""
    watch = Watch(model=spec.name, run_id="run-1", deployed_id="1", since=FIRST, judged_until=FIRST)
    found: list[Judged] = []
    at = FIRST
    while at < end:
        at += timedelta(days=1)
        watch, verdicts = advance(spec, definitions, watch, windows, at, muted=False)
        found += verdicts
    return found


def _told(judged: Judged) -> tuple[object, ...]:
    return judged.start, judged.kind, tuple((one.feature, one.component, one.effect) for one in judged.flagged)


def year(
    days: int, features: int, rows: int = ROWS, seed: int = 1, *, pairs: bool = False
) -> tuple[Definitions, Windows]:
    """Counts of ``features`` numbers with a weekly season and daily jitter; the first moves for good after 250
    days, the second is missing for a week."""
    random = np.random.default_rng(seed)
    names = [f"f{number:02d}" for number in range(features)]
    edges = np.quantile(random.standard_normal(200_000), np.linspace(0, 1, CELLS + 1)[1:-1])
    training = Counts(20_000, 400, 0, 0, 1, 1, (980,) * CELLS)
    defined = {name: Definition(name, "numeric", training, tuple(edges), low=-4.0, high=4.0) for name in names}
    paired = [_pair(a, b) for a, b in combinations(names[:PAIRED], 2)] if pairs else []
    windows: Windows = {}
    for day in range(days):
        weekend = WEEKLY * (day % 7 >= 5)
        shifts = weekend + JITTER * random.standard_normal(features)
        shifts[0] += 0.4 * (day >= 250)
        found, cells = {}, {}
        for place, name in enumerate(names):
            missing = 0.2 if place == 1 and 150 <= day < 157 else 0.02
            null = int(random.binomial(rows, missing))
            values = random.standard_normal(rows - null) + shifts[place]
            cells[name] = np.searchsorted(edges, values, side="right")
            held = np.bincount(cells[name], minlength=CELLS)
            found[name] = Counts(rows, null, 0, 0, 0, 0, tuple(int(n) for n in held), float(values.sum()))
        found |= {one.name: _together(one, cells, rows) for one in paired}
        windows[FIRST + timedelta(days=day)] = found
    return Definitions("run-1", defined | {one.name: one for one in paired}), windows


def _pair(a: str, b: str) -> Definition:
    """Two features that have nothing to do with each other."""
    quarters = tuple(4 * cell // CELLS for cell in range(CELLS))
    training = Counts(20_000, 800, 0, 0, 0, 0, (1200,) * 16)
    return Definition(f"{a} × {b}", "pair", training, of=(a, b), quarters=(quarters, quarters))


def _together(pair: Definition, cells: Mapping[str, NDArray[np.intp]], rows: int) -> Counts:
    """The rows in which both have a value, by the quarters that these lie in."""
    first, second = (cells[name] for name in pair.of or ())
    both = min(len(first), len(second))
    held = np.bincount(4 * (4 * first[:both] // CELLS) + 4 * second[:both] // CELLS, minlength=16)
    return Counts(rows, rows - both, 0, 0, 0, 0, tuple(int(n) for n in held))


if __name__ == "__main__":
    main()
