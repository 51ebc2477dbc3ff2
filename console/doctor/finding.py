"""What the doctor says: findings with the command that mends each, and what could not be looked at."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning"]

CLEAN, FOUND, BLIND = 0, 1, 2
NOTHING_READ = frozenset({"settings"})  # checks that say nothing of what is there


@dataclass(frozen=True)
class Finding:
    """Something is wrong. ``mend`` is a command to copy; ``severity`` is warning where all works for now."""

    check: str
    severity: Severity
    what: str
    mend: str


@dataclass(frozen=True)
class Skipped:
    """A check that could not be done, and why."""

    check: str
    why: str


@dataclass(frozen=True)
class Report:
    """Everything a visit has shown. ``looked`` names the checks that were done."""

    looked: tuple[str, ...]
    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...]

    @property
    def code(self) -> int:
        """The exit code: 0 clean, 1 with findings, 2 when nothing could be looked at."""
        if self.findings:
            return FOUND
        return CLEAN if set(self.looked) - NOTHING_READ else BLIND

    def to_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "clean": self.code == CLEAN,
            "looked": list(self.looked),
            "findings": [asdict(one) for one in self.findings],
            "skipped": [asdict(one) for one in self.skipped],
        }
