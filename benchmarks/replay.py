"""``python -m benchmarks.replay``: how long a year of daily windows with 30 features takes to be judged again.

Prints one JSON line: CPU seconds of judging alone, from counts in memory; and whether the replay says the same as
the monitor's own pass, day by day, over the same windows.
"""

import argparse
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

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
WEEKLY, JITTER = 0.15, 0.03  # standard deviations


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Judge a year of stored counts again, and say how long it took.")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--features", type=int, default=30)
    parser.add_argument("--rows", type=int, default=ROWS, help="a day")
    parser.add_argument("--compare", action="store_true", help="judge day by day as the monitor does, and compare")
    asked = parser.parse_args()
    spec = load_models(Path("models"))["flights"]
    definitions, windows = year(asked.days, asked.features, asked.rows)
    end = FIRST + timedelta(days=asked.days)
    with measured() as meter:
        told = replay(spec, definitions, windows, FIRST, end)
    line: dict[str, object] = {
        "windows": len(windows),
        "features": asked.features,
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


def year(days: int, features: int, rows: int = ROWS, seed: int = 1) -> tuple[Definitions, Windows]:
    """Counts of ``features`` numbers with a weekly season and daily jitter; the first moves for good after 250
    days, the second is missing for a week."""
    random = np.random.default_rng(seed)
    names = [f"f{number:02d}" for number in range(features)]
    edges = np.quantile(random.standard_normal(200_000), np.linspace(0, 1, CELLS + 1)[1:-1])
    training = Counts(20_000, 400, 0, 0, 1, 1, (980,) * CELLS)
    definitions = Definitions(
        "run-1",
        {name: Definition(name, "numeric", training, tuple(edges), low=-4.0, high=4.0) for name in names},
    )
    windows: Windows = {}
    for day in range(days):
        weekend = WEEKLY * (day % 7 >= 5)
        shifts = weekend + JITTER * random.standard_normal(features)
        shifts[0] += 0.4 * (day >= 250)
        found = {}
        for place, name in enumerate(names):
            missing = 0.2 if place == 1 and 150 <= day < 157 else 0.02
            null = int(random.binomial(rows, missing))
            values = random.standard_normal(rows - null) + shifts[place]
            cells = np.bincount(np.searchsorted(edges, values, side="right"), minlength=CELLS)
            found[name] = Counts(rows, null, 0, 0, 0, 0, tuple(int(n) for n in cells), float(values.sum()))
        windows[FIRST + timedelta(days=day)] = found
    return definitions, windows


if __name__ == "__main__":
    main()
