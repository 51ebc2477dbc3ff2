"""``make prove``: every proof, its table, and whether all promises held.

``--deep`` takes hours instead of minutes, ``--only NAME`` runs one, ``--write`` puts the tables into
docs/reliability.md. Proofs that only compute run two at a time; those that use both cores, or that say how long
something takes, run alone.
"""

import argparse
import re
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path

from tests.prove.report import Part, Proof

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
TOGETHER = ("crashes", "simulate", "machine", "statistics", "tables")
ALONE = ("search", "mutants", "fuzz", "soak", "scale")
ON_DEMAND = ("error_paths",)  # runs most of the test suite once more
PROOFS = (*TOGETHER, *ALONE, *ON_DEMAND)


def load(name: str) -> Proof:
    """The proof of this name."""
    proof: Proof = import_module(f"tests.prove.{name}").proof
    return proof


def put(text: str, name: str, part: Part) -> str:
    """``text`` with the table of a proof between its marks. Raises ValueError when they are missing."""
    marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not marked.search(text):
        raise ValueError(f"{PAGE.name}: expected the marks of {name}, found none")
    return marked.sub(lambda found: f"{found[1]}\n{part.text}\n\n{found[2]}", text)


def prove(name: str, deep: bool) -> tuple[str, Part, float]:
    """The proof's name, what it has to say, and the seconds it took."""
    began = time.monotonic()
    return name, load(name)(deep), time.monotonic() - began


def outcomes(names: Sequence[str], deep: bool) -> Iterator[tuple[str, Part, float]]:
    """What each proof has to say, as it comes in."""
    run = partial(prove, deep=deep)
    with ProcessPoolExecutor(2) as pool:
        yield from pool.map(run, [name for name in TOGETHER if name in names])
    yield from map(run, [name for name in (*ALONE, *ON_DEMAND) if name in names])


def main() -> int:
    """Run the proofs; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.prove", description=__doc__)
    parser.add_argument("--deep", action="store_true", help="hours instead of minutes")
    parser.add_argument("--only", choices=PROOFS, action="append", help="may be repeated")
    parser.add_argument("--write", action="store_true", help=f"put the tables into docs/{PAGE.name}")
    args = parser.parse_args()
    text, broken = PAGE.read_text(), 0
    chosen = args.only or (PROOFS if args.deep else (*TOGETHER, *ALONE))
    for name, part, seconds in outcomes(chosen, args.deep):
        print(f"\n{part.text}\n\n{name}: {len(part.broken)} broken, {seconds:.0f} s", flush=True)
        for story in part.broken:
            print(f"\n{story}", flush=True)
        broken += len(part.broken)
        text = put(text, name, part)
    if args.write:
        PAGE.write_text(text)
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
