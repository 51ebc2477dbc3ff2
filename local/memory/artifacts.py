"""Reports in a dictionary."""

import itertools
import threading

from retraining.errors import Refused

LIMIT = 10_000_000  # bytes
MOST_FILES = 1000


class MemoryArtifacts:
    """Artifacts in this process. Safe between threads."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}
        self._generations: dict[str, str] = {}
        self._writes = itertools.count(1)
        self._lock = threading.Lock()

    def read(self, uri: str) -> bytes | None:
        """See Artifacts. Raises Refused when the file is larger than LIMIT."""
        _check(uri)
        with self._lock:
            body = self._files.get(uri)
        if body is not None and len(body) > LIMIT:
            raise Refused(f"{uri}: expected at most {LIMIT} bytes, found {len(body)}")
        return body

    def write(self, uri: str, body: bytes) -> None:
        """See Artifacts."""
        _check(uri)
        with self._lock:
            self._files[uri] = body
            self._generations[uri] = str(next(self._writes))

    def list(self, folder: str) -> dict[str, str]:
        """See Artifacts."""
        prefix = f"{folder.rstrip('/')}/"
        _check(prefix)
        with self._lock:
            found = {
                uri.removeprefix(prefix): generation
                for uri, generation in sorted(self._generations.items())
                if uri.startswith(prefix)
            }
        if len(found) > MOST_FILES:
            raise Refused(f"{folder}: expected at most {MOST_FILES} files, found more")
        return found


def _check(uri: str) -> None:
    bucket, _, path = uri.removeprefix("gs://").partition("/")
    if not uri.startswith("gs://") or not bucket or not path:
        raise Refused(f"expected gs://bucket/path, got {uri!r}")
