"""Endpoints as resources: create, find, change, delete. Every change gives the endpoint a new etag."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from local.servers.rpc import already_exists, failed_precondition, invalid
from local.servers.vertex import traffic
from local.servers.vertex.calls import Handler
from local.servers.vertex.errors import aborted
from local.servers.vertex.listing import page
from local.servers.vertex.messages import new, stamp
from local.servers.vertex.operations import Operations, empty
from local.servers.vertex.rules import (
    display_name,
    labels,
    last,
    matches,
    merge,
    required,
    split_parent,
    update_paths,
)
from local.servers.vertex.store import Store

_KIND = "Endpoint"
_LOGGING = "predict_request_response_logging_config"
_UPDATABLE = frozenset({"display_name", "description", "labels", "traffic_split", _LOGGING})
_ID = r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?|[1-9][0-9]{0,8}"


class Endpoints:
    """The calls about endpoints themselves."""

    def __init__(self, store: Store, operations: Operations, now: Callable[[], datetime]) -> None:
        self._store = store
        self._operations = operations
        self._now = now

    def handlers(self) -> Mapping[str, Handler]:
        """The calls about endpoints, without those that deploy."""
        return {
            "CreateEndpoint": self._create,
            "GetEndpoint": lambda request: self.get(request.name),
            "ListEndpoints": lambda request: page(
                self._store.children(f"{request.parent}/endpoints"), request, new("ListEndpointsResponse")
            ),
            "UpdateEndpoint": self._update,
            "DeleteEndpoint": self._delete,
        }

    def get(self, name: str) -> Any:
        """The endpoint, not to be changed. Raises NOT_FOUND."""
        return self._store.get(name, _KIND)

    @contextmanager
    def edit(self, name: str) -> Iterator[Any]:
        """A copy to change; when the block ends it is stored with a new etag. Raises NOT_FOUND."""
        with self._store.edit(name, _KIND) as draft:
            yield draft
            self._touch(draft)

    def _touch(self, endpoint: Any) -> None:
        endpoint.update_time.CopyFrom(stamp(self._now()))
        endpoint.etag = f"AMEw9y{self._store.next_id()}"

    def _create(self, request: Any) -> Any:
        required(request, "parent")
        display_name(request.endpoint.display_name, "endpoint.display_name")
        labels(request.endpoint.labels)
        if request.endpoint_id:
            matches(_ID, request.endpoint_id, "endpoint_id")
        if request.endpoint.deployed_models or request.endpoint.traffic_split:
            raise invalid(
                "endpoint: deployed_models and traffic_split are set by DeployModel, not when it is created."
            )
        endpoint = new(_KIND)
        endpoint.CopyFrom(request.endpoint)
        with self._store.lock:
            endpoint.name = f"{request.parent}/endpoints/{request.endpoint_id or self._store.next_id()}"
            if self._store.find(endpoint.name) is not None:
                raise already_exists(f"The Endpoint {endpoint.name!r} already exists.")
            _complete_logging(endpoint)
            endpoint.create_time.CopyFrom(stamp(self._now()))
            self._touch(endpoint)
            self._store.put(endpoint.name, endpoint)
        return self._operations.finished(endpoint.name, "CreateEndpointOperationMetadata", endpoint)

    def _update(self, request: Any) -> Any:
        paths = update_paths(request.update_mask, _UPDATABLE, _KIND)
        required(request, "endpoint.name")
        with self.edit(request.endpoint.name) as draft:
            etag = request.endpoint.etag
            if etag and etag != draft.etag:
                raise aborted(f"The Endpoint {draft.name!r} has changed: its etag is {draft.etag!r}, got {etag!r}.")
            merge(paths, request.endpoint, draft)
            display_name(draft.display_name, "endpoint.display_name")
            labels(draft.labels)
            traffic.check(draft.traffic_split, [deployed.id for deployed in draft.deployed_models])
            _complete_logging(draft)
        return self.get(request.endpoint.name)

    def _delete(self, request: Any) -> Any:
        with self._store.lock:
            endpoint = self.get(request.name)
            if endpoint.deployed_models:
                ids = [deployed.id for deployed in endpoint.deployed_models]
                raise failed_precondition(
                    f"The Endpoint {request.name!r} has deployed models {ids}: undeploy them first."
                )
            self._store.delete(request.name)
        return self._operations.finished(request.name, "DeleteOperationMetadata", empty())


def _complete_logging(endpoint: Any) -> None:
    """Check the request-response logging and name the table that Vertex AI names by default."""
    if not endpoint.HasField(_LOGGING):
        return
    config = getattr(endpoint, _LOGGING)
    if not config.enabled:
        return
    if not 0 < config.sampling_rate <= 1:
        raise invalid(f"{_LOGGING}.sampling_rate: expected a number in (0, 1], got {config.sampling_rate}.")
    uri = config.bigquery_destination.output_uri
    parts = uri.removeprefix("bq://").split(".") if uri else [split_parent(endpoint.name)[0]]
    if (uri and not uri.startswith("bq://")) or len(parts) > 3 or not all(parts):
        raise invalid(
            f"{_LOGGING}.bigquery_destination.output_uri: expected bq://PROJECT.DATASET.TABLE, got {uri!r}."
        )
    name = "".join(c if c.isalnum() else "_" for c in f"{endpoint.display_name}_{last(endpoint.name)}")
    complete = [*parts, f"logging_{name}", "request_response_logging"] if len(parts) == 1 else parts
    if len(parts) == 2:
        complete = [*parts, "request_response_logging"]
    config.bigquery_destination.output_uri = "bq://" + ".".join(complete)
