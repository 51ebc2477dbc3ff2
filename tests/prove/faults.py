"""Ports that fail: every call may find its service away, lose its answer or a race, stall, or end its tick.

Which call fails, and how, is decided by a ``Fault`` alone: by chance in a simulated year, by the test in a state
machine, never in a fault-free twin.
"""

import random
from collections.abc import Callable
from typing import Any

from retraining.errors import Conflict, Temporary

Fault = Callable[[str], str]
"""How the call of this name, for example store.replace, goes wrong: one of MODES, or empty."""

DOWN, LOST, RACE, STALE, STALL = "down", "answer lost", "race lost", "stale list", "stall"
DIES, DIES_AFTER = "process dies before", "process dies after"
MODES = (DOWN, LOST, RACE, STALE, STALL, DIES, DIES_AFTER)
GUARDED = frozenset({"store.replace", "endpoints.set_traffic"})  # calls that can lose a race
LISTS = frozenset({"jobs.find"})  # lists that may lag behind


class Crash(BaseException):
    """The process dies here. No handler of ours may catch it."""


def possible(mode: str, call: str) -> bool:
    """Whether this call can go wrong in this way."""
    return (mode != RACE or call in GUARDED) and (mode != STALE or call in LISTS)


class Chance:
    """Faults at a steady rate."""

    def __init__(self, seed: int, rate: float) -> None:
        self._chance, self._rate = random.Random(f"faults {seed}"), rate

    def __call__(self, call: str) -> str:
        """See Fault."""
        if self._chance.random() >= self._rate:
            return ""
        mode = self._chance.choices(MODES, (4, 4, 2, 4, 1, 1, 1))[0]
        return mode if possible(mode, call) else DOWN


def never(call: str) -> str:
    """No call goes wrong."""
    del call
    return ""


class Port:
    """A port whose calls come by ``Faulty``."""

    def __init__(
        self, name: str, port: Any, perform: Callable[[str, Callable[..., Any], tuple[Any, ...]], Any]
    ) -> None:
        self._name, self._port, self._perform = name, port, perform

    def __getattr__(self, call: str) -> Any:
        method, name, perform = getattr(self._port, call), f"{self._name}.{call}", self._perform

        def performed(*args: Any) -> Any:
            return perform(name, method, args)

        setattr(self, call, performed)  # the next call finds it at once
        return performed


def fail(mode: str, call: str, method: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """Let a call go wrong; what ``STALE`` and ``STALL`` do, the world knows."""
    if mode == DOWN:
        raise Temporary(f"{call}: no answer")
    if mode == RACE:
        raise Conflict(f"{call}: somebody else wrote first")
    if mode == DIES:
        raise Crash(call)
    result = method(*args)
    if mode == LOST:
        raise Temporary(f"{call}: the answer was lost after {result!r:.80}")
    assert mode == DIES_AFTER, mode
    raise Crash(call)
