"""The model registry: models, their numbered versions and the aliases that move between them.

A version is stored as ``MODEL@NUMBER``; every answer names the model without the number, which has its own field.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from local.servers.rpc import already_exists, failed_precondition, invalid, not_found
from local.servers.vertex import aliases
from local.servers.vertex.calls import Handler
from local.servers.vertex.errors import aborted
from local.servers.vertex.listing import page
from local.servers.vertex.messages import new, stamp
from local.servers.vertex.operations import Operations, empty
from local.servers.vertex.rules import (
    display_name,
    gcs_uri,
    labels,
    location_of,
    matches,
    merge,
    missing_field,
    required,
    update_paths,
)
from local.servers.vertex.store import Store

_KIND = "Model"
_OF_MODEL = ("display_name", "description", "labels")
_UPDATABLE = frozenset({*_OF_MODEL, "version_description", "metadata", "explanation_spec"})


class Models:
    """The calls about models."""

    def __init__(self, store: Store, operations: Operations, now: Callable[[], datetime]) -> None:
        self._store = store
        self._operations = operations
        self._now = now

    def handlers(self) -> Mapping[str, Handler]:
        """The calls about models and their versions."""
        return {
            "UploadModel": self._upload,
            "GetModel": lambda request: self.version(request.name),
            "ListModels": self._list,
            "ListModelVersions": self._list_versions,
            "UpdateModel": self._update,
            "MergeVersionAliases": self._merge_aliases,
            "DeleteModel": self._delete,
            "DeleteModelVersion": self._delete_version,
        }

    def version(self, name: str) -> Any:
        """The version that ``MODEL``, ``MODEL@NUMBER`` or ``MODEL@ALIAS`` means. Raises NOT_FOUND."""
        base, _, wanted = name.partition("@")
        if wanted.isdigit():
            return self._store.get(f"{base}@{wanted}", _KIND)
        for model in self.versions(base):
            if (wanted or aliases.DEFAULT) in model.version_aliases:
                return model
        raise not_found(f"The Model {name!r} was not found.")

    def versions(self, base: str) -> list[Any]:
        """All versions of a model, the oldest first."""
        return [model for model in self._store.children(base.rpartition("/")[0]) if model.name == base]

    def refer(self, name: str, endpoint: str, deployed_model: str) -> None:
        """Note on a version that it is deployed."""
        with self._store.edit(name, _KIND) as model:
            model.deployed_models.add(endpoint=endpoint, deployed_model_id=deployed_model)

    def unrefer(self, name: str, endpoint: str, deployed_model: str) -> None:
        """Note on a version that it is deployed there no more."""
        with self._store.edit(name, _KIND) as model:
            left = [
                ref
                for ref in model.deployed_models
                if (ref.endpoint, ref.deployed_model_id) != (endpoint, deployed_model)
            ]
            del model.deployed_models[:]
            model.deployed_models.extend(left)

    def upload(self, parent: str, wanted: Any, parent_model: str, model_id: str) -> Any:
        """Store a new model, or a new version of ``parent_model``. Returns the stored version. Raises RpcError."""
        _check_upload(wanted, model_id)
        with self._store.lock:
            base, number = self._number(parent, parent_model, model_id)
            model = new(_KIND)
            model.CopyFrom(wanted)
            model.ClearField("deployed_models")
            model.name, model.version_id = base, str(number)
            model.supported_deployment_resources_types[:] = [1]  # DEDICATED_RESOURCES
            if not model.supported_input_storage_formats:
                model.supported_input_storage_formats.extend(["jsonl", "bigquery", "csv"])
            first = self.versions(base)
            created = first[0].create_time if first else stamp(self._now())
            model.create_time.CopyFrom(created)
            model.version_create_time.CopyFrom(stamp(self._now()))
            self._touch(model)
            wanted_aliases = set(wanted.version_aliases) | (set() if first else {aliases.DEFAULT})
            self._take_aliases(base, wanted_aliases)
            model.version_aliases[:] = sorted(wanted_aliases)
            self._store.put(f"{base}@{number}", model)
        return model

    def _number(self, parent: str, parent_model: str, model_id: str) -> tuple[str, int]:
        if not parent_model:
            base = f"{parent}/models/{model_id or self._store.next_id()}"
            if self.versions(base):
                raise already_exists(
                    f"The Model {base!r} already exists; name it as parent_model to add a version."
                )
            return base, 1
        base = parent_model.partition("@")[0]
        if location_of(base) != parent:
            raise invalid(f"parent_model: expected a model of {parent}, got {parent_model!r}.")
        versions = self.versions(base)
        if not versions:
            raise not_found(f"The Model {base!r} was not found.")
        return base, max(int(version.version_id) for version in versions) + 1

    def _touch(self, model: Any) -> None:
        moment = stamp(self._now())
        model.update_time.CopyFrom(moment)
        model.version_update_time.CopyFrom(moment)
        model.etag = f"AMEw9y{self._store.next_id()}"

    def _take_aliases(self, base: str, taken: set[str]) -> None:
        for version in self.versions(base):
            if taken & set(version.version_aliases):
                with self._store.edit(f"{base}@{version.version_id}", _KIND) as model:
                    model.version_aliases[:] = [alias for alias in model.version_aliases if alias not in taken]

    def _upload(self, request: Any) -> Any:
        required(request, "parent")
        model = self.upload(request.parent, request.model, request.parent_model, request.model_id)
        response = new("UploadModelResponse", model=model.name, model_version_id=model.version_id)
        return self._operations.finished(model.name, "UploadModelOperationMetadata", response)

    def _list(self, request: Any) -> Any:
        everything = self._store.children(f"{request.parent}/models")
        current = [model for model in everything if aliases.DEFAULT in model.version_aliases]
        return page(current, request, new("ListModelsResponse"))

    def _list_versions(self, request: Any) -> Any:
        versions = self.versions(request.name.partition("@")[0])
        if not versions:
            raise not_found(f"The Model {request.name!r} was not found.")
        return page(versions, request, new("ListModelVersionsResponse"))

    def _update(self, request: Any) -> Any:
        paths = update_paths(request.update_mask, _UPDATABLE, _KIND)
        with self._store.lock:
            found = self.version(request.model.name)
            if request.model.etag and request.model.etag != found.etag:
                raise aborted(
                    f"The etag of {found.name!r} is {found.etag!r}, the request has {request.model.etag!r}."
                )
            for version in self.versions(found.name):
                # A name, a description and labels belong to the model, so to every version.
                mine = [
                    p for p in paths if version.version_id == found.version_id or p.partition(".")[0] in _OF_MODEL
                ]
                if mine:
                    with self._store.edit(f"{found.name}@{version.version_id}", _KIND) as draft:
                        merge(mine, request.model, draft)
                        display_name(draft.display_name, "model.display_name")
                        labels(draft.labels)
                        self._touch(draft)
            return self._store.get(f"{found.name}@{found.version_id}", _KIND)

    def _merge_aliases(self, request: Any) -> Any:
        if not request.version_aliases:
            raise missing_field("version_aliases")
        added, removed = aliases.split_changes(request.version_aliases)
        with self._store.lock:
            found = self.version(request.name)
            self._take_aliases(found.name, set(added))
            name = f"{found.name}@{found.version_id}"
            with self._store.edit(name, _KIND) as draft:
                draft.version_aliases[:] = sorted((set(draft.version_aliases) | set(added)) - set(removed))
                self._touch(draft)
            return self._store.get(name, _KIND)

    def _delete(self, request: Any) -> Any:
        with self._store.lock:
            if "@" in request.name:
                raise invalid(f"DeleteModel takes a model without a version, got {request.name!r}.")
            versions = self.versions(request.name)
            if not versions:
                raise not_found(f"The Model {request.name!r} was not found.")
            for version in versions:
                _refuse_deployed(version)
            for version in versions:
                self._store.delete(f"{version.name}@{version.version_id}")
        return self._operations.finished(request.name, "DeleteOperationMetadata", empty())

    def _delete_version(self, request: Any) -> Any:
        if "@" not in request.name:
            raise invalid(f"DeleteModelVersion needs MODEL@VERSION, got {request.name!r}.")
        with self._store.lock:
            version = self.version(request.name)
            _refuse_deployed(version)
            if aliases.DEFAULT in version.version_aliases:
                raise failed_precondition(
                    f"Version {version.version_id} of {version.name!r} is the default: give the alias 'default' to "
                    "another version first, or delete the whole model."
                )
            self._store.delete(f"{version.name}@{version.version_id}")
        return self._operations.finished(version.name, "DeleteOperationMetadata", empty())


def _check_upload(model: Any, model_id: str) -> None:
    display_name(model.display_name, "model.display_name")
    labels(model.labels)
    if not model.HasField("container_spec"):
        raise missing_field("model.container_spec")
    if not model.container_spec.image_uri:
        raise missing_field("model.container_spec.image_uri")
    if model.artifact_uri:
        gcs_uri(model.artifact_uri, "model.artifact_uri")
    if model_id:
        matches(r"[a-z_][a-z0-9_-]{0,62}", model_id, "model_id")
    for alias in model.version_aliases:
        aliases.check(alias)


def _refuse_deployed(model: Any) -> None:
    for ref in model.deployed_models:
        raise failed_precondition(
            f"Version {model.version_id} of {model.name!r} is deployed on {ref.endpoint!r} "
            f"as {ref.deployed_model_id}: undeploy it first."
        )
