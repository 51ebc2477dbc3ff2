"""The services that the searches use keep the promises of the real ones: the same contract suites run on them.

Skipped, each by its name, is what the searches never ask for: there is one endpoint, and no tuning.
"""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from retraining.views import JobState, JobView
from tests.contract.test_endpoints import EndpointsContract
from tests.contract.test_jobs import JobsContract
from tests.contract.test_store import StoreContract
from tests.contract.vertex import deploy_plan
from tests.prove.cloud import Box, Cloud, PlainEndpoints, PlainJobs, PlainStore
from tests.unit.build import NOW

NOWHERE: frozenset[str] = frozenset()


class OneByOne:
    """A handler whose calls happen at once, one after the other whatever the threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, name: str, act: Callable[[str], Any], *, point: bool) -> Any:
        """See Call."""
        with self._lock:
            return act("")


@pytest.fixture
def box() -> Box:
    return Box(Cloud(NOW))


class TestPlainStore(StoreContract):
    """The promises of a store."""

    @pytest.fixture
    def store(self, box: Box) -> PlainStore:
        return PlainStore(box, OneByOne(), NOWHERE)


class TestPlainJobs(JobsContract):
    """The promises of jobs."""

    @pytest.fixture
    def word(self) -> str:
        return "/nowhere"

    @pytest.fixture
    def jobs(self, box: Box) -> PlainJobs:
        return PlainJobs(box, OneByOne(), NOWHERE)

    @pytest.fixture
    def end(self, box: Box) -> Callable[[str, JobState], JobView]:
        def finish(name: str, state: JobState) -> JobView:
            error = "it broke" if state is JobState.FAILED else ""
            box.cloud = box.cloud.end_job(name, state, error)
            return box.cloud.jobs[name]

        return finish

    @pytest.mark.skip("the searches tune nothing")
    def test_tuning_shows_its_trials(self) -> None:
        """See JobsContract."""

    @pytest.mark.skip("the searches tune nothing")
    def test_tuning_without_ranges_is_refused(self) -> None:
        """See JobsContract."""


class Site:
    """The one endpoint."""

    version = "projects/local/locations/us-central1/models/flights@1"

    def __init__(self, box: Box) -> None:
        self._box = box
        self.endpoints = PlainEndpoints(box, OneByOne(), NOWHERE, lambda cloud, what, subject: None)

    def add(self) -> str:
        """See Site."""
        return "flights"

    def again(self, endpoint: str) -> None:
        """See Site."""
        raise AssertionError("there is one endpoint")

    def deploy(self, endpoint: str, deployed_id: str) -> None:
        """See Site."""
        name = self.endpoints.deploy(deploy_plan(endpoint, self.version, deployed_id))
        self._box.cloud = self._box.cloud.end_operation(name)

    def fail_to_deploy(self, endpoint: str, deployed_id: str) -> str:
        """See Site."""
        name = self.endpoints.deploy(deploy_plan(endpoint, self.version, deployed_id))
        self._box.cloud = self._box.cloud.end_operation(name, "the model cannot be loaded")
        return self._box.cloud.operations[name].error


class TestPlainEndpoints(EndpointsContract):
    """The promises of endpoints."""

    @pytest.fixture
    def site(self, box: Box) -> Site:
        return Site(box)

    @pytest.mark.skip("there is one endpoint")
    def test_the_newest_of_one_name_is_found(self) -> None:
        """See EndpointsContract."""

    @pytest.mark.skip("there is one endpoint")
    def test_deployed_models_are_counted_for_every_endpoint(self) -> None:
        """See EndpointsContract."""
