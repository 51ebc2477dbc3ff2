"""The clock every process of one installation reads: the system's, or a faster one for rehearsals.

``RETRAIN_CLOCK`` is empty (the system's clock), or ``START*SPEED@ORIGIN``: at ``ORIGIN`` (unix seconds of the
system's clock) it was ``START`` (RFC 3339), and ``SPEED`` seconds pass in each real one; or ``file:PATH``, a file
that holds such a line and may be rewritten while processes run, which changes the speed for all of them at once.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from retraining.errors import BadConfig

Clock = Callable[[], datetime]

_FORM = re.compile(r"(?P<start>[^*]+)\*(?P<speed>[0-9.]+)@(?P<origin>[0-9.]+)")


@dataclass(frozen=True)
class Scale:
    """It was ``start`` at ``origin`` (unix seconds), and ``speed`` seconds pass in each second since."""

    start: datetime
    speed: float
    origin: float

    @classmethod
    def parse(cls, text: str) -> "Scale":
        """Read ``START*SPEED@ORIGIN``. Raises BadConfig."""
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise BadConfig(f"RETRAIN_CLOCK: expected START*SPEED@ORIGIN or file:PATH, got {text!r}")
        try:
            start = datetime.fromisoformat(match["start"])
        except ValueError as error:
            raise BadConfig(f"RETRAIN_CLOCK: expected an RFC 3339 start, got {match['start']!r}") from error
        return cls(start.astimezone(UTC), float(match["speed"]), float(match["origin"]))

    def __str__(self) -> str:
        return f"{self.start.isoformat()}*{self.speed}@{self.origin}"

    def at(self, wall: float) -> datetime:
        """The time on this clock when the system's clock shows ``wall`` (unix seconds)."""
        return self.start + timedelta(seconds=(wall - self.origin) * self.speed)


def clock(text: str) -> Clock:
    """The clock that ``RETRAIN_CLOCK`` describes. Raises BadConfig."""
    if not text:
        return lambda: datetime.now(UTC)
    if text.startswith("file:"):
        path = Path(text.removeprefix("file:"))
        return lambda: Scale.parse(path.read_text()).at(time.time())
    scale = Scale.parse(text)
    return lambda: scale.at(time.time())


def write_clock(path: Path, start: datetime, speed: float) -> None:
    """Make the clock file at ``path`` show ``start`` now and run ``speed`` times as fast as the system's."""
    temporary = path.with_suffix(".new")
    temporary.write_text(str(Scale(start, speed, time.time())))
    temporary.replace(path)
