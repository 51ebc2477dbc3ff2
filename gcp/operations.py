"""Vertex AI's long-running operations, looked at and never waited for."""

from google.cloud.aiplatform_v1 import EndpointServiceClient

from gcp.errors import translated
from gcp.vertex import CALL_SECONDS, READS, connect
from retraining.settings import Settings
from retraining.views import OperationView


class VertexOperations:
    """Operations over Vertex AI."""

    def __init__(self, settings: Settings) -> None:
        # Operations are a service of their own that every client of Vertex AI carries along.
        self._client = connect(EndpointServiceClient, settings)

    def view(self, name: str) -> OperationView:
        """See Operations. Raises Refused when there is no such operation."""
        with translated(f"looking at operation {name}"):
            found = self._client.get_operation(request={"name": name}, timeout=CALL_SECONDS, retry=READS)
        return OperationView(found.done, found.error.message if found.HasField("error") else "")
