"""The jobs, kept in one SQLite file so that a restart knows them, their state and their next slot."""

import sqlite3
import threading
from pathlib import Path
from typing import Any

from google.cloud.scheduler_v1 import types

_Job = types.Job.pb()


class JobStore:
    """Jobs by name, in ``folder`` or in memory only. Safe for threads."""

    def __init__(self, folder: Path | None) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        path = ":memory:" if folder is None else str(folder / "scheduler.sqlite")
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("CREATE TABLE IF NOT EXISTS jobs (name TEXT PRIMARY KEY, body BLOB)")
        self._lock = threading.Lock()

    def load(self) -> dict[str, Any]:
        """All jobs."""
        with self._lock:
            rows = self._db.execute("SELECT name, body FROM jobs ORDER BY name").fetchall()
        return {name: _Job.FromString(body) for name, body in rows}

    def put(self, job: Any) -> None:
        """Write one job."""
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO jobs VALUES (?, ?)", (job.name, job.SerializeToString()))

    def remove(self, name: str) -> None:
        """Forget one job."""
        with self._lock:
            self._db.execute("DELETE FROM jobs WHERE name = ?", (name,))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()
