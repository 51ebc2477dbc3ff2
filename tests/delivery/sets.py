"""Small module sets, and places to keep them."""

from datetime import UTC, datetime
from pathlib import Path

from retraining.modules import ModuleSet

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
FLIGHTS = (ROOT / "models" / "flights.yaml").read_bytes()
BIKES = (ROOT / "models" / "bikes.yaml").read_bytes()
FILES = {
    "trainer/__main__.py": b"from trainer import data\n",
    "trainer/data.py": b"ROWS = 1\n",
    "retraining/__init__.py": b"",
    "retraining/policy.py": b"COOLDOWN = 1\n",
    "models/flights.yaml": FLIGHTS,
    "models/bikes.yaml": BIKES,
}


def changed(**bodies: bytes | None) -> dict[str, bytes]:
    """The files with some changed: ``trainer__data`` is trainer/data.py, ``models__x`` models/x.yaml."""
    found: dict[str, bytes] = dict(FILES)
    for name, body in bodies.items():
        path = name.replace("__", "/") + (".yaml" if name.startswith("models") else ".py")
        found.pop(path, None)
        if body is not None:
            found[path] = body
    return found


def sources(files: dict[str, bytes]) -> dict[str, str]:
    """The Python files as text."""
    return {path: body.decode() for path, body in files.items() if path.endswith(".py")}


def made(files: dict[str, bytes], commit: str = "c1") -> ModuleSet:
    """The set of the files."""
    return ModuleSet.of(files, commit, NOW)
