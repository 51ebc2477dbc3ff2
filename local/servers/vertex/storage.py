"""The Cloud Storage client of this server; ``STORAGE_EMULATOR_HOST`` says where it talks to."""

import os
from functools import cache
from typing import Any

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage


@cache
def _client(host: str | None) -> Any:
    if host:
        anonymous = AnonymousCredentials()  # type: ignore[no-untyped-call]
        return storage.Client(project="local", credentials=anonymous)
    return storage.Client()


def storage_client() -> Any:
    """The client. Without an emulator, Google's own default credentials are used."""
    return _client(os.environ.get("STORAGE_EMULATOR_HOST"))


def bucket_and_object(uri: str) -> tuple[str, str]:
    """The two parts of ``gs://BUCKET/OBJECT``. Raises ValueError."""
    bucket, slash, name = uri.removeprefix("gs://").partition("/")
    if not uri.startswith("gs://") or not bucket or not slash:
        raise ValueError(f"expected gs://BUCKET/OBJECT, got {uri!r}")
    return bucket, name


def any_object_under(prefix: str) -> bool:
    """Whether an object exists whose URI begins with ``prefix``."""
    bucket, name = bucket_and_object(prefix)
    return any(True for _ in storage_client().list_blobs(bucket, prefix=name, max_results=1))
