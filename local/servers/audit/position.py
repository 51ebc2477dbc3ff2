"""How far the watcher has read: which jobs it has dealt with, kept in a file for the next start."""

import json
from dataclasses import dataclass
from pathlib import Path

OVERLAP_MS = 5_000
"""A job is listed a moment after it was created; so far back every look begins again."""


@dataclass(frozen=True)
class Position:
    """All jobs created before ``since`` (ms of the server's clock) are dealt with, and those in ``seen`` as well.

    ``seen`` maps a job's id to its creation time.
    """

    since: int
    seen: dict[str, int]

    def after(self, done: dict[str, int], unfinished: list[int]) -> "Position":
        """The position once ``done`` are dealt with, while jobs created at ``unfinished`` still run."""
        seen = {**self.seen, **done}
        newest = max([self.since + OVERLAP_MS, *seen.values()])
        since = max(self.since, min([newest - OVERLAP_MS, *unfinished]))
        return Position(since, {job: created for job, created in seen.items() if created >= since})


def load(path: Path | None, start: int) -> Position:
    """The position on file, or ``start`` (ms) where there is none."""
    if path is None or not path.exists():
        return Position(start, {})
    content = json.loads(path.read_text())
    return Position(content["since"], content["seen"])


def save(path: Path | None, position: Position) -> None:
    """Write the position in one step, so that a crash leaves the old one or the new one."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps({"since": position.since, "seen": position.seen}))
    temporary.replace(path)
