"""Vertex AI endpoints.

Deploy and undeploy carry no traffic split, because neither takes an etag: a split in them would overwrite blindly.
Traffic moves only through UpdateEndpoint, which does take one.
"""

from google.api_core.exceptions import NotFound
from google.cloud.aiplatform_v1 import EndpointServiceClient
from google.cloud.aiplatform_v1 import types as vertex

from gcp.errors import translated
from gcp.vertex import CALL_SECONDS, READS, connect, machine_spec, parent, versioned
from retraining.errors import Conflict, Exists, Refused
from retraining.settings import Settings
from retraining.views import DeployPlan, EndpointView


class VertexEndpoints:
    """Endpoints over Vertex AI, found by display name."""

    def __init__(self, settings: Settings) -> None:
        self._client = connect(EndpointServiceClient, settings)
        self._parent = parent(settings)
        self._names: dict[str, str] = {}  # display name → resource name, once found

    def view(self, endpoint: str) -> EndpointView | None:
        """See Endpoints. Shares of 0 percent are left out."""
        found = self._get(endpoint)
        if found is None:
            return None
        return EndpointView(
            name=found.name,
            etag=found.etag,
            deployed={item.id: versioned(item.model, item.model_version_id) for item in found.deployed_models},
            split={key: share for key, share in found.traffic_split.items() if share},
        )

    def deployed(self) -> dict[str, int]:
        """See Endpoints. One list, whatever the number of endpoints; pages of 100."""
        held: dict[str, int] = {}
        with translated("listing endpoints"):
            request = {"parent": self._parent, "page_size": 100}
            for item in self._client.list_endpoints(request=request, timeout=CALL_SECONDS, retry=READS):
                held[item.display_name] = max(held.get(item.display_name, 0), len(item.deployed_models))
        return held

    def deploy(self, plan: DeployPlan) -> str:
        """See Endpoints. Raises Conflict when the endpoint is busy."""
        deployed = vertex.DeployedModel(
            id=plan.deployed_id,
            model=plan.version,
            display_name=plan.display_name,
            dedicated_resources=vertex.DedicatedResources(
                machine_spec=machine_spec(plan.machine),
                min_replica_count=plan.machine.replicas,
                max_replica_count=plan.machine.replicas,
            ),
            service_account=plan.account,
        )
        name = self._require(plan.endpoint).name
        try:
            with translated(f"deploying {plan.version} to {plan.endpoint}", precondition=Conflict):
                started = self._client.deploy_model(
                    endpoint=name, deployed_model=deployed, traffic_split={}, timeout=CALL_SECONDS
                )
        except Refused as error:
            # Which code answers a repeated id is not documented, so the endpoint itself settles it.
            if plan.deployed_id in self._require(plan.endpoint).deployed:
                raise Exists(f"{plan.endpoint}: {plan.deployed_id} is deployed already") from error
            raise
        return str(started.operation.name)

    def set_traffic(self, endpoint: str, split: dict[str, int], etag: str) -> None:
        """See Endpoints. Raises Refused when the split does not sum to 100 or names what is not deployed."""
        shares = {key: share for key, share in split.items() if share}
        if sum(shares.values()) != 100 or min(shares.values()) < 0:
            raise Refused(f"traffic of {endpoint}: expected shares that sum to 100, got {split}")
        changed = vertex.Endpoint(name=self._require(endpoint).name, traffic_split=shares, etag=etag)
        with translated(f"setting the traffic of {endpoint}", precondition=Conflict):
            self._client.update_endpoint(
                endpoint=changed, update_mask={"paths": ["traffic_split"]}, timeout=CALL_SECONDS
            )

    def undeploy(self, endpoint: str, deployed_id: str) -> None:
        """See Endpoints. Raises Conflict when the endpoint is busy."""
        seen = self._require(endpoint)
        if deployed_id not in seen.deployed:
            return
        if share := seen.split.get(deployed_id, 0):
            raise Refused(f"undeploying {deployed_id} from {endpoint}: expected no traffic, it has {share} percent")
        with translated(f"undeploying {deployed_id} from {endpoint}", precondition=Conflict):
            self._client.undeploy_model(
                endpoint=seen.name, deployed_model_id=deployed_id, traffic_split={}, timeout=CALL_SECONDS
            )

    def _require(self, endpoint: str) -> EndpointView:
        seen = self.view(endpoint)
        if seen is None:
            raise Refused(f"no endpoint with display name {endpoint!r} in {self._parent}")
        return seen

    def _get(self, endpoint: str) -> vertex.Endpoint | None:
        if known := self._names.get(endpoint):
            with translated(f"looking at endpoint {endpoint}"):
                try:
                    return self._client.get_endpoint(name=known, timeout=CALL_SECONDS, retry=READS)
                except NotFound:
                    del self._names[endpoint]  # deleted since; perhaps there is a new one
        return self._search(endpoint)

    def _search(self, endpoint: str) -> vertex.Endpoint | None:
        """The newest endpoint of this display name."""
        request = {
            "parent": self._parent,
            "filter": f'display_name="{endpoint}"',
            "order_by": "create_time desc",
        }
        with translated(f"looking for endpoint {endpoint}"):
            found = list(self._client.list_endpoints(request=request, timeout=CALL_SECONDS, retry=READS))
        same = [item for item in found if item.display_name == endpoint]
        if not same:
            return None
        newest = max(same, key=lambda item: item.create_time)
        self._names[endpoint] = newest.name
        return newest
