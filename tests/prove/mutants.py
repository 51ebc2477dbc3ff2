"""Do the tests see mistakes? Each mutant is one mistake in a copy of the code, on which its tests must fail.

A test plan that kills no mutant proves nothing. The working tree is never touched; the unmutated copy must pass all
that is asked of the mutants first, or their failing would say nothing either.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.prove.mutations import MUTANTS, Mutant
from tests.prove.report import Part

ROOT = Path(__file__).parents[2]
HOW = "python -m tests.prove.mutants [NAME ...]"
TOGETHER = 2
SECONDS = 300
_HUNT = """
import sys
from tests.prove.search import look
found = look(sys.argv[1], int(sys.argv[2])).result
print(found.broken, *found.story, sep="\\n")
sys.exit(bool(found.broken))
"""
_SKIPPED = shutil.ignore_patterns(
    ".*", "__pycache__", "out", "build", "dist", "docs", "terraform", "*.egg-info", "node_modules", "shared"
)


class Untrue(Exception):
    """A mutant does not fit the code any more."""


def copied(folder: Path) -> Path:
    """A copy of what the tests need."""
    copy = folder / "copy"
    shutil.copytree(ROOT, copy, ignore=_SKIPPED, symlinks=True)
    return copy


def mutated(text: str, mutant: Mutant) -> str:
    """The file's text with the mistake. Raises Untrue."""
    if (count := text.count(mutant.old)) != 1:
        raise Untrue(f"{mutant.name}: {mutant.file}: expected the old text once, found it {count} times")
    return text.replace(mutant.old, mutant.new)


def run(copy: Path, mutant: Mutant) -> subprocess.CompletedProcess[str]:
    """Ask the mutant's tests or its search about this copy."""
    if mutant.search:
        name, states = mutant.search
        return _python(copy, "-c", _HUNT, name, str(states))
    return _pytest(copy, mutant.tests)


def _pytest(copy: Path, tests: Sequence[str]) -> subprocess.CompletedProcess[str]:
    quiet = ("-x", "-q", "-p", "no:cacheprovider", "--no-header", "--durations=0", "--tb=line")
    return _python(copy, "-m", "pytest", *tests, *quiet)


def _python(copy: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *words],
        cwd=copy,
        env={**os.environ, **path},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def unmutated() -> tuple[str, str]:
    """What is wrong with the copy as it is, and how long that took; it must pass all that mutants must fail."""
    begun = time.monotonic()
    searches = sorted({mutant.search for mutant in MUTANTS if mutant.search})
    tests = sorted({test for mutant in MUTANTS for test in mutant.tests})
    with tempfile.TemporaryDirectory() as folder:
        copy = copied(Path(folder))
        runs = [_pytest(copy, tests)]
        runs += [_python(copy, "-c", _HUNT, name, str(states)) for name, states in searches]
    said = next((f"the unmutated copy fails: {done.stdout[-1500:]}" for done in runs if done.returncode), "")
    return said, f"{time.monotonic() - begun:.0f}"


def hunt(mutant: Mutant) -> tuple[tuple[str, ...], str]:
    """The mutant's row, and what is wrong: empty when it was killed."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        copy = copied(Path(folder))
        file = copy / mutant.file
        try:
            file.write_text(mutated(file.read_text(), mutant))
        except Untrue as error:
            return (mutant.name, "the list is not true", ""), str(error)
        done = run(copy, mutant)
    killer, wrong = _killer(mutant, done)
    return (mutant.name, killer or "nobody", f"{time.monotonic() - begun:.0f}"), wrong


def _killer(mutant: Mutant, done: subprocess.CompletedProcess[str]) -> tuple[str, str]:
    """Who saw it. A run that could not even begin is no kill: 1 says that a test failed."""
    if done.returncode == 0:
        return "", f"{mutant.name}: survived in {mutant.file}"
    if done.returncode != 1 or not done.stdout.strip():
        what = mutant.search[0] if mutant.search else " ".join(mutant.tests)
        return "", f"{mutant.name}: {what} did not run: {done.stdout[-800:]}{done.stderr[-800:]}"
    if mutant.search:
        first = done.stdout.strip().splitlines()[0]
        return f"search of {mutant.search[0]}: {first}", ""
    failed = [line.split(" - ")[0].split()[1] for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    return (
        (failed[0].split("/")[-1], "") if failed else ("", f"{mutant.name}: no test failed: {done.stdout[-800:]}")
    )


def hunts(mutants: Sequence[Mutant], *, first: bool = True) -> Part:
    """All of them, two at a time."""
    begun = time.monotonic()
    with ThreadPoolExecutor(TOGETHER) as pool:
        sound = pool.submit(unmutated) if first else None
        found = list(pool.map(hunt, mutants))
    rows, broken = [row for row, _ in found], [wrong for _, wrong in found if wrong]
    if sound is not None:
        said, seconds = sound.result()
        rows.insert(0, ("none: the code as it is", "fails" if said else "passes all of these", seconds))
        broken += [said] if said else []
    killed = len(found) - sum(bool(wrong) for _, wrong in found)
    rows.append((f"{killed} of {len(found)} killed", "", f"{time.monotonic() - begun:.0f}"))
    return Part("Mutants", ("mutant", "killed by", "seconds"), tuple(rows), tuple(broken), HOW)


def proof(deep: bool) -> Part:
    """All mutants, quick or deep."""
    del deep
    return hunts(MUTANTS)


def main(names: list[str]) -> int:
    """Hunt all mutants, or those whose names contain one of the words."""
    chosen = [mutant for mutant in MUTANTS if not names or any(name in mutant.name for name in names)]
    part = hunts(chosen, first=not names)
    print(part.text)
    print(*part.broken, sep="\n\n")
    return int(bool(part.broken))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
