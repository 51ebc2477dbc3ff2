"""What every Registry promises, in memory and on Vertex AI's protocol."""

from dataclasses import dataclass

import pytest

from gcp.operations import VertexOperations
from gcp.registry import VertexRegistry
from local.memory.operations import MemoryOperations
from local.memory.registry import MemoryRegistry
from retraining.errors import Refused
from retraining.ports import Operations, Registry
from retraining.settings import Settings
from retraining.views import VersionPlan, VersionView
from tests.contract.vertex import fresh, until, version_plan


@dataclass(frozen=True)
class Shelf:
    """A registry with the operations it starts."""

    registry: Registry
    operations: Operations

    def upload(self, plan: VersionPlan) -> VersionView:
        """Register a version and wait; as its alias finds it."""
        operation = self.registry.upload(plan)
        until(lambda: self.operations.view(operation).done)
        assert self.operations.view(operation).error == ""
        found = self.registry.find(plan.model, plan.alias)
        assert found is not None
        return found


class RegistryContract:
    """Facts about any Registry."""

    def test_an_unknown_model_has_no_version(self, shelf: Shelf) -> None:
        assert shelf.registry.find(fresh("model"), "run-a") is None

    def test_a_registered_version_is_found_by_its_alias(self, shelf: Shelf) -> None:
        model = fresh("model")

        found = shelf.upload(version_plan(model, "run-a"))

        assert found.name.endswith(f"/models/{model}@1")
        assert found.labels == {"model": model, "run_id": "run-a"}
        assert found.artifact_uri == "gs://artifacts/runs/run-a/model"

    def test_an_unknown_alias_of_a_known_model_is_none(self, shelf: Shelf) -> None:
        model = fresh("model")
        shelf.upload(version_plan(model, "run-a"))

        assert shelf.registry.find(model, "run-b") is None

    def test_the_next_version_has_the_same_parent(self, shelf: Shelf) -> None:
        model = fresh("model")
        first = shelf.upload(version_plan(model, "run-a"))

        second = shelf.upload(version_plan(model, "run-b"))

        assert first.name.partition("@")[0] == second.name.partition("@")[0]
        assert second.name.endswith("@2")
        assert shelf.registry.find(model, "run-a") == first

    def test_an_unknown_operation_is_refused(self, shelf: Shelf) -> None:
        with pytest.raises(Refused, match="404"):
            shelf.operations.view("projects/acme/locations/us-central1/models/m/operations/404")


class TestMemoryRegistry(RegistryContract):
    """The promises in memory."""

    @pytest.fixture
    def shelf(self) -> Shelf:
        operations = MemoryOperations()
        return Shelf(MemoryRegistry(operations), operations)


class TestVertexRegistry(RegistryContract):
    """The promises on Vertex AI's protocol."""

    @pytest.fixture
    def shelf(self, cloud: Settings) -> Shelf:
        return Shelf(VertexRegistry(cloud), VertexOperations(cloud))
