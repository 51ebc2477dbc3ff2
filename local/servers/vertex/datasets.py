"""Tabular datasets: a name and where their rows are."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from local.servers.vertex.calls import Handler
from local.servers.vertex.errors import aborted
from local.servers.vertex.listing import page
from local.servers.vertex.messages import new, stamp
from local.servers.vertex.operations import Operations, empty
from local.servers.vertex.rules import display_name, labels, merge, required, update_paths
from local.servers.vertex.store import Store

_KIND = "Dataset"
_UPDATABLE = frozenset({"display_name", "description", "labels"})


class Datasets:
    """The calls about datasets."""

    def __init__(self, store: Store, operations: Operations, now: Callable[[], datetime]) -> None:
        self._store = store
        self._operations = operations
        self._now = now

    def handlers(self) -> Mapping[str, Handler]:
        """The calls about datasets."""
        return {
            "CreateDataset": self._create,
            "GetDataset": lambda request: self._store.get(request.name, _KIND),
            "ListDatasets": lambda request: page(
                self._store.children(f"{request.parent}/datasets"), request, new("ListDatasetsResponse")
            ),
            "UpdateDataset": self._update,
            "DeleteDataset": self._delete,
        }

    def _create(self, request: Any) -> Any:
        required(request, "parent", "dataset.metadata_schema_uri", "dataset.metadata")
        display_name(request.dataset.display_name, "dataset.display_name")
        labels(request.dataset.labels)
        dataset = new(_KIND)
        dataset.CopyFrom(request.dataset)
        dataset.name = f"{request.parent}/datasets/{self._store.next_id()}"
        dataset.create_time.CopyFrom(stamp(self._now()))
        self._touch(dataset)
        self._store.put(dataset.name, dataset)
        return self._operations.finished(dataset.name, "CreateDatasetOperationMetadata", dataset)

    def _touch(self, dataset: Any) -> None:
        dataset.update_time.CopyFrom(stamp(self._now()))
        dataset.etag = f"AMEw9y{self._store.next_id()}"

    def _update(self, request: Any) -> Any:
        paths = update_paths(request.update_mask, _UPDATABLE, _KIND)
        with self._store.edit(request.dataset.name, _KIND) as draft:
            if request.dataset.etag and request.dataset.etag != draft.etag:
                raise aborted(
                    f"The etag of {draft.name!r} is {draft.etag!r}, the request has {request.dataset.etag!r}."
                )
            merge(paths, request.dataset, draft)
            display_name(draft.display_name, "dataset.display_name")
            labels(draft.labels)
            self._touch(draft)
        return self._store.get(request.dataset.name, _KIND)

    def _delete(self, request: Any) -> Any:
        self._store.get(request.name, _KIND)
        self._store.delete(request.name)
        return self._operations.finished(request.name, "DeleteOperationMetadata", empty())
