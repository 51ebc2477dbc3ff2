"""Topics as lists of messages."""

import threading
from dataclasses import dataclass

from retraining.errors import Refused


@dataclass(frozen=True)
class Message:
    """What a receiver would get."""

    body: str
    attributes: dict[str, str]


class MemoryBus:
    """Bus in this process, over the topics it was told of. Safe between threads."""

    def __init__(self, *topics: str) -> None:
        self._messages: dict[str, list[Message]] = {topic: [] for topic in topics}
        self._lock = threading.Lock()

    def publish(self, topic: str, body: str, attributes: dict[str, str]) -> None:
        """See Bus. Raises Refused when there is no such topic."""
        with self._lock:
            if topic not in self._messages:
                raise Refused(f"publishing to {topic}: expected one of {sorted(self._messages)}")
            self._messages[topic].append(Message(body, dict(attributes)))

    def messages(self, topic: str) -> tuple[Message, ...]:
        """All messages published to ``topic`` so far, oldest first."""
        with self._lock:
            return tuple(self._messages[topic])
