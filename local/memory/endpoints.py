"""Endpoints in a dictionary, with Vertex AI's rules: what it refuses is refused here."""

import itertools
import threading
from dataclasses import replace

from local.memory.operations import MemoryOperations
from retraining.errors import Conflict, Exists, Refused
from retraining.views import DeployPlan, EndpointView

_PARENT = "projects/local/locations/us-central1"


class MemoryEndpoints:
    """Endpoints in this process. Safe between threads."""

    def __init__(self, operations: MemoryOperations, *endpoints: str) -> None:
        self._operations = operations
        self._numbers = itertools.count(1)
        self._endpoints: dict[str, EndpointView] = {}
        self._deploying: set[tuple[str, str]] = set()  # endpoint and id of deployments under way
        self._lock = threading.Lock()
        for name in endpoints:
            self.add(name)

    def add(self, endpoint: str) -> None:
        """Make an endpoint without models; one of the same display name before it is no longer found."""
        with self._lock:
            name = f"{_PARENT}/endpoints/{next(self._numbers)}"
            self._endpoints[endpoint] = EndpointView(name, self._etag(), {}, {})

    def view(self, endpoint: str) -> EndpointView | None:
        """See Endpoints."""
        with self._lock:
            return self._endpoints.get(endpoint)

    def deployed(self) -> dict[str, int]:
        """See Endpoints."""
        with self._lock:
            return {name: len(seen.deployed) for name, seen in self._endpoints.items()}

    def deploy(self, plan: DeployPlan) -> str:
        """See Endpoints."""
        key = plan.endpoint, plan.deployed_id
        with self._lock:
            seen = self._require(plan.endpoint)
            if plan.deployed_id in seen.deployed or key in self._deploying:
                raise Exists(f"{plan.endpoint}: {plan.deployed_id} is deployed already")
            self._deploying.add(key)

        def finish(error: str) -> None:
            with self._lock:
                self._deploying.discard(key)
                if not error:
                    seen = self._require(plan.endpoint)
                    self._put(plan.endpoint, replace(seen, deployed={**seen.deployed, key[1]: plan.version}))

        return self._operations.start(seen.name, finish)

    def set_traffic(self, endpoint: str, split: dict[str, int], etag: str) -> None:
        """See Endpoints. Raises Refused when the split does not sum to 100 or names what is not deployed."""
        shares = {key: share for key, share in split.items() if share}
        with self._lock:
            seen = self._require(endpoint)
            if sum(shares.values()) != 100 or min(shares.values()) < 0:
                raise Refused(f"traffic of {endpoint}: expected shares that sum to 100, got {split}")
            if missing := sorted(shares.keys() - seen.deployed.keys()):
                raise Refused(f"traffic of {endpoint}: {missing[0]} is not deployed")
            if etag != seen.etag:
                raise Conflict(f"traffic of {endpoint}: expected etag {etag}, found {seen.etag}")
            self._put(endpoint, replace(seen, split=shares))

    def undeploy(self, endpoint: str, deployed_id: str) -> None:
        """See Endpoints."""
        with self._lock:
            seen = self._require(endpoint)
            if share := seen.split.get(deployed_id, 0):
                raise Refused(
                    f"undeploying {deployed_id} from {endpoint}: expected no traffic, it has {share} percent"
                )
            if deployed_id in seen.deployed:
                kept = {key: version for key, version in seen.deployed.items() if key != deployed_id}
                self._put(endpoint, replace(seen, deployed=kept))

    def _require(self, endpoint: str) -> EndpointView:
        if endpoint not in self._endpoints:
            raise Refused(f"no endpoint with display name {endpoint!r}")
        return self._endpoints[endpoint]

    def _put(self, endpoint: str, view: EndpointView) -> None:
        self._endpoints[endpoint] = replace(view, etag=self._etag())

    def _etag(self) -> str:
        return f"etag-{next(self._numbers)}"
