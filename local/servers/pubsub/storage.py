"""What must survive a restart: topics, subscriptions, snapshots and every message not yet acknowledged.

A publish is written before it is answered. Acknowledgements and attempt counts are written a moment later, many at
once: losing one in a crash only means that a message is delivered again, which Pub/Sub allows at any time.
``synchronous=OFF`` lets the operating system write to the disk when it likes; a killed process loses nothing.
"""

import sqlite3
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS resources (kind TEXT, name TEXT, body BLOB, PRIMARY KEY (kind, name));
CREATE TABLE IF NOT EXISTS deliveries (
    subscription TEXT, seq INTEGER, attempts INTEGER, acked INTEGER, arrived REAL, body BLOB,
    PRIMARY KEY (subscription, seq)
);
"""
_FLUSH_EVERY = 0.05
_DONE = "DELETE FROM deliveries WHERE subscription = ? AND seq = ?"
_KEPT = "UPDATE deliveries SET acked = 1 WHERE subscription = ? AND seq = ?"
_TRIED = "UPDATE deliveries SET attempts = ? WHERE subscription = ? AND seq = ?"

Row = tuple[int, int, float, bytes]
"""(seq, attempts, arrival in unix seconds, serialized message)"""


class Storage:
    """One SQLite file in ``folder``, or memory only when there is no folder. Safe for threads."""

    def __init__(self, folder: Path | None) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        path = ":memory:" if folder is None else str(folder / "pubsub.sqlite")
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(_SCHEMA)
        self._lock = threading.Lock()
        self._later: deque[tuple[str, tuple[object, ...]]] = deque()
        self._closed = threading.Event()
        self._flusher = threading.Thread(target=self._flush_often, name="pubsub-storage", daemon=True)
        self._flusher.start()

    def put(self, kind: str, name: str, body: bytes) -> None:
        """Write a topic, subscription or snapshot."""
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO resources VALUES (?, ?, ?)", (kind, name, body))

    def remove(self, kind: str, name: str) -> None:
        """Forget a topic, subscription or snapshot, and the messages kept under its name."""
        with self._transaction():
            self._db.execute("DELETE FROM resources WHERE kind = ? AND name = ?", (kind, name))
            self._db.execute("DELETE FROM deliveries WHERE subscription = ?", (name,))

    def resources(self, kind: str) -> list[tuple[str, bytes]]:
        """All (name, body) of one kind."""
        with self._lock:
            found = self._db.execute("SELECT name, body FROM resources WHERE kind = ? ORDER BY name", (kind,))
            return found.fetchall()

    def add(self, rows: Iterable[tuple[str, int, float, bytes]]) -> None:
        """Write new messages: (subscription, seq, arrival, body)."""
        with self._transaction():
            self._db.executemany("INSERT INTO deliveries VALUES (?, ?, 0, 0, ?, ?)", rows)

    def acknowledged(self, subscription: str, seq: int, keep: bool) -> None:
        """The message is done; ``keep`` it for a later seek, or forget it."""
        self._later.append((_KEPT if keep else _DONE, (subscription, seq)))

    def dropped(self, subscription: str, seq: int) -> None:
        """The message is too old to be kept in any way."""
        self._later.append((_DONE, (subscription, seq)))

    def attempted(self, subscription: str, seq: int, attempts: int) -> None:
        """Remember how often the message was delivered."""
        self._later.append((_TRIED, (attempts, subscription, seq)))

    def load(self, subscription: str, acked: bool = False) -> list[Row]:
        """The messages of a subscription or snapshot, oldest first."""
        self.flush()
        query = (
            "SELECT seq, attempts, arrived, body FROM deliveries WHERE subscription = ? AND acked = ? ORDER BY seq"
        )
        with self._lock:
            return self._db.execute(query, (subscription, int(acked))).fetchall()

    def mark(self, subscription: str, unacked: Iterable[int], keep_rest: bool) -> None:
        """After a seek, exactly ``unacked`` are to be delivered; the rest is kept as acknowledged, or forgotten."""
        self.flush()
        rest = _KEPT if keep_rest else _DONE
        with self._transaction():
            wanted = set(unacked)
            found = self._db.execute(
                "SELECT seq FROM deliveries WHERE subscription = ?", (subscription,)
            ).fetchall()
            self._db.executemany(rest, [(subscription, seq) for (seq,) in found if seq not in wanted])
            self._db.executemany(
                "UPDATE deliveries SET acked = 0 WHERE subscription = ? AND seq = ?",
                [(subscription, seq) for seq in wanted],
            )

    def copy(self, source: str, target: str) -> None:
        """Give ``target`` the unacknowledged messages of ``source``, in addition to its own."""
        self.flush()
        with self._transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO deliveries SELECT ?, seq, 0, 0, arrived, body FROM deliveries "
                "WHERE subscription = ? AND acked = 0",
                (target, source),
            )

    def drop_acked(self, subscription: str, arrived_before: float) -> None:
        """Forget acknowledged messages that arrived before that time (unix s)."""
        with self._lock:
            self._db.execute(
                "DELETE FROM deliveries WHERE subscription = ? AND acked = 1 AND arrived < ?",
                (subscription, arrived_before),
            )

    def last_seq(self) -> int:
        """The highest seq on record, 0 when there is none."""
        with self._lock:
            return int(self._db.execute("SELECT COALESCE(MAX(seq), 0) FROM deliveries").fetchone()[0])

    def flush(self) -> None:
        """Write what waits to be written."""
        waiting: dict[str, list[tuple[object, ...]]] = {}
        while self._later:
            statement, values = self._later.popleft()
            waiting.setdefault(statement, []).append(values)
        if waiting:
            with self._transaction():
                for statement, rows in waiting.items():
                    self._db.executemany(statement, rows)

    def close(self) -> None:
        """Write everything and close the file."""
        self._closed.set()
        self._flusher.join()
        self.flush()
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("BEGIN")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _flush_often(self) -> None:
        while not self._closed.wait(_FLUSH_EVERY):
            self.flush()
