"""Which handlers of errors no test has ever entered, and which branches of the engines no test has ever taken.

Wrong handling of errors that were signalled is behind nearly every catastrophic failure of distributed systems
(Yuan et al., "Simple testing can prevent most critical failures", OSDI 2014). So every ``except`` of what is
deployed must have run in some test, and the engines must have no branch that none takes. What is left has its
reason here.
"""

import ast
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.prove.report import Part

HOW = "python -m tests.prove.error_paths"
ROOT = Path(__file__).parents[2]
PACKAGES = ("retraining", "functions", "gcp", "monitoring")
SUITES = (
    "unit",
    "engine",
    "functions",
    "gcp",
    "contract",
    "messages",
    "monitoring",
    "story",
    "upgrade",
    "security",
    "doctor",
    "delivery/test_following.py",
    "delivery/test_modules.py",
    "delivery/test_bucket.py",
)
ENGINES = (
    "collect",
    "guard",
    "job_machine",
    "observe",
    "rollout_loop",
    "rollout_machine",
    "run_effects",
    "run_loop",
    "run_machine",
)
DECIDED: dict[str, str] = {}
"""File and what it handles → why no test enters it."""


@dataclass(frozen=True)
class Handler:
    """One ``except``."""

    file: str
    line: int
    catches: str
    body: range  # lines

    @property
    def name(self) -> str:
        """How it is called in DECIDED; stays when lines move."""
        return f"{self.file}: {self.catches}"


def handlers(path: Path) -> Iterator[Handler]:
    """Every ``except`` of a module."""
    file = path.relative_to(ROOT).as_posix()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ExceptHandler):
            catches = ast.unparse(node.type) if node.type else "everything"
            last = node.body[-1].end_lineno or node.body[-1].lineno
            yield Handler(file, node.lineno, catches, range(node.body[0].lineno, last + 1))


def last_cases(path: Path) -> Iterator[int]:
    """The lines of the last ``case`` of every ``match``. mypy proves that one of them fits: none falls through."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Match):
            yield node.cases[-1].pattern.lineno


def measure(suites: tuple[str, ...] = SUITES) -> dict[str, dict[str, Any]]:
    """Run the suites; per file, as coverage reports it: lines that ran, and branches that none took.

    Raises RuntimeError when a test fails: then the figures say nothing.
    """
    with tempfile.TemporaryDirectory() as folder:
        data, report = f"{folder}/data", f"{folder}/report.json"
        tool = [sys.executable, "-m", "coverage"]
        run = [*tool, "run", f"--data-file={data}", "--branch", f"--source={','.join(PACKAGES)}", "-m", "pytest"]
        done = subprocess.run([*run, "-x", *(f"tests/{suite}" for suite in suites)], cwd=ROOT, check=False)
        if done.returncode:
            raise RuntimeError(f"the tests failed with {done.returncode}")
        subprocess.run([*tool, "json", f"--data-file={data}", "-q", "-o", report], cwd=ROOT, check=True)
        files: dict[str, dict[str, Any]] = json.loads(Path(report).read_text())["files"]
    return files


def proof(deep: bool) -> Part:
    """One row per package. Quick and deep are the same: the suites run once."""
    del deep
    files = measure()
    rows: list[tuple[str, ...]] = []
    broken: list[str] = []
    for package in PACKAGES:
        found = [handler for path in sorted((ROOT / package).rglob("*.py")) for handler in handlers(path)]
        missed = [one for one in found if not _entered(one, files)]
        open_ = [one for one in missed if one.name not in DECIDED]
        rows.append((f"`except` in {package}", str(len(found)), str(len(missed) - len(open_)), str(len(open_))))
        broken += [f"{one.file}:{one.line}: no test enters `except {one.catches}`" for one in open_]
    for engine in ENGINES:
        file = f"retraining/{engine}.py"
        last = set(last_cases(ROOT / file))
        seen = files[file]["executed_branches"]
        left = [(begin, end) for begin, end in files[file]["missing_branches"] if begin not in last]
        rows.append((f"branches of {engine}", str(len(seen) + len(left)), "0", str(len(left))))
        broken += [f"{file}:{begin}: no test goes from here to {_to(end)}" for begin, end in left]
        broken += [f"{file}:{line}: no test comes here" for line in files[file]["missing_lines"]]
    return Part(
        title="Error paths",
        header=("what", "there are", "left, with a reason", "left, without"),
        rows=tuple(rows),
        broken=tuple(broken),
        how=HOW,
    )


def _entered(handler: Handler, files: dict[str, dict[str, Any]]) -> bool:
    seen = files.get(handler.file, {}).get("executed_lines", [])
    return any(line in seen for line in handler.body)


def _to(line: int) -> str:
    return f"line {line}" if line > 0 else "the end"


if __name__ == "__main__":
    part = proof(deep=False)
    print(part.text, *part.broken, sep="\n")
    sys.exit(bool(part.broken))
