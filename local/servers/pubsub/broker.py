"""All topics and subscriptions together: who gets a published message, and where dead letters go."""

import itertools
import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

from google.pubsub_v1 import types

from gcp.clock import Clock
from local.servers.pubsub.backlog import Delivery
from local.servers.pubsub.names import DELETED_TOPIC
from local.servers.pubsub.push import Pusher
from local.servers.pubsub.storage import Storage
from local.servers.pubsub.subscription import Subscription, Wall
from local.servers.rpc import already_exists, not_found

_log = logging.getLogger(__name__)
_SWEEP_EVERY = 0.5
_Topic, _Subscription, _Snapshot = types.Topic.pb(), types.Subscription.pb(), types.Snapshot.pb()
_DEAD = "CloudPubSubDeadLetterSource"


class Broker:
    """The registry and its effects. ``clock`` stamps messages; ``wall`` (unix s) runs deadlines and retention."""

    def __init__(self, storage: Storage, clock: Clock, wall: Wall = time.time) -> None:
        self._storage = storage
        self._clock = clock
        self._wall = wall
        self.topics: dict[str, Any] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.snapshots: dict[str, Any] = {}
        self._pushers: dict[str, Pusher] = {}
        self._lock = threading.RLock()
        # Ids go on from the time of the start, so that a restart never gives one twice: functions take an id that
        # they know for a repeat.
        self._ids = itertools.count(max(storage.last_seq() + 1, time.time_ns() // 1000))
        self._closed = threading.Event()
        self._restore()
        self._sweeper = threading.Thread(target=self._sweep, name="pubsub-sweep", daemon=True)
        self._sweeper.start()

    def topic(self, name: str) -> Any:
        """The topic's message. Raises NOT_FOUND."""
        if name not in self.topics:
            raise not_found(f"Topic not found: {name}")
        return self.topics[name]

    def subscription(self, name: str) -> Subscription:
        """The subscription. Raises NOT_FOUND."""
        found = self.subscriptions.get(name)
        if found is None:
            raise not_found(f"Subscription not found: {name}")
        return found

    def snapshot(self, name: str) -> Any:
        """The snapshot's message. Raises NOT_FOUND."""
        if name not in self.snapshots:
            raise not_found(f"Snapshot not found: {name}")
        return self.snapshots[name]

    def put_topic(self, topic: Any, new: bool) -> None:
        """Create or change a topic. Raises ALREADY_EXISTS."""
        with self._lock:
            if new and topic.name in self.topics:
                raise already_exists(f"Topic already exists: {topic.name}")
            self.topics[topic.name] = topic
            self._storage.put("topic", topic.name, topic.SerializeToString())

    def delete_topic(self, name: str) -> None:
        """Delete a topic; its subscriptions stay and keep what they have. Raises NOT_FOUND."""
        with self._lock:
            self.topic(name)
            del self.topics[name]
            self._storage.remove("topic", name)
            for subscription in self.of_topic(name):
                subscription.config.topic = DELETED_TOPIC
                self._save(subscription)

    def of_topic(self, topic: str) -> list[Subscription]:
        """The subscriptions of a topic."""
        return [one for one in self.subscriptions.values() if one.config.topic == topic]

    def create_subscription(self, config: Any) -> None:
        """Raises ALREADY_EXISTS, or NOT_FOUND for its topic or dead-letter topic."""
        with self._lock:
            if config.name in self.subscriptions:
                raise already_exists(f"Subscription already exists: {config.name}")
            self.topic(config.topic)
            if config.dead_letter_policy.dead_letter_topic:
                self.topic(config.dead_letter_policy.dead_letter_topic)
            subscription = self._open(config)
            self._save(subscription)

    def configure(self, config: Any) -> None:
        """Give a subscription new settings."""
        with self._lock:
            subscription = self.subscription(config.name)
            subscription.configure(config)
            self._save(subscription)
            self._push(subscription)

    def delete_subscription(self, name: str) -> None:
        """Delete a subscription and its messages. Raises NOT_FOUND."""
        with self._lock:
            self.subscription(name).close()
            del self.subscriptions[name]
            pusher = self._pushers.pop(name, None)
            if pusher is not None:
                pusher.close()
            self._storage.remove("subscription", name)

    def create_snapshot(self, snapshot: Any, subscription: Subscription) -> None:
        """Keep what ``subscription`` has not acknowledged, and all its topic gets from now on."""
        with self._lock:
            if snapshot.name in self.snapshots:
                raise already_exists(f"Snapshot already exists: {snapshot.name}")
            self.snapshots[snapshot.name] = snapshot
            self._storage.put("snapshot", snapshot.name, snapshot.SerializeToString())
            self._storage.copy(subscription.name, snapshot.name)

    def delete_snapshot(self, name: str) -> None:
        """Raises NOT_FOUND."""
        with self._lock:
            self.snapshot(name)
            del self.snapshots[name]
            self._storage.remove("snapshot", name)

    def publish(self, topic: str, messages: Sequence[Any]) -> list[str]:
        """Stamp, store and hand out messages; returns their ids. Raises NOT_FOUND."""
        with self._lock:
            self.topic(topic)
            arrived = self._wall()
            stamp = self._clock()
            deliveries = []
            for message in messages:
                seq = next(self._ids)
                message.message_id = str(seq)
                message.publish_time.FromDatetime(stamp)
                deliveries.append((seq, message, message.SerializeToString()))
            self._hand_out(topic, arrived, deliveries)
        return [message.message_id for message in messages]

    def close(self) -> None:
        """Stop pushing and waiting, and let requests under way end."""
        self._closed.set()
        for pusher in self._pushers.values():
            pusher.close()
        for subscription in self.subscriptions.values():
            subscription.close()
        for pusher in self._pushers.values():
            pusher.join(timeout=2)
        self._sweeper.join()

    def _hand_out(self, topic: str, arrived: float, deliveries: Sequence[tuple[int, Any, bytes]]) -> None:
        chosen = [
            (subscription, [one for one in deliveries if subscription.matches(one[1].attributes)])
            for subscription in self.of_topic(topic)
        ]
        rows = [(one.name, seq, arrived, body) for one, wanted in chosen for seq, _, body in wanted]
        kept = [name for name, snapshot in self.snapshots.items() if snapshot.topic == topic]
        rows.extend((name, seq, arrived, body) for name in kept for seq, _, body in deliveries)
        if rows:
            self._storage.add(rows)
        for subscription, wanted in chosen:
            subscription.offer(Delivery(seq, arrived, message) for seq, message, _ in wanted)

    def _bury(self, subscription: Subscription, delivery: Delivery) -> bool:
        """Publish a message that is out of attempts to the dead-letter topic, with the attributes Google adds."""
        topic = subscription.config.dead_letter_policy.dead_letter_topic
        if topic not in self.topics:
            _log.warning("%s: dead-letter topic %s does not exist", subscription.name, topic)
            return False
        _, project, _, name = subscription.name.split("/")
        copy = type(delivery.message)()
        copy.CopyFrom(delivery.message)
        copy.attributes[f"{_DEAD}DeliveryCount"] = str(delivery.attempts)
        copy.attributes[f"{_DEAD}Subscription"] = name
        copy.attributes[f"{_DEAD}SubscriptionProject"] = project
        copy.attributes[f"{_DEAD}TopicPublishTime"] = delivery.message.publish_time.ToJsonString()
        if delivery.error:
            copy.attributes[f"{_DEAD}DeliveryErrorMessage"] = delivery.error
        self.publish(topic, [copy])
        return True

    def _restore(self) -> None:
        for name, body in self._storage.resources("topic"):
            self.topics[name] = _Topic.FromString(body)
        for name, body in self._storage.resources("snapshot"):
            self.snapshots[name] = _Snapshot.FromString(body)
        for _, body in self._storage.resources("subscription"):
            self._open(_Subscription.FromString(body))

    def _open(self, config: Any) -> Subscription:
        subscription = Subscription(config, self._storage, self._bury, self._wall)
        self.subscriptions[config.name] = subscription
        self._push(subscription)
        return subscription

    def _save(self, subscription: Subscription) -> None:
        self._storage.put("subscription", subscription.name, subscription.config.SerializeToString())

    def _push(self, subscription: Subscription) -> None:
        before = self._pushers.pop(subscription.name, None)
        if before is not None:
            before.close()
        if subscription.config.push_config.push_endpoint:
            self._pushers[subscription.name] = Pusher(subscription)

    def _sweep(self) -> None:
        while not self._closed.wait(_SWEEP_EVERY):
            for subscription in list(self.subscriptions.values()):
                subscription.sweep()
