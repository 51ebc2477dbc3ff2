"""Known vulnerabilities of what the lock files name, as pip-audit finds them, and the exceptions that people made.

Where no service answers, pip-audit may say that it knows of nothing. So it is asked first about an old release with
vulnerabilities that everybody knows; if it finds none there, its silence about the rest means nothing.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

EXCEPTIONS = Path(__file__).with_name("exceptions.yaml")
_KNOWN_BAD = "jinja2==2.4.1\n"
_SECONDS = 600


@dataclass(frozen=True)
class Finding:
    """One vulnerability of one package; ``ids`` are its names in several lists."""

    package: str
    version: str
    ids: tuple[str, ...]
    fixed_in: tuple[str, ...] = ()


@dataclass(frozen=True)
class Waiver:
    """A vulnerability that people have looked at and live with for a while."""

    id: str
    reason: str
    until: date


def exceptions(path: Path = EXCEPTIONS) -> list[Waiver]:
    """The exceptions in ``path``: a list of id, reason and until. Raises ValueError naming what is wrong."""
    found = []
    for entry in yaml.safe_load(path.read_text()) or []:
        if not isinstance(entry, dict) or entry.keys() != {"id", "reason", "until"}:
            raise ValueError(f"{path.name}: expected id, reason and until, got {entry!r:.120}")
        if not isinstance(entry["until"], date) or not str(entry["reason"]).strip():
            raise ValueError(f"{path.name}: {entry['id']}: expected a reason and a date until, such as 2027-01-31")
        found.append(Waiver(str(entry["id"]), str(entry["reason"]), entry["until"]))
    return found


def judge(findings: Sequence[Finding], known: Sequence[Waiver], today: date) -> list[str]:
    """Every reason to stop: a finding without exception, and an exception that is over or that nothing needs."""
    excepted = {entry.id for entry in known}
    problems = [
        f"{found.package} {found.version}: {found.ids[0]}, fixed in {', '.join(found.fixed_in) or 'no release'}"
        for found in findings
        if not excepted.intersection(found.ids)
    ]
    present = {name for found in findings for name in found.ids}
    problems += [f"exception {entry.id} ended on {entry.until}" for entry in known if entry.until < today]
    return problems + [f"exception {entry.id} is not needed" for entry in known if entry.id not in present]


def in_reach() -> bool:
    """Whether a service answers that knows what everybody knows."""
    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder) / "known.txt"
        asked.write_text(_KNOWN_BAD)
        return any(read(_ask(asked, "--no-deps"))[0])


def look(lock: Path) -> tuple[list[Finding], list[str]]:
    """Findings in ``lock``, and packages that the service did not know. Raises RuntimeError: no answer at all."""
    answer = _ask(lock)
    if not answer:
        raise RuntimeError(f"{lock.name}: pip-audit gave no answer")
    return read(answer)


def read(answer: str) -> tuple[list[Finding], list[str]]:
    """What pip-audit's JSON says; nothing for an empty answer."""
    listed: list[dict[str, Any]] = json.loads(answer)["dependencies"] if answer else []
    return list(_findings(listed)), [entry["name"] for entry in listed if "skip_reason" in entry]


def _findings(listed: Sequence[dict[str, Any]]) -> Iterator[Finding]:
    for entry in listed:
        for found in entry.get("vulns", ()):
            ids = (found["id"], *found.get("aliases", ()))
            yield Finding(entry["name"], entry["version"], ids, tuple(found.get("fix_versions", ())))


def _ask(lock: Path, *words: str) -> str:
    """pip-audit's JSON; empty when it failed, which without a network it does in many ways."""
    command = [sys.executable, "-m", "pip_audit", "-r", str(lock), "--disable-pip", "-f", "json", *words]
    ended = subprocess.run(
        [*command, "--progress-spinner", "off"], capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    start = ended.stdout.find("{")
    return ended.stdout[start:] if start >= 0 else ""
