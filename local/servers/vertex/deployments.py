"""Deploying: a model version gets a server, then a place on the endpoint, then its share of the traffic.

The operation is done when the server answers its health route. Until then the endpoint shows nothing of it, so a
deployment that fails leaves the endpoint as it was.
"""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from local.servers.rpc import RpcError, already_exists, failed_precondition, invalid, not_found
from local.servers.vertex import traffic
from local.servers.vertex.calls import Handler
from local.servers.vertex.endpoints import Endpoints
from local.servers.vertex.images import CannotRun
from local.servers.vertex.messages import new, stamp
from local.servers.vertex.models import Models
from local.servers.vertex.operations import Operations
from local.servers.vertex.rules import matches, merge, required, update_paths
from local.servers.vertex.servers import Deployment, ModelServer, ModelServers
from local.servers.vertex.store import Store

_MUTABLE = frozenset({"dedicated_resources", "automatic_resources", "disable_container_logging"})
_DEPLOYED_ID = r"[1-9][0-9]{0,9}"


class Deployments:
    """The calls that deploy, change and undeploy models."""

    def __init__(
        self,
        store: Store,
        operations: Operations,
        endpoints: Endpoints,
        models: Models,
        servers: ModelServers,
        now: Callable[[], datetime],
        limit_s: float,
    ) -> None:
        self._store = store
        self._operations = operations
        self._endpoints = endpoints
        self._models = models
        self._servers = servers
        self._now = now
        self._limit_s = limit_s
        self._pending: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def handlers(self) -> Mapping[str, Handler]:
        """DeployModel, MutateDeployedModel and UndeployModel."""
        return {"DeployModel": self._deploy, "MutateDeployedModel": self._mutate, "UndeployModel": self._undeploy}

    def restart_servers(self) -> None:
        """After a restart, start the servers of everything that is deployed, without waiting for them."""
        for name, endpoint in self._store.under("projects/", "endpoints"):
            for deployed in endpoint.deployed_models:
                model = self._models.version(f"{deployed.model}@{deployed.model_version_id}")
                try:
                    self._servers.start(Deployment(name, deployed.id, model))
                except CannotRun:
                    # The image was known when it was deployed; predictions will say that nothing answers.
                    continue

    def _deploy(self, request: Any) -> Any:
        required(request, "endpoint", "deployed_model.model")
        model = self._models.version(request.deployed_model.model)
        wanted = request.deployed_model
        _check_resources(wanted)
        deployed = _copy(wanted)
        with self._lock:
            endpoint = self._endpoints.get(request.endpoint)
            taken = {other.id for other in endpoint.deployed_models}
            deployed.id = self._id(wanted.id, endpoint.name, taken)
            traffic.after_deploy(endpoint.traffic_split, request.traffic_split, taken, deployed.id)
            self._pending.add((endpoint.name, deployed.id))
        deployed.model, deployed.model_version_id = model.name, model.version_id
        deployed.display_name = deployed.display_name or model.display_name

        def work() -> Any:
            try:
                return self._bring_up(
                    Deployment(endpoint.name, deployed.id, model), deployed, request.traffic_split
                )
            finally:
                with self._lock:
                    self._pending.discard((endpoint.name, deployed.id))

        return self._operations.start(endpoint.name, "DeployModelOperationMetadata", work)

    def _id(self, wanted: str, endpoint: str, taken: set[str]) -> str:
        if not wanted:
            return self._store.next_id()
        matches(_DEPLOYED_ID, wanted, "deployed_model.id")
        if wanted in taken or (endpoint, wanted) in self._pending:
            raise already_exists(f"The DeployedModel {wanted} already exists on {endpoint!r}.")
        return wanted

    def _bring_up(self, deployment: Deployment, deployed: Any, split: Mapping[str, int]) -> Any:
        try:
            server = self._servers.start(deployment)
        except CannotRun as error:
            raise failed_precondition(str(error)) from error
        try:
            self._await_health(deployment, server)
            deployed.create_time.CopyFrom(stamp(self._now()))
            with self._endpoints.edit(deployment.endpoint) as draft:
                taken = {other.id for other in draft.deployed_models}
                after = traffic.after_deploy(draft.traffic_split, split, taken, deployed.id)
                draft.deployed_models.add().CopyFrom(deployed)
                draft.traffic_split.clear()
                draft.traffic_split.update(after)
                self._models.refer(_version_name(deployed), deployment.endpoint, deployed.id)
        except RpcError:
            self._servers.stop(deployment.endpoint, deployment.id)
            raise
        return new("DeployModelResponse", deployed_model=deployed)

    def _await_health(self, deployment: Deployment, server: ModelServer) -> None:
        own = deployment.model.container_spec.deployment_timeout
        limit = own.seconds + own.nanos / 1e9 or self._limit_s
        if server.wait_ready(limit):
            return
        if server.failure:
            raise failed_precondition(f"Model server exited unexpectedly: {server.failure}")
        raise failed_precondition(
            f"Model server never became ready: GET {deployment.health_route} did not answer 200 within {limit:g} s."
            f" Its last lines:\n{server.tail()}"
        )

    def _mutate(self, request: Any) -> Any:
        required(request, "endpoint", "deployed_model.id")
        paths = update_paths(request.update_mask, _MUTABLE, "DeployedModel")
        with self._endpoints.edit(request.endpoint) as draft:
            deployed = _deployed(draft, request.deployed_model.id)
            merge(paths, request.deployed_model, deployed)
            _check_resources(deployed)
            response = new("MutateDeployedModelResponse", deployed_model=deployed)
        return self._operations.finished(request.endpoint, "MutateDeployedModelOperationMetadata", response)

    def _undeploy(self, request: Any) -> Any:
        required(request, "endpoint", "deployed_model_id")
        with self._endpoints.edit(request.endpoint) as draft:
            gone = _copy(_deployed(draft, request.deployed_model_id))
            ids = [deployed.id for deployed in draft.deployed_models]
            after = traffic.after_undeploy(draft.traffic_split, request.traffic_split, ids, gone.id)
            del draft.deployed_models[ids.index(gone.id)]
            draft.traffic_split.clear()
            draft.traffic_split.update(after)
            self._models.unrefer(_version_name(gone), request.endpoint, gone.id)

        def work() -> Any:
            self._servers.stop(request.endpoint, gone.id)
            return new("UndeployModelResponse")

        return self._operations.start(request.endpoint, "UndeployModelOperationMetadata", work)


def _deployed(endpoint: Any, wanted: str) -> Any:
    for deployed in endpoint.deployed_models:
        if deployed.id == wanted:
            return deployed
    raise not_found(f"The DeployedModel {wanted!r} of {endpoint.name!r} was not found.")


def _copy(message: Any) -> Any:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def _version_name(deployed: Any) -> str:
    return f"{deployed.model}@{deployed.model_version_id}"


def _check_resources(deployed: Any) -> None:
    kind = deployed.WhichOneof("prediction_resources")
    if kind is None:
        raise invalid(
            "deployed_model: one of dedicated_resources, automatic_resources or shared_resources must be set."
        )
    if kind == "shared_resources":
        return
    resources = getattr(deployed, kind)
    low, high = resources.min_replica_count, resources.max_replica_count
    if kind == "dedicated_resources" and not resources.machine_spec.machine_type:
        raise invalid("Required field is not set: deployed_model.dedicated_resources.machine_spec.machine_type.")
    if kind == "dedicated_resources" and low < 1:
        raise invalid(f"deployed_model.dedicated_resources.min_replica_count: expected at least 1, got {low}.")
    if high and high < low:
        raise invalid(f"deployed_model.{kind}.max_replica_count {high} is less than min_replica_count {low}.")
