"""One subscription at work: its backlog behind a lock, with subscribers that wait for messages."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from google.pubsub_v1 import types

from local.servers.pubsub.backlog import Backlog, Delivery, Rules, load
from local.servers.pubsub.filters import compile_filter
from local.servers.pubsub.storage import Storage

Wall = Callable[[], float]
"""The system's time in unix seconds."""
Bury = Callable[["Subscription", Delivery], bool]
"""Moves a message to the dead-letter topic; False when it could not be moved."""

# Without a retry policy Google still slows down a push endpoint that refuses.
_PUSH_MINIMUM_BACKOFF, _PUSH_MAXIMUM_BACKOFF = 0.1, 60.0
_Message = types.PubsubMessage.pb()


def rules_of(config: Any) -> Rules:
    """The backlog's rules from a subscription message."""
    low = high = 0.0
    if config.HasField("retry_policy"):
        low = config.retry_policy.minimum_backoff.ToTimedelta().total_seconds()
        high = config.retry_policy.maximum_backoff.ToTimedelta().total_seconds()
    elif config.push_config.push_endpoint:
        low, high = _PUSH_MINIMUM_BACKOFF, _PUSH_MAXIMUM_BACKOFF
    dead = config.dead_letter_policy
    return Rules(
        ordered=config.enable_message_ordering,
        retention=config.message_retention_duration.ToTimedelta().total_seconds(),
        minimum_backoff=low,
        maximum_backoff=high,
        max_attempts=dead.max_delivery_attempts if dead.dead_letter_topic else 0,
    )


@dataclass(frozen=True)
class Holder:
    """A subscriber and how many messages it may have out (0: no limit)."""

    name: str = ""
    most: int = 0


class Subscription:
    """Messages for one named subscription. ``config`` is its protobuf message; methods are safe for threads."""

    def __init__(self, config: Any, storage: Storage, bury: Bury, wall: Wall = time.time) -> None:
        self.name: str = config.name
        self._storage = storage
        self._bury = bury
        self._wall = wall
        self._changed = threading.Condition()
        self.closed = False
        # Subscribers with a limit that wait: only they must hear of an acknowledgement.
        self._limited = 0
        self._backlog = Backlog(rules_of(config))
        self.configure(config)
        load(self._backlog, (_delivery(row) for row in storage.load(self.name)))

    def configure(self, config: Any) -> None:
        """Take new settings; what waits stays."""
        with self._changed:
            self.config = config
            self.matches = compile_filter(config.filter)
            self._backlog.rules = rules_of(config)
            self._changed.notify_all()

    def __len__(self) -> int:
        return len(self._backlog)

    def offer(self, deliveries: Iterable[Delivery]) -> None:
        """Take new messages that are already stored."""
        with self._changed:
            for delivery in deliveries:
                self._backlog.add(delivery)
                self._changed.notify()

    def take(
        self,
        limit: int,
        wait: float,
        lease: float,
        stop: Callable[[], bool] = lambda: False,
        holder: Holder = Holder(),  # frozen
    ) -> list[Delivery]:
        """Up to ``limit`` messages, each for ``lease`` seconds; waits up to ``wait`` seconds for the first.

        ``stop`` ends the wait early; it is looked at whenever the subscription changes or is woken.
        """
        end = time.monotonic() + wait
        while True:
            with self._changed:
                dead = self._expire()
                room = min(limit, holder.most - self._backlog.held(holder.name)) if holder.most else limit
                out = self._backlog.take(room, self._wall(), lease, holder.name)
                left = end - time.monotonic()
                if not (out or dead) and left > 0 and not self.closed and not stop():
                    self._limited += bool(holder.most)
                    self._changed.wait(min(left, self._until_next()))
                    self._limited -= bool(holder.most)
            self._bury_all(dead)
            if out or left <= 0 or self.closed or stop():
                return out

    def acknowledge(self, leases: Iterable[str]) -> list[str]:
        """These are done; returns the leases that were unknown or over."""
        unknown = []
        with self._changed:
            for lease in leases:
                delivery = self._backlog.acknowledge(lease)
                if delivery is None:
                    unknown.append(lease)
                else:
                    self._storage.acknowledged(self.name, delivery.seq, self.config.retain_acked_messages)
            if self._backlog.rules.ordered or self._limited:
                # The next message of a key, or of a subscriber that had its fill, may go out now.
                self._changed.notify_all()
        return unknown

    def modify(self, lease: str, seconds: float, error: str = "the subscriber gave it back") -> bool:
        """Extend a lease, or give the message back when ``seconds`` is 0. False when the lease is unknown."""
        dead = None
        with self._changed:
            if seconds:
                return self._backlog.extend(lease, self._wall(), seconds)
            known = self._backlog.holds(lease)
            if known is not None:
                self._storage.attempted(self.name, known.seq, known.attempts)
            dead = self._backlog.refuse(lease, self._wall(), error)
            self._changed.notify_all()
        self._bury_all([dead] if dead else [])
        return known is not None

    def sweep(self) -> None:
        """Take back overdue messages and drop old ones, also when nobody is asking for messages."""
        with self._changed:
            dead = self._expire()
            if self.config.retain_acked_messages:
                self._storage.drop_acked(self.name, self._wall() - self._backlog.rules.retention)
        self._bury_all(dead)

    def seek_time(self, published: float) -> None:
        """All published before that time (unix s, publisher's clock) is done; all kept since is delivered again."""
        with self._changed:
            kept = [_delivery(row) for row in self._storage.load(self.name, acked=True)]
            self._reset([one for one in (*self._backlog.deliveries(), *kept) if _published(one) >= published])

    def seek_snapshot(self, snapshot: str) -> None:
        """Deliver exactly what the snapshot holds."""
        with self._changed:
            self._storage.copy(snapshot, self.name)
            self._reset([_delivery(row) for row in self._storage.load(snapshot)])

    def wake(self) -> None:
        """Let those who wait look at their stop condition."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Send everyone away."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def _reset(self, wanted: Sequence[Delivery]) -> None:
        self._backlog.clear()
        load(self._backlog, sorted(wanted, key=lambda one: one.seq))
        self._storage.mark(self.name, [one.seq for one in wanted], self.config.retain_acked_messages)
        self._changed.notify_all()

    def _expire(self) -> list[Delivery]:
        dead, old = self._backlog.expire(self._wall())
        for delivery in old:
            self._storage.dropped(self.name, delivery.seq)
        return dead

    def _bury_all(self, dead: Iterable[Delivery]) -> None:
        for delivery in dead:
            moved = self._bury(self, delivery)
            with self._changed:
                if moved:
                    self._backlog.discard(delivery)
                    self._storage.dropped(self.name, delivery.seq)
                else:
                    self._backlog.keep_trying(delivery, self._wall())
                self._changed.notify()

    def _until_next(self) -> float:
        event = self._backlog.next_event()
        return 3600.0 if event is None else max(0.0, event - self._wall()) + 0.001


def _delivery(row: tuple[int, int, float, bytes]) -> Delivery:
    seq, attempts, arrived, body = row
    return Delivery(seq, arrived, _Message.FromString(body), attempts)


def _published(delivery: Delivery) -> float:
    return float(delivery.message.publish_time.ToNanoseconds()) / 1e9
