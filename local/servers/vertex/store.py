"""Keeps every resource in one SQLite file, so that a restart finds them all.

A stored message is never changed in place: ``edit`` works on a copy and swaps it in. So a reader may hold,
serialize or compare what it got while other threads write, and the predict path reads without waiting for the disk.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pool, message_factory

from local.servers.rpc import not_found

_FIRST_ID = 4_000_000_000_000_000_000
_SCHEMA = """
create table if not exists resources (name text primary key, type text not null, body blob not null);
create table if not exists counter (id integer primary key check (id = 1), next integer not null);
insert or ignore into counter values (1, 1);
"""


class Store:
    """Resources by name, in the order of their creation. All methods may be called from any thread."""

    def __init__(self, path: Path) -> None:
        self.lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript("pragma journal_mode=wal; pragma synchronous=off;" + _SCHEMA)
        self._items: dict[str, Any] = {}
        self._collections: dict[str, dict[str, None]] = {}
        for name, kind, body in self._db.execute("select name, type, body from resources order by rowid"):
            self._remember(name, _message_class(kind).FromString(body))

    def next_id(self) -> str:
        """A number never given before, with as many digits as Google's."""
        with self.lock:
            (number,) = self._db.execute("update counter set next = next + 1 returning next").fetchone()
        return str(_FIRST_ID + number * 1_048_576)

    def find(self, name: str) -> Any | None:
        """The resource, not to be changed, or None."""
        return self._items.get(name)

    def get(self, name: str, kind: str) -> Any:
        """The resource, not to be changed. Raises NOT_FOUND, naming its ``kind``."""
        found = self._items.get(name)
        if found is None:
            raise not_found(f"The {kind} {name!r} was not found.")
        return found

    def put(self, name: str, message: Any) -> Any:
        """Create or replace a resource; returns ``message``, which nobody may change from now on."""
        with self.lock:
            self._db.execute(
                "insert into resources values (?, ?, ?) on conflict (name) do update set body = excluded.body",
                (name, message.DESCRIPTOR.full_name, message.SerializeToString()),
            )
            self._remember(name, message)
        return message

    def delete(self, name: str) -> None:
        """Forget a resource; unknown names are no error."""
        with self.lock:
            self._db.execute("delete from resources where name = ?", (name,))
            self._items.pop(name, None)
            self._collections.get(name.rpartition("/")[0], {}).pop(name, None)

    @contextmanager
    def edit(self, name: str, kind: str) -> Iterator[Any]:
        """A copy to change, stored when the block ends without an error. Raises NOT_FOUND."""
        with self.lock:
            current = self.get(name, kind)
            draft = type(current)()
            draft.CopyFrom(current)
            yield draft
            self.put(name, draft)

    def children(self, collection: str) -> list[Any]:
        """Every resource named ``collection/ID``, the oldest first."""
        with self.lock:
            return [self._items[name] for name in self._collections.get(collection, {})]

    def under(self, prefix: str, collection: str) -> list[tuple[str, Any]]:
        """Every (name, resource) below ``prefix`` whose last collection is ``collection``, the oldest first."""
        with self.lock:
            return [
                (name, self._items[name])
                for path, names in self._collections.items()
                if path.startswith(prefix) and path.rpartition("/")[2] == collection
                for name in names
            ]

    def close(self) -> None:
        """Close the file."""
        with self.lock:
            self._db.close()

    def _remember(self, name: str, message: Any) -> None:
        self._items[name] = message
        self._collections.setdefault(name.rpartition("/")[0], {}).setdefault(name)


def _message_class(full_name: str) -> Any:
    return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(full_name))
