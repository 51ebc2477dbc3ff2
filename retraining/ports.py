"""What the decisions need from outside, as small protocols that state their promises.

Every method may raise Temporary. Nothing here is atomic across two calls, and a call whose answer is lost may still
have taken effect: each mutating method says what makes it safe to repeat.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from retraining.modelspec import ModelSpec
from retraining.operations import Health
from retraining.views import (
    ArmCounts,
    DataCounts,
    DeployPlan,
    EndpointView,
    JobPlan,
    JobView,
    OperationView,
    SnapshotView,
    Stored,
    VersionPlan,
    VersionView,
    Watermark,
)

Clock = Callable[[], datetime]


class Store(Protocol):
    """Small JSON objects with compare-and-swap."""

    def create(self, path: str, body: str) -> str:
        """Write a new object and return its version. Raises Exists. Repeat-safe: the same body again succeeds."""

    def read(self, path: str) -> Stored | None:
        """The object's body and version, or None."""

    def replace(self, path: str, body: str, version: str) -> str:
        """Overwrite the object if it still has ``version``; return the new version. Raises Conflict.
        Repeat-safe: if the object already has exactly this body, it succeeds."""

    def delete(self, path: str) -> None:
        """Remove the object; nothing happens if it is gone."""

    def list(self, prefix: str) -> list[str]:
        """All paths that start with ``prefix``, sorted."""


class Warehouse(Protocol):
    """The rows. Every statement is bound by a partition filter and a limit on bytes billed."""

    def watermark(self, spec: ModelSpec, since: datetime | None, now: datetime) -> Watermark:
        """The newest labelled timestamp, and how many labelled rows came after ``since``."""

    def count_data(self, spec: ModelSpec, run_id: str, since: datetime, until: datetime) -> DataCounts:
        """Counts over the rows in [since, until) and over ordinary earlier ones. Raises Refused when the table or a
        column is missing."""

    def snapshot(self, spec: ModelSpec, run_id: str, until: datetime, uri: str) -> SnapshotView:
        """Export the training window's rows before ``until`` to ``uri``, by split. Repeat-safe by run_id."""

    def arms(self, spec: ModelSpec, since: datetime, until: datetime) -> dict[str, ArmCounts]:
        """Logged requests in [since, until) by deployed model id, with losses where labels have arrived."""


class Jobs(Protocol):
    """Vertex AI jobs. A create cannot be made exactly-once, so callers look up first and the job fences itself."""

    def find(self, run_id: str, kind: str) -> list[JobView]:
        """All jobs labelled with this run and kind, oldest first. May be stale."""

    def launch(self, plan: JobPlan) -> JobView:
        """Start a job. Not repeat-safe. Raises Refused when Vertex AI refuses the plan."""

    def view(self, name: str) -> JobView | None:
        """The job now, or None when there is none of this name."""

    def cancel(self, name: str) -> None:
        """Ask a job to stop. Repeat-safe; best effort."""


class Registry(Protocol):
    """Model versions."""

    def find(self, model: str, alias: str) -> VersionView | None:
        """The version that carries ``alias``, or None."""

    def upload(self, plan: VersionPlan) -> str:
        """Start registering a version and return the operation's name. Look up the alias first."""


class Endpoints(Protocol):
    """Online endpoints. Traffic changes only through ``set_traffic``."""

    def view(self, endpoint: str) -> EndpointView | None:
        """The endpoint of this display name (the newest, when several), or None."""

    def deployed(self) -> dict[str, int]:
        """How many models each endpoint holds, by display name; of several with one name, the fullest."""

    def deploy(self, plan: DeployPlan) -> str:
        """Start deploying without touching traffic; return the operation's name. The client-chosen id makes a
        repeat fail with Exists instead of deploying twice."""

    def set_traffic(self, endpoint: str, split: dict[str, int], etag: str) -> None:
        """Set the whole split if the endpoint still has ``etag``. Raises Conflict. ``split`` sums to 100."""

    def undeploy(self, endpoint: str, deployed_id: str) -> None:
        """Take away a deployed model that has no traffic (else Refused); nothing happens if it is gone."""


class Metrics(Protocol):
    """How deployed models serve."""

    def health(self, endpoint: str, since: datetime, until: datetime) -> dict[str, Health]:
        """What each deployed model of the endpoint (its resource name) answered in [since, until), as far as it can
        be known by now; one that answered nothing is missing. Two short calls, never repeated.
        Raises Refused as well."""


class Operations(Protocol):
    """Long-running operations."""

    def view(self, name: str) -> OperationView:
        """Whether the operation ended, and how."""


class Bus(Protocol):
    """Topics."""

    def publish(self, topic: str, body: str, attributes: dict[str, str]) -> None:
        """Publish one message. Not repeat-safe: receivers must accept it twice."""


class Artifacts(Protocol):
    """Reports that jobs wrote; never model files."""

    def read(self, uri: str) -> bytes | None:
        """The file's content (at most 10 MB), or None."""

    def write(self, uri: str, body: bytes) -> None:
        """Write a file; repeat-safe, since the path names its content."""

    def list(self, folder: str) -> dict[str, str]:
        """Every file below ``folder``: its path there → its generation, which changes whenever it is written, even
        with the same bytes. Empty when there is none. Raises Refused when there are over 1,000."""
