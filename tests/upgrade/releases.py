"""Two releases at work on one store: today's, and a next one that keeps more in its records.

The next release is today's program behind a store that reads and writes records as the next one's classes do. What
it adds travels through the program as fields that the program does not use, so all that differs is what is stored.
"""

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from local.memory.store import MemoryStore
from retraining.migrations import Format
from retraining.record import Record
from retraining.records import ModelState, Money, Run
from retraining.rollouts import Rollout
from retraining.views import Stored
from tests.engine.cloud import Cloud

OPEN = ("inbox/", "active/", "rolling/", "candidates/")


class MoreRun(Run):
    """A run that also counts the next release's writes: an additive change."""

    writes: int = 0


class MoreState(ModelState):
    """The same for what is known about a model."""

    writes: int = 0


class MoreMoney(Money):
    """The same for a month's money."""

    writes: int = 0


class MoreRollout(Rollout):
    """The same for an endpoint."""

    writes: int = 0


def _in_euro(raw: dict[str, Any]) -> dict[str, Any]:
    return {**raw, "currency": "EUR"}


class LaterRun(MoreRun):
    """A run that must say its currency: a breaking change, so its version is the second."""

    format = Format("run", (_in_euro,))

    currency: str


class LaterState(MoreState):
    """The same for what is known about a model."""

    format = Format("model state", (_in_euro,))

    currency: str


class LaterMoney(MoreMoney):
    """The same for a month's money."""

    format = Format("money", (_in_euro,))

    currency: str


class LaterRollout(MoreRollout):
    """The same for an endpoint."""

    format = Format("rollout", (_in_euro,))

    currency: str


Kinds = dict[str, type[Record]]  # folder → class of the next release
MORE: Kinds = {"runs": MoreRun, "models": MoreState, "budget": MoreMoney, "rollouts": MoreRollout}
LATER: Kinds = {"runs": LaterRun, "models": LaterState, "budget": LaterMoney, "rollouts": LaterRollout}


@dataclass
class NextStore:
    """The store as the next release's program uses it."""

    inner: MemoryStore
    kinds: Kinds
    written: Counter[str] = field(default_factory=Counter)  # path → writes of the next release

    def read(self, path: str) -> Stored | None:
        """See Store."""
        stored = self.inner.read(path)
        kind = self._kind(path)
        if stored is None or kind is None:
            return stored
        record = json.loads(kind.from_json(stored.body).to_json())
        return Stored(json.dumps({**record, "version": 1}), stored.version)

    def create(self, path: str, body: str) -> str:
        """See Store."""
        version = self.inner.create(path, self._next(path, body))
        self.written[path] += 1
        return version

    def replace(self, path: str, body: str, version: str) -> str:
        """See Store."""
        after = self.inner.replace(path, self._next(path, body), version)
        self.written[path] += 1
        return after

    def delete(self, path: str) -> None:
        """See Store."""
        self.inner.delete(path)

    def list(self, prefix: str) -> list[str]:
        """See Store."""
        return self.inner.list(prefix)

    def _kind(self, path: str) -> type[Record] | None:
        return self.kinds.get(path.split("/")[0])

    def _next(self, path: str, body: str) -> str:
        kind = self._kind(path)
        if kind is None:
            return body
        assert kind.format is not None
        raw = json.loads(body)
        if "currency" in raw:  # it was read here before
            raw["version"] = kind.format.version
        raw["writes"] = raw.get("writes", 0) + 1
        return kind.from_json(json.dumps(raw)).to_json()


@dataclass
class TodaysStore:
    """The store as today's program uses it, with a note of what it writes over."""

    inner: MemoryStore
    over: list[dict[str, Any]] = field(default_factory=list)  # records that were replaced, as they were before

    def replace(self, path: str, body: str, version: str) -> str:
        """See Store."""
        before = self.inner.read(path)
        after = self.inner.replace(path, body, version)
        assert before is not None
        self.over.append(json.loads(before.body))
        return after

    def create(self, path: str, body: str) -> str:
        """See Store."""
        return self.inner.create(path, body)

    def read(self, path: str) -> Stored | None:
        """See Store."""
        return self.inner.read(path)

    def delete(self, path: str) -> None:
        """See Store."""
        self.inner.delete(path)

    def list(self, prefix: str) -> list[str]:
        """See Store."""
        return self.inner.list(prefix)


class Fleet:
    """A world in which instances of both releases get ticks."""

    def __init__(self, cloud: Cloud, kinds: Kinds) -> None:
        self.cloud = cloud
        self.records = cloud.store
        self.today, self.next = TodaysStore(cloud.store), NextStore(cloud.store, kinds)
        self._programs = {
            letter: (replace(cloud.runs, store=s), replace(cloud.rollouts, store=s), replace(cloud.intake, store=s))
            for letter, s in (("t", self.today), ("n", self.next))
        }
        cloud.store = self.next  # type: ignore[assignment] # the outside and people look with the next release

    def tick(self, runs: str, rollouts: str) -> None:
        """One tick of each engine, each by the release of this letter: t(oday) or n(ext)."""
        self.cloud.runs, self.cloud.rollouts = self._programs[runs][0], self._programs[rollouts][1]
        self.cloud.intake = self._programs[rollouts][2]
        self.cloud.trigger(key="the-fact")
        self.cloud.tick()

    def settle(self, order: str) -> None:
        """Tick by the releases in this order, again and again, until nothing is open."""
        for number in range(400):
            letter = order[number % len(order)]
            self.tick(letter, order[(number + 1) % len(order)])
            if not any(self.records.list(prefix) for prefix in OPEN):
                return
        raise AssertionError(f"still open: {self.cloud.reports[-3:]}")
