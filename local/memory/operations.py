"""Long-running operations that end when a test says so, or at once."""

import itertools
import threading
from collections.abc import Callable

from retraining.errors import Refused
from retraining.views import OperationView


class MemoryOperations:
    """Operations in this process. With ``at_once`` each has ended, well, before its name is known."""

    def __init__(self, at_once: bool = True) -> None:
        self.at_once = at_once
        self._effects: dict[str, Callable[[str], None]] = {}
        self._ended: dict[str, OperationView] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def start(self, resource: str, effect: Callable[[str], None]) -> str:
        """Begin an operation on ``resource``; at its end ``effect`` is called with the error, empty for none."""
        with self._lock:
            name = f"{resource}/operations/{next(self._numbers)}"
            self._effects[name] = effect
        if self.at_once:
            self.end(name)
        return name

    def end(self, name: str, error: str = "") -> None:
        """Let the operation end, with ``error`` when it fails. Raises KeyError when it is not running."""
        with self._lock:
            effect = self._effects.pop(name)
        effect(error)  # before anybody can see that it ended
        with self._lock:
            self._ended[name] = OperationView(True, error)

    def running(self) -> tuple[str, ...]:
        """Names of the operations that have not ended, oldest first."""
        with self._lock:
            return tuple(self._effects)

    def view(self, name: str) -> OperationView:
        """See Operations. Raises Refused when there is no such operation."""
        with self._lock:
            if name in self._ended:
                return self._ended[name]
            if name in self._effects:
                return OperationView(False)
        raise Refused(f"looking at operation {name}: there is none")
