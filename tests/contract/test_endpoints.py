"""What every Endpoints promises, in memory and on Vertex AI's protocol."""

from functools import partial
from typing import Protocol

import pytest
from google.cloud.aiplatform_v1 import Endpoint, EndpointServiceClient

from gcp.endpoints import VertexEndpoints
from gcp.operations import VertexOperations
from gcp.registry import VertexRegistry
from gcp.vertex import connect, parent
from local.memory.endpoints import MemoryEndpoints
from local.memory.operations import MemoryOperations
from retraining.errors import Conflict, Exists, Refused
from retraining.ports import Endpoints
from retraining.settings import Settings
from retraining.views import EndpointView
from tests.contract.vertex import deploy_plan, fresh, until, version_plan

A, B, C = "1000000001", "1000000002", "1000000003"


class Site(Protocol):
    """Endpoints, and what it takes to use them."""

    endpoints: Endpoints
    version: str  # one that can be deployed

    def add(self) -> str:
        """Make an endpoint; its display name."""

    def again(self, endpoint: str) -> None:
        """Make another endpoint of the same display name."""

    def deploy(self, endpoint: str, deployed_id: str) -> None:
        """Deploy a version and wait."""

    def fail_to_deploy(self, endpoint: str, deployed_id: str) -> str:
        """Deploy a version that does not start, wait, and return the operation's error."""


def seen(site: Site, endpoint: str) -> EndpointView:
    """The endpoint as it is now."""
    view = site.endpoints.view(endpoint)
    assert view is not None
    return view


def shift(site: Site, endpoint: str, split: dict[str, int]) -> None:
    """Set the traffic with the etag of this moment."""
    site.endpoints.set_traffic(endpoint, split, seen(site, endpoint).etag)


class EndpointsContract:
    """Facts about any Endpoints."""

    def test_an_unknown_endpoint_is_none(self, site: Site) -> None:
        assert site.endpoints.view(fresh("nowhere")) is None

    def test_deployed_models_are_counted_for_every_endpoint(self, site: Site) -> None:
        full, empty = site.add(), site.add()
        site.deploy(full, A)

        held = site.endpoints.deployed()

        assert (held[full], held[empty]) == (1, 0)

    def test_a_new_endpoint_is_empty(self, site: Site) -> None:
        view = seen(site, site.add())

        assert view.deployed == {}
        assert view.split == {}
        assert view.etag

    def test_the_newest_of_one_name_is_found(self, site: Site) -> None:
        endpoint = site.add()
        site.again(endpoint)
        site.deploy(endpoint, A)

        site.again(endpoint)

        assert seen(other_process(site), endpoint).deployed == {}

    def test_deploying_leaves_the_traffic_alone(self, site: Site) -> None:
        endpoint = site.add()

        site.deploy(endpoint, A)

        assert seen(site, endpoint).deployed == {A: site.version}
        assert seen(site, endpoint).split == {}

    def test_deploying_an_id_again_fails_with_exists(self, site: Site) -> None:
        endpoint = site.add()
        site.deploy(endpoint, A)

        with pytest.raises(Exists):
            site.endpoints.deploy(deploy_plan(endpoint, site.version, A))
        assert seen(site, endpoint).deployed == {A: site.version}

    def test_a_version_that_does_not_start_is_not_deployed(self, site: Site) -> None:
        endpoint = site.add()

        error = site.fail_to_deploy(endpoint, A)

        assert error
        assert seen(site, endpoint).deployed == {}

    def test_traffic_moves_with_the_etag_that_was_read(self, site: Site) -> None:
        endpoint = site.add()
        for deployed_id in (A, B):
            site.deploy(endpoint, deployed_id)

        shift(site, endpoint, {A: 95, B: 5})

        assert seen(site, endpoint).split == {A: 95, B: 5}

    def test_shares_of_zero_are_left_out(self, site: Site) -> None:
        endpoint = site.add()
        for deployed_id in (A, B):
            site.deploy(endpoint, deployed_id)

        shift(site, endpoint, {A: 0, B: 100})

        assert seen(site, endpoint).split == {B: 100}

    def test_traffic_does_not_move_with_a_stale_etag(self, site: Site) -> None:
        endpoint = site.add()
        for deployed_id in (A, B):
            site.deploy(endpoint, deployed_id)
        etag = seen(site, endpoint).etag
        site.endpoints.set_traffic(endpoint, {A: 95, B: 5}, etag)

        with pytest.raises(Conflict):
            site.endpoints.set_traffic(endpoint, {B: 100}, etag)
        assert seen(site, endpoint).split == {A: 95, B: 5}

    @pytest.mark.parametrize("split", [{A: 99}, {A: 101}, {}, {A: 110, B: -10}, {C: 100}])
    def test_a_split_that_cannot_be_is_refused(self, site: Site, split: dict[str, int]) -> None:
        endpoint = site.add()
        for deployed_id in (A, B):
            site.deploy(endpoint, deployed_id)
        shift(site, endpoint, {A: 100})

        with pytest.raises(Refused):
            shift(site, endpoint, split)
        assert seen(site, endpoint).split == {A: 100}

    def test_a_model_with_traffic_is_not_taken_away(self, site: Site) -> None:
        endpoint = site.add()
        for deployed_id in (A, B):
            site.deploy(endpoint, deployed_id)
        shift(site, endpoint, {A: 99, B: 1})

        with pytest.raises(Refused, match="1 percent"):
            site.endpoints.undeploy(endpoint, B)
        assert B in seen(site, endpoint).deployed

    def test_a_model_without_traffic_is_taken_away_once(self, site: Site) -> None:
        endpoint = site.add()
        for deployed_id in (A, B):
            site.deploy(endpoint, deployed_id)
        shift(site, endpoint, {A: 100})

        site.endpoints.undeploy(endpoint, B)
        until(lambda: B not in seen(site, endpoint).deployed)
        site.endpoints.undeploy(endpoint, B)

        assert seen(site, endpoint).deployed == {A: site.version}
        assert seen(site, endpoint).split == {A: 100}

    def test_undeploying_leaves_the_traffic_alone(self, site: Site) -> None:
        endpoint = site.add()
        for deployed_id in (A, B, C):
            site.deploy(endpoint, deployed_id)
        shift(site, endpoint, {A: 60, B: 40})

        site.endpoints.undeploy(endpoint, C)
        until(lambda: C not in seen(site, endpoint).deployed)

        assert seen(site, endpoint).split == {A: 60, B: 40}

    def test_an_id_may_return_after_it_was_taken_away(self, site: Site) -> None:
        endpoint = site.add()
        site.deploy(endpoint, A)
        site.endpoints.undeploy(endpoint, A)
        until(lambda: A not in seen(site, endpoint).deployed)

        site.deploy(endpoint, A)

        assert A in seen(site, endpoint).deployed

    def test_acting_on_an_unknown_endpoint_is_refused_by_name(self, site: Site) -> None:
        nowhere = fresh("nowhere")

        with pytest.raises(Refused, match=nowhere):
            site.endpoints.deploy(deploy_plan(nowhere, site.version, A))
        with pytest.raises(Refused, match=nowhere):
            site.endpoints.set_traffic(nowhere, {A: 100}, "etag")
        with pytest.raises(Refused, match=nowhere):
            site.endpoints.undeploy(nowhere, A)


def other_process(site: Site) -> Site:
    """The same endpoints, seen by somebody who remembers nothing."""
    return site.forgetful() if isinstance(site, CloudSite) else site


class MemorySite:
    """Endpoints in memory."""

    version = "projects/local/locations/us-central1/models/flights@1"

    def __init__(self) -> None:
        self.operations = MemoryOperations()
        self.endpoints = MemoryEndpoints(self.operations)

    def add(self) -> str:
        name = fresh("endpoint")
        self.endpoints.add(name)
        return name

    def again(self, endpoint: str) -> None:
        self.endpoints.add(endpoint)

    def deploy(self, endpoint: str, deployed_id: str) -> None:
        self.endpoints.deploy(deploy_plan(endpoint, self.version, deployed_id))

    def fail_to_deploy(self, endpoint: str, deployed_id: str) -> str:
        self.operations.at_once = False
        operation = self.endpoints.deploy(deploy_plan(endpoint, self.version, deployed_id))
        assert not self.operations.view(operation).done
        self.operations.end(operation, "the model cannot be loaded")
        return self.operations.view(operation).error


class CloudSite:
    """Endpoints of the local Vertex AI."""

    def __init__(self, settings: Settings, version: str, broken: str) -> None:
        self._settings, self.version, self._broken = settings, version, broken
        self.endpoints = VertexEndpoints(settings)
        self._operations = VertexOperations(settings)
        self._client = connect(EndpointServiceClient, settings)

    def forgetful(self) -> "CloudSite":
        return CloudSite(self._settings, self.version, self._broken)

    def add(self) -> str:
        name = fresh("endpoint")
        self.again(name)
        return name

    def again(self, endpoint: str) -> None:
        made = self._client.create_endpoint(parent=parent(self._settings), endpoint=Endpoint(display_name=endpoint))
        until(lambda: self._operations.view(made.operation.name).done)

    def deploy(self, endpoint: str, deployed_id: str) -> None:
        operation = self.endpoints.deploy(deploy_plan(endpoint, self.version, deployed_id))
        until(lambda: self._operations.view(operation).done)
        assert self._operations.view(operation).error == ""

    def fail_to_deploy(self, endpoint: str, deployed_id: str) -> str:
        operation = self.endpoints.deploy(deploy_plan(endpoint, self._broken, deployed_id))
        until(lambda: self._operations.view(operation).done)
        return self._operations.view(operation).error


class TestMemoryEndpoints(EndpointsContract):
    """The promises in memory."""

    @pytest.fixture
    def site(self) -> MemorySite:
        return MemorySite()


def ended(operations: VertexOperations, operation: str) -> bool:
    """Whether the operation is over."""
    return operations.view(operation).done


@pytest.fixture(scope="module")
def versions(cloud: Settings) -> tuple[str, str]:
    """A version that starts and one that does not."""
    registry, operations = VertexRegistry(cloud), VertexOperations(cloud)
    names = []
    for alias, args in (("run-sound", ()), ("run-broken", ("--broken",))):
        operation = registry.upload(version_plan("served", alias, *args))
        until(partial(ended, operations, operation))
        found = registry.find("served", alias)
        assert found is not None
        names.append(found.name)
    return names[0], names[1]


class TestVertexEndpoints(EndpointsContract):
    """The promises on Vertex AI's protocol."""

    @pytest.fixture
    def site(self, cloud: Settings, versions: tuple[str, str]) -> CloudSite:
        return CloudSite(cloud, *versions)
