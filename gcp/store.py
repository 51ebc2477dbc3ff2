"""Records as objects in a bucket: Cloud Storage's generation numbers make them compare-and-swap.

An answer can be lost after the write took effect. The client then repeats the request and sees 412 although it won
itself, so a refused precondition is settled by reading the object back: our body there means that we wrote it.
"""

from contextlib import suppress

from google.api_core.exceptions import Forbidden, NotFound, PreconditionFailed
from google.cloud.storage import Client

from gcp.errors import translated
from gcp.storage import CALL_SECONDS, PATIENCE_SECONDS, patience
from retraining.errors import BadRecord, Conflict, Exists
from retraining.views import Stored

_NEW = "0"  # the generation of an object that does not exist


class GcsStore:
    """Store over one bucket."""

    def __init__(self, client: Client, bucket: str, patience_s: float = PATIENCE_SECONDS) -> None:
        self._bucket = client.bucket(bucket)
        self._retry = patience(patience_s)

    def create(self, path: str, body: str) -> str:
        """See Store."""
        version = self._write(path, body, _NEW) or self._own(path, body)
        if version is None:
            raise Exists(f"record {path}: expected none, found one")
        return version

    def read(self, path: str) -> Stored | None:
        """See Store."""
        blob = self._bucket.blob(path)
        with translated(f"reading record {path}"):
            try:
                # The answer carries content and generation together: no writer can come between them.
                body = blob.download_as_bytes(timeout=CALL_SECONDS, retry=self._retry)
            except NotFound:
                return None
        try:
            return Stored(body.decode(), str(blob.generation))
        except UnicodeDecodeError as error:
            raise BadRecord(f"record {path}: expected UTF-8 text, got {body[:20]!r}") from error

    def replace(self, path: str, body: str, version: str) -> str:
        """See Store."""
        written = self._write(path, body, version) or self._own(path, body)
        if written is None:
            raise Conflict(f"record {path}: expected version {version}, found another or none")
        return written

    def delete(self, path: str) -> None:
        """See Store."""
        with translated(f"deleting record {path}"), suppress(NotFound):
            self._bucket.blob(path).delete(timeout=CALL_SECONDS, retry=self._retry)

    def list(self, prefix: str) -> list[str]:
        """See Store."""
        with translated(f"listing records under {prefix}"):
            blobs = self._bucket.list_blobs(
                prefix=prefix,
                fields="items(name),nextPageToken",
                timeout=CALL_SECONDS,
                retry=self._retry,
            )
            return sorted(blob.name for blob in blobs)

    def _write(self, path: str, body: str, version: str) -> str | None:
        """The new version, or None when the object's generation is not ``version``."""
        blob = self._bucket.blob(path)
        with translated(f"writing record {path}"):
            try:
                blob.upload_from_string(
                    body.encode(),
                    content_type="application/json",
                    if_generation_match=int(version),
                    timeout=CALL_SECONDS,
                    retry=self._retry,
                )
            except PreconditionFailed:
                return None
            except Forbidden:
                # Who may only create may be told so before the precondition is looked at.
                if version != _NEW or self.read(path) is None:
                    raise
                return None
            return str(blob.generation)

    def _own(self, path: str, body: str) -> str | None:
        """The version of the object if it holds exactly ``body``: an earlier attempt of ours took effect."""
        stored = self.read(path)
        return stored.version if stored is not None and stored.body == body else None
