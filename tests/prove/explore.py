"""A bounded search through every order of events, over the real code.

A *handler* is one call of the engine's code. It runs until a point where others may come between (a write, or a
read that matters), and stops there by an exception that nothing catches. To go on it is run again from its start,
with the answers it got so far replayed; so a handler is nothing but its program and those answers, and a state of
the whole is small, comparable and can be kept. States that were seen before are not looked into again.
"""

import hashlib
import random
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol


class Paused(BaseException):
    """The handler stands before its next point. No handler of ours catches it."""


@dataclass(frozen=True)
class Answer:
    """What a call gave: a value or an error, and what both are told apart by."""

    value: Any
    error: Exception | None
    mark: str


@dataclass(frozen=True)
class Handler:
    """One call of the engine under way: which program, for whom, and the answers it got."""

    number: int
    program: str
    argument: str = ""
    answers: tuple[Answer, ...] = ()
    waiting: str = ""  # the point before which it stands; follows from the rest

    @property
    def key(self) -> Hashable:
        """Equal for handlers that will behave alike."""
        marks = hashlib.blake2b("\x00".join(answer.mark for answer in self.answers).encode(), digest_size=12)
        return self.number, self.program, self.argument, marks.digest()


class Calls:
    """Where a handler's calls come by: replays the answers it got, lets one more happen, and stops it at the next
    point."""

    def __init__(self, handler: Handler, variant: str = "") -> None:
        self.handler = handler
        self.answers = list(handler.answers)
        self._at = 0
        self._fresh = 0
        self._variant = variant
        self.waiting = ""  # the point before which the handler stands
        self.performed = ""

    def __call__(self, name: str, act: Callable[[str], Any], *, point: bool) -> Any:
        """Perform ``act`` with the variant that the search chose, or answer as before. ``point``: others may come
        between."""
        if self._at < len(self.answers):
            answer = self.answers[self._at]
            self._at += 1
        else:
            if point and self._fresh:
                self.waiting = name
                raise Paused(name)
            variant, self._variant = (self._variant, "") if point else ("", self._variant)
            self._fresh += int(point)
            if point:
                self.performed = name
            answer = self._perform(name, act, variant)
            self.answers.append(answer)
            self._at += 1
        if answer.error is not None:
            raise answer.error
        return answer.value

    def _perform(self, name: str, act: Callable[[str], Any], variant: str) -> Answer:
        try:
            value = act(variant)
        except Exception as error:  # noqa: BLE001 - the handler gets it again whenever it is replayed
            return Answer(None, error, f"{name}!{type(error).__name__}")
        return Answer(value, None, f"{name}={value!r}")


@dataclass(frozen=True)
class State:
    """Everything there is: the world, the handlers under way, what may still happen, and how we came here."""

    world: Hashable
    handlers: tuple[Handler, ...] = ()
    left: tuple[tuple[str, int], ...] = ()  # budget: how often each kind of event may still happen

    @property
    def free(self) -> int:
        """The smallest number that no handler under way has; of a few numbers, so that alike states are one."""
        taken = {handler.number for handler in self.handlers}
        return next(number for number in range(1, len(taken) + 2) if number not in taken)

    @property
    def key(self) -> Hashable:
        """What tells states apart."""
        return self.world, tuple(handler.key for handler in self.handlers), self.left

    def spend(self, kind: str) -> "State | None":
        """The same state with one event of ``kind`` less to come; None when there is none left."""
        budget = dict(self.left)
        if budget.get(kind, 0) <= 0:
            return None
        budget[kind] -= 1
        return replace(self, left=tuple(sorted(budget.items())))


class Model(Protocol):
    """What is searched."""

    def start(self) -> State:
        """The first state."""

    def next(self, state: State) -> Iterable[tuple[str, State]]:
        """Every event that can happen now, in words, and the state after it. Raises Violation."""

    def check_end(self, state: State) -> None:
        """Called where nothing more can happen. Raises Violation."""


class Violation(AssertionError):
    """A promise was broken."""


@dataclass
class Result:
    """What a search found."""

    states: int = 0
    transitions: int = 0
    ends: int = 0
    complete: bool = False  # every state within the bounds was seen
    broken: str = ""
    story: tuple[str, ...] = ()


@dataclass
class _Path:
    state: State
    came: "tuple[_Path, str] | None" = None


def search(model: Model, limit: int, seed: int = 1) -> Result:
    """Look into states until all are seen, ``limit`` is reached, or a promise is broken.

    Mostly the newest state is taken, which soon leads to ends, and else any, which leads everywhere.
    """
    chance = random.Random(seed)
    start = _Path(model.start())
    seen = {_digest(start.state.key)}
    open_, result = [start], Result(states=1)
    while open_:
        path = _take(open_, chance)
        try:
            if not _expand(model, path, seen, open_, result, limit):
                return result
        except Violation as error:
            result.broken, result.story = str(error), tuple(_story(path))
            return result
    result.complete = True
    return result


def _take(open_: "list[_Path]", chance: random.Random) -> "_Path":
    if chance.random() < 0.9:
        return open_.pop()
    at = chance.randrange(len(open_))
    open_[at], open_[-1] = open_[-1], open_[at]
    return open_.pop()


def _expand(model: Model, path: _Path, seen: set[bytes], open_: list[_Path], result: Result, limit: int) -> bool:
    dead = True
    for event, after in model.next(path.state):
        dead = False
        result.transitions += 1
        key = _digest(after.key)
        if key not in seen:
            seen.add(key)
            result.states += 1
            open_.append(_Path(after, (path, event)))
            if result.states >= limit:
                return False
    if dead:
        result.ends += 1
        model.check_end(path.state)
    return True


def _digest(key: Hashable) -> bytes:
    return hashlib.blake2b(repr(key).encode(), digest_size=12).digest()


def _story(path: _Path) -> Iterator[str]:
    events = []
    at: _Path | None = path
    while at is not None and at.came is not None:
        at, event = at.came
        events.append(event)
    return reversed(events)
