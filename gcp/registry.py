"""Model versions in Vertex AI's registry: one parent per model, and an alias by which a run finds its version."""

from google.api_core.exceptions import NotFound
from google.cloud.aiplatform_v1 import ModelServiceClient
from google.cloud.aiplatform_v1 import types as vertex

from gcp.errors import translated
from gcp.vertex import CALL_SECONDS, READS, connect, parent, versioned
from retraining.settings import Settings
from retraining.views import VersionPlan, VersionView

PORT = 8080
HEALTH_ROUTE = "/health"
PREDICT_ROUTE = "/predict"


class VertexRegistry:
    """Registry over Vertex AI."""

    def __init__(self, settings: Settings) -> None:
        self._client = connect(ModelServiceClient, settings)
        self._parent = parent(settings)

    def find(self, model: str, alias: str) -> VersionView | None:
        """See Registry."""
        found = self._get(f"{self._name(model)}@{alias}")
        if found is None:
            return None
        return VersionView(versioned(found.name, found.version_id), dict(found.labels), found.artifact_uri)

    def upload(self, plan: VersionPlan) -> str:
        """See Registry. The first version of a model makes its parent."""
        request = vertex.UploadModelRequest(parent=self._parent, model=_model(plan))
        if self._get(self._name(plan.model)) is None:
            request.model_id = plan.model
        else:
            request.parent_model = self._name(plan.model)
        with translated(f"registering a version of {plan.model}"):
            started = self._client.upload_model(request=request, timeout=CALL_SECONDS)
        return str(started.operation.name)

    def _name(self, model: str) -> str:
        return f"{self._parent}/models/{model}"

    def _get(self, name: str) -> vertex.Model | None:
        with translated(f"looking for {name}"):
            try:
                return self._client.get_model(name=name, timeout=CALL_SECONDS, retry=READS)
            except NotFound:
                return None


def _model(plan: VersionPlan) -> vertex.Model:
    return vertex.Model(
        display_name=plan.model,
        version_aliases=[plan.alias],
        version_description=plan.description,
        labels=plan.labels,
        artifact_uri=plan.artifact_uri,
        container_spec=vertex.ModelContainerSpec(
            image_uri=plan.image,
            command=list(plan.command),
            args=list(plan.args),
            ports=[vertex.Port(container_port=PORT)],
            health_route=HEALTH_ROUTE,
            predict_route=PREDICT_ROUTE,
        ),
    )
