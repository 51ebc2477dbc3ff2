"""Lock files: which package in which version, and by which hashes a download is recognised."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCKS = tuple(ROOT / name for name in ("requirements.txt", "trainer/requirements.txt", "requirements-dev.txt"))
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;]+)")
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})\b")


@dataclass(frozen=True)
class Pin:
    """One requirement of a lock file."""

    name: str  # as packages are compared: lower case, dashes
    version: str
    hashes: tuple[str, ...]


def normal(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lock: Path) -> list[Pin]:
    """Every requirement in ``lock``. Raises ValueError at a line that is none."""
    text = re.sub(r"\\\n", " ", lock.read_text())
    found = []
    for line in text.splitlines():
        plain = line.partition("#")[0].strip() if not line.lstrip().startswith("#") else ""
        if not plain:
            continue
        match = _PIN.match(plain)
        if match is None:
            raise ValueError(f"{lock.name}: expected name==version with hashes, got {plain:.80}")
        found.append(Pin(normal(match[1]), match[2], tuple(_HASH.findall(plain))))
    return found
