"""T3: every order of a few deliveries, ticks, crashes, lost answers and stale lists, over the real engines.

``python -m tests.prove.search [--deep] [--states N] [--seed N]``
"""

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass

from tests.prove import launch, rollout
from tests.prove.explore import Model, Result, search
from tests.prove.report import Part

QUICK, DEEP = 100_000, 2_500_000
MODELS: dict[str, Callable[[], tuple[Model, dict[str, int]]]] = {
    "a fact, told and retold": lambda: _launch(launch.Bounds()),
    "the same, three deliveries and two crashes": lambda: _launch(launch.Bounds(deliveries=3, crashes=2, losses=0)),
    "a rollout": lambda: _rolling(rollout.Bounds()),
    "the same, deploys fail and harm is seen twice": lambda: _rolling(
        rollout.Bounds(ticks=6, time=2, failures=2, bad_looks=2, losses=0)
    ),
}


@dataclass(frozen=True)
class Found:
    """One search."""

    name: str
    bounds: dict[str, int]
    result: Result
    seconds: float  # of CPU


def _launch(bounds: launch.Bounds) -> tuple[Model, dict[str, int]]:
    return launch.Launch(bounds), asdict(bounds)


def _rolling(bounds: rollout.Bounds) -> tuple[Model, dict[str, int]]:
    return rollout.Rolling(bounds), asdict(bounds)


def look(name: str, states: int, seed: int = 1) -> Found:
    """Search one of ``MODELS``."""
    model, bounds = MODELS[name]()
    began = time.process_time()
    result = search(model, states, seed)
    return Found(name, bounds, result, time.process_time() - began)


def proof(deep: bool, states: int = 0, seed: int = 1) -> Part:
    """See report.Proof. The searches run two at a time."""
    limit = states or (DEEP if deep else QUICK)
    with ProcessPoolExecutor(2) as pool:
        found = list(pool.map(look, MODELS, [limit // 2] * len(MODELS), [seed] * len(MODELS)))
    return Part(
        title="Every order of events",
        header=("what", "bounds", "states", "transitions", "ends", "all seen", "CPU-s", "broken"),
        rows=tuple(_row(one) for one in found),
        broken=tuple(
            f"{one.name}: {one.result.broken}\n" + "\n".join(one.result.story) for one in found if one.result.broken
        ),
        how="python -m tests.prove.search",
    )


def _row(found: Found) -> tuple[str, ...]:
    bounds = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in found.bounds.items())
    result = found.result
    return (
        found.name,
        bounds,
        f"{result.states:,}",
        f"{result.transitions:,}",
        f"{result.ends:,}",
        "yes" if result.complete else "no",
        f"{found.seconds:.0f}",
        "yes" if result.broken else "no",
    )


def main() -> int:
    """Print the table, and the story of what is broken; 1 when something is."""
    parser = argparse.ArgumentParser(prog="python -m tests.prove.search", description=__doc__)
    parser.add_argument("--deep", action="store_true", help=f"{DEEP:,} states of each kind instead of {QUICK:,}")
    parser.add_argument("--states", type=int, default=0, help="so many states of each kind")
    parser.add_argument("--seed", type=int, default=1, help="another seed looks elsewhere first")
    args = parser.parse_args()
    part = proof(args.deep, args.states, args.seed)
    print(part.text)
    for story in part.broken:
        print(f"\n{story}")
    return int(bool(part.broken))


if __name__ == "__main__":
    sys.exit(main())
