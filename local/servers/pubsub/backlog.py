"""The messages of one subscription that are not acknowledged yet: which may go out now, later or not at all.

Plain state without threads, clock or network; every method takes ``now`` (unix seconds). Waiting time is real time,
also when ``RETRAIN_CLOCK`` runs faster: what waits is a process of this machine that needs real seconds to answer,
and a deadline that shrank with the clock would redeliver work that is well under way.

Ordering keys: one message of a key is out at a time, and the key stays closed until it is acknowledged. So a
refused message comes again before anything published after it.
"""

import heapq
import itertools
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

MAX_BATCH_BYTES = 3_500_000
"""A client that found us by ``PUBSUB_EMULATOR_HOST`` takes answers of at most 4 MB."""
_SPARE_BYTES = 200
"""What an answer holds for each message besides it."""


@dataclass
class Delivery:
    """One message for one subscription: its place in the topic (``seq``), arrival (unix s) and attempts so far."""

    seq: int
    arrived: float
    message: Any
    attempts: int = 0
    lease: str = ""
    holder: str = ""
    deadline: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class Rules:
    """What a subscription's settings mean for its backlog; times in seconds."""

    ordered: bool = False
    retention: float = 7 * 86_400.0
    minimum_backoff: float = 0.0
    maximum_backoff: float = 0.0
    max_attempts: int = 0
    """0: no dead letters."""

    def backoff(self, attempts: int) -> float:
        """How long a message waits after its ``attempts``-th failed attempt."""
        if not self.minimum_backoff:
            return 0.0
        return min(self.maximum_backoff, self.minimum_backoff * 2.0 ** min(attempts - 1, 30))


class Backlog:
    """Holds deliveries and hands them out by the rules. Not safe for threads: the subscription locks it."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._serial = itertools.count()
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._all: dict[int, Delivery] = {}
        self._ready: deque[Delivery] = deque()
        self._later: list[tuple[float, int, Delivery]] = []
        self._leases: dict[str, Delivery] = {}
        self._held: Counter[str] = Counter()
        self._deadlines: list[tuple[float, int, str]] = []
        # Per ordering key, the one that may go out and behind it those that wait for it.
        self._keys: dict[str, deque[Delivery]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def deliveries(self) -> list[Delivery]:
        """All that is not acknowledged, oldest first."""
        return sorted(self._all.values(), key=lambda delivery: delivery.seq)

    def add(self, delivery: Delivery) -> None:
        """Take a new message."""
        self._all[delivery.seq] = delivery
        key = delivery.message.ordering_key
        if self.rules.ordered and key:
            queue = self._keys.setdefault(key, deque())
            queue.append(delivery)
            if len(queue) > 1:
                return
        self._ready.append(delivery)

    def held(self, holder: str) -> int:
        """How many messages ``holder`` has out."""
        return self._held[holder]

    def take(self, limit: int, now: float, lease: float, holder: str = "") -> list[Delivery]:
        """Hand out up to ``limit`` messages to ``holder``, each for ``lease`` seconds."""
        size = 0
        while self._later and self._later[0][0] <= now:
            self._ready.append(heapq.heappop(self._later)[2])
        out: list[Delivery] = []
        while self._ready and len(out) < limit and size < MAX_BATCH_BYTES:
            delivery = self._ready.popleft()
            if delivery.seq not in self._all:
                continue
            delivery.attempts += 1
            delivery.lease = f"{delivery.seq}-{next(self._serial)}"
            delivery.holder = holder
            self._leases[delivery.lease] = delivery
            self._held[holder] += 1
            self._set_deadline(delivery, now + lease)
            out.append(delivery)
            size += delivery.message.ByteSize() + _SPARE_BYTES
            if self._ready and size + self._ready[0].message.ByteSize() > MAX_BATCH_BYTES:
                break
        return out

    def acknowledge(self, lease: str) -> Delivery | None:
        """The message is done. None when the lease is unknown or over."""
        delivery = self._end_lease(lease)
        if delivery is not None:
            self._remove(delivery)
        return delivery

    def extend(self, lease: str, now: float, seconds: float) -> bool:
        """Give the subscriber ``seconds`` from now. False when the lease is unknown or over."""
        delivery = self._leases.get(lease)
        if delivery is None:
            return False
        self._set_deadline(delivery, now + seconds)
        return True

    def holds(self, lease: str) -> Delivery | None:
        """The message out under ``lease``."""
        return self._leases.get(lease)

    def refuse(self, lease: str, now: float, error: str = "") -> Delivery | None:
        """The subscriber gave the message back. Returns it when it is out of attempts, for the dead letters."""
        delivery = self._end_lease(lease)
        return None if delivery is None else self._back(delivery, now, error)

    def expire(self, now: float) -> tuple[list[Delivery], list[Delivery]]:
        """Take back what is overdue and drop what is too old: (out of attempts, dropped)."""
        dead = []
        while self._deadlines and self._deadlines[0][0] <= now:
            deadline, _, lease = heapq.heappop(self._deadlines)
            delivery = self._leases.get(lease)
            # An extended lease left its earlier deadline in the heap.
            if delivery is not None and delivery.deadline <= deadline:
                self._end_lease(lease)
                dead.append(self._back(delivery, now, "the acknowledgement deadline passed"))
        return [one for one in dead if one is not None], self._drop_old(now)

    def next_event(self) -> float | None:
        """When something changes by itself (unix s): a backoff or a lease ends."""
        due = [heap[0][0] for heap in (self._later, self._deadlines) if heap]
        return min(due) if due else None

    def discard(self, delivery: Delivery) -> None:
        """The message left by another way, such as the dead-letter topic."""
        self._remove(delivery)

    def keep_trying(self, delivery: Delivery, now: float) -> None:
        """The message was out of attempts, but could not be moved: it stays and is delivered again."""
        self._requeue(delivery, now)

    def _end_lease(self, lease: str) -> Delivery | None:
        delivery = self._leases.pop(lease, None)
        if delivery is not None:
            self._held[delivery.holder] -= 1
            if not self._held[delivery.holder]:
                del self._held[delivery.holder]
        return delivery

    def _back(self, delivery: Delivery, now: float, error: str) -> Delivery | None:
        delivery.error = error
        if self.rules.max_attempts and delivery.attempts >= self.rules.max_attempts:
            return delivery
        self._requeue(delivery, now)
        return None

    def _requeue(self, delivery: Delivery, now: float) -> None:
        wait = self.rules.backoff(delivery.attempts)
        if wait:
            heapq.heappush(self._later, (now + wait, next(self._serial), delivery))
        else:
            self._ready.append(delivery)

    def _remove(self, delivery: Delivery) -> None:
        self._all.pop(delivery.seq, None)
        queue = self._keys.get(delivery.message.ordering_key) if self.rules.ordered else None
        if queue is None or queue[0] is not delivery:
            return
        while queue and queue[0].seq not in self._all:
            queue.popleft()
        if queue:
            self._ready.append(queue[0])
        else:
            del self._keys[delivery.message.ordering_key]

    def _drop_old(self, now: float) -> list[Delivery]:
        # Messages arrive in order, so the old ones come first.
        old = []
        for delivery in self._all.values():
            if delivery.arrived + self.rules.retention > now:
                break
            old.append(delivery)
        for delivery in old:
            self._end_lease(delivery.lease)
            self._remove(delivery)
        return old

    def _set_deadline(self, delivery: Delivery, deadline: float) -> None:
        delivery.deadline = deadline
        heapq.heappush(self._deadlines, (deadline, next(self._serial), delivery.lease))


def load(backlog: Backlog, deliveries: Iterable[Delivery]) -> None:
    """Fill an empty backlog with ``deliveries``, oldest first, as after a restart."""
    for delivery in deliveries:
        backlog.add(delivery)
