"""The Cloud Storage client that records and artefacts share, and how long either waits for an answer."""

import os

from google.api_core.retry import Retry
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Client
from google.cloud.storage.retry import DEFAULT_RETRY

from gcp.errors import translated

CALL_SECONDS = 10.0  # one attempt; a function has minutes, and a record is a few kilobytes
PATIENCE_SECONDS = 25.0  # all attempts together


def connect(project: str, address: str = "") -> Client:
    """A client for ``project``. ``address`` (``http://host:port``) names another server than Google's, without
    credentials; empty: what ``STORAGE_EMULATOR_HOST`` says, else Google's."""
    # The library would ask for the bucket itself now and then, only to label traces; nobody is granted that.
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    if not address:
        with translated("connecting to Cloud Storage"):
            return Client(project=project)
    nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]
    return Client(project=project, credentials=nobody, client_options={"api_endpoint": address})


def patience(seconds: float) -> Retry:
    """Repeat a call on passing faults for ``seconds`` altogether."""
    repeated: Retry = DEFAULT_RETRY.with_delay(initial=0.2, maximum=4.0, multiplier=2.0).with_timeout(seconds)
    return repeated
