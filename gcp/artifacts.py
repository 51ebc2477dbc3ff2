"""Reports that jobs wrote, read whole, and lists of files: a function never reads a model, let alone loads one."""

from google.api_core.exceptions import NotFound
from google.cloud.storage import Blob, Client

from gcp.errors import translated
from gcp.storage import CALL_SECONDS, PATIENCE_SECONDS, patience
from retraining.errors import Refused
from retraining.names import split_uri

LIMIT = 10_000_000  # bytes
MOST_FILES = 1000


class GcsArtifacts:
    """Artifacts in any bucket that the caller may read and write."""

    def __init__(self, client: Client, patience_s: float = PATIENCE_SECONDS) -> None:
        self._client = client
        self._retry = patience(patience_s)

    def read(self, uri: str) -> bytes | None:
        """See Artifacts. Raises Refused when the file is larger than LIMIT."""
        blob = self._blob(uri)
        with translated(f"reading {uri}"):
            try:
                blob.reload(timeout=CALL_SECONDS, retry=self._retry)
                if blob.size > LIMIT:
                    raise Refused(f"{uri}: expected at most {LIMIT} bytes, found {blob.size}")
                content: bytes = blob.download_as_bytes(timeout=CALL_SECONDS, retry=self._retry)
            except NotFound:
                return None
        return content

    def write(self, uri: str, body: bytes) -> None:
        """See Artifacts."""
        with translated(f"writing {uri}"):
            self._blob(uri).upload_from_string(
                body,
                content_type="application/octet-stream",
                timeout=CALL_SECONDS,
                retry=self._retry,
            )

    def list(self, folder: str) -> dict[str, str]:
        """See Artifacts."""
        prefix = f"{folder.rstrip('/')}/"
        bucket, path = self._place(prefix)
        with translated(f"listing {folder}"):
            listed = self._client.list_blobs(
                bucket,
                prefix=path,
                max_results=MOST_FILES + 1,
                fields="items(name,generation),nextPageToken",
                timeout=CALL_SECONDS,
                retry=self._retry,
            )
            found = {blob.name.removeprefix(path): str(blob.generation) for blob in listed}
        if len(found) > MOST_FILES:
            raise Refused(f"{folder}: expected at most {MOST_FILES} files, found more")
        return found

    def _blob(self, uri: str) -> Blob:
        bucket, path = self._place(uri)
        return self._client.bucket(bucket).blob(path)

    def _place(self, uri: str) -> tuple[str, str]:
        bucket, path = split_uri(uri)
        if not uri.startswith("gs://") or not bucket or not path:
            raise Refused(f"expected gs://bucket/path, got {uri!r}")
        return bucket, path
