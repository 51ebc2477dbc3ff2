"""Messages to Pub/Sub topics, sent at once and waited for: a function may be frozen as soon as it returns."""

from functools import cached_property
from typing import TYPE_CHECKING

from gcp.errors import translated

if TYPE_CHECKING:
    from google.cloud.pubsub_v1 import PublisherClient

_PATIENCE_SECONDS = 30.0


class PubsubBus:
    """Bus over the topics of one project. The client is imported and built when the first message leaves."""

    def __init__(self, project: str, patience_s: float = _PATIENCE_SECONDS) -> None:
        self._project = project
        self._patience = patience_s

    def publish(self, topic: str, body: str, attributes: dict[str, str]) -> None:
        """See Bus. Raises Refused when there is no such topic."""
        path = f"projects/{self._project}/topics/{topic}"
        with translated(f"publishing to {path}"):
            sent = self._client.publish(path, body.encode(), timeout=self._patience, **attributes)
            sent.result(timeout=self._patience)

    @cached_property
    def _client(self) -> "PublisherClient":
        from google.cloud.pubsub_v1 import PublisherClient
        from google.cloud.pubsub_v1.types import BatchSettings

        return PublisherClient(batch_settings=BatchSettings(max_messages=1))  # nothing to wait for
