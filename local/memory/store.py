"""Records in a dictionary, with generation numbers."""

import itertools
import threading

from retraining.errors import Conflict, Exists
from retraining.views import Stored


class MemoryStore:
    """Store in this process. Safe between threads."""

    def __init__(self) -> None:
        self._objects: dict[str, Stored] = {}
        self._generations = itertools.count(1)
        self._lock = threading.Lock()

    def create(self, path: str, body: str) -> str:
        """See Store."""
        with self._lock:
            found = self._objects.get(path)
            if found is None:
                return self._put(path, body)
            if found.body == body:
                return found.version
        raise Exists(f"record {path}: expected none, found one")

    def read(self, path: str) -> Stored | None:
        """See Store."""
        with self._lock:
            return self._objects.get(path)

    def replace(self, path: str, body: str, version: str) -> str:
        """See Store."""
        with self._lock:
            found = self._objects.get(path)
            if found is not None and found.version == version:
                return self._put(path, body)
            if found is not None and found.body == body:
                return found.version
        raise Conflict(f"record {path}: expected version {version}, found another or none")

    def delete(self, path: str) -> None:
        """See Store."""
        with self._lock:
            self._objects.pop(path, None)

    def list(self, prefix: str) -> list[str]:
        """See Store."""
        with self._lock:
            return sorted(path for path in self._objects if path.startswith(prefix))

    def _put(self, path: str, body: str) -> str:
        stored = Stored(body, str(next(self._generations)))
        self._objects[path] = stored
        return stored.version
