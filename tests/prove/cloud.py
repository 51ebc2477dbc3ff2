"""The services as plain values: a cloud that can be kept, compared and gone back to.

The same promises as the servers in memory (test_plain_servers.py runs the contract suites on these), without locks,
closures or chance.
Each call comes by ``Calls``, which decides whether it happens.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from retraining.errors import Conflict, Exists, Refused, Temporary
from retraining.ports import Clock
from retraining.views import (
    ArmCounts,
    DataCounts,
    DeployPlan,
    EndpointView,
    JobPlan,
    JobState,
    JobView,
    OperationView,
    SnapshotView,
    Stored,
    VersionPlan,
    VersionView,
    Watermark,
)

PARENT = "projects/p/locations/us-central1"
ENDPOINT = "flights"  # the only one
_NONCE = re.compile(r'"nonce":"[^"]*"')
_HISTORY = re.compile(r'"history":\[.*?\](?=,"[a-z_]+":|\})')


@dataclass(frozen=True)
class Op:
    """A long-running operation: what it will do, and how it ended."""

    kind: str  # deploy or upload
    subject: tuple[str, str]
    done: bool = False
    error: str = ""


@dataclass(frozen=True)
class Cloud:
    """Everything outside the engines at one moment. Never changed: every event makes another one."""

    now: datetime
    objects: Mapping[str, tuple[str, int]] = field(default_factory=dict)  # path → body, how often written
    writes: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)  # artefacts by uri
    jobs: Mapping[str, JobView] = field(default_factory=dict)
    operations: Mapping[str, Op] = field(default_factory=dict)
    versions: Mapping[str, VersionView] = field(default_factory=dict)  # by alias
    etag: int = 1
    deployed: Mapping[str, str] = field(default_factory=dict)
    split: Mapping[str, int] = field(default_factory=dict)
    champion: str = ""  # id of the model that served at the start
    facts: tuple[str, ...] = ()  # what the promises need to remember

    @cached_property
    def mark(self) -> bytes:
        """Equal for clouds that no engine could tell apart, times and histories left out."""
        objects = sorted((path, _HISTORY.sub("", body), n) for path, (body, n) in self.objects.items())
        jobs = sorted((name, job.state.value) for name, job in self.jobs.items())
        rest = (
            self.now, objects, sorted(self.files), jobs, sorted(self.operations.items()), sorted(self.versions),
            self.etag, sorted(self.deployed), sorted(self.split.items()), self.facts,
        )  # fmt: skip
        return hashlib.blake2b(repr(rest).encode(), digest_size=12).digest()

    def __repr__(self) -> str:
        return self.mark.hex()

    def put(self, path: str, body: str) -> tuple["Cloud", str]:
        """With an object written, and its version."""
        count = self.writes.get(path, 0) + 1
        body = _NONCE.sub('"nonce":""', body)
        changed = {**self.objects, path: (body, count)}
        return replace(self, objects=changed, writes={**self.writes, path: count}), str(count)

    def pass_time(self, by: timedelta) -> "Cloud":
        """Later."""
        return replace(self, now=self.now + by)

    def end_job(self, name: str, state: JobState, error: str = "") -> "Cloud":
        """A job ends."""
        job = self.jobs[name]
        ended = replace(job, state=state, started=job.started or self.now, ended=self.now, error=error)
        return replace(self, jobs={**self.jobs, name: ended})

    def end_operation(self, name: str, error: str = "") -> "Cloud":
        """An operation ends, and has its effect unless it failed."""
        op = self.operations[name]
        after = replace(self, operations={**self.operations, name: replace(op, done=True, error=error)})
        if error:
            return after
        key, value = op.subject
        if op.kind == "upload":
            return replace(
                after, versions={**self.versions, key: VersionView(f"{PARENT}/models/m@{key}", {}, value)}
            )
        return replace(after, deployed={**self.deployed, key: value}, etag=self.etag + 1)


Call = Callable[..., Any]


@dataclass
class Box:
    """The cloud that a handler's calls change."""

    cloud: Cloud


class _Port:
    def __init__(self, box: Box, call: Call, points: frozenset[str]) -> None:
        self._box, self._call, self._points = box, call, points

    def _do(self, name: str, act: Callable[[Cloud], tuple[Cloud, Any]], *, writes: bool, about: str = "") -> Any:
        """Let ``act`` happen: lost, its effect takes place and the answer does not come; down, nothing does."""

        def perform(variant: str) -> Any:
            if variant == "down":
                raise Temporary(f"{name}: unreachable")
            after, value = act(self._box.cloud)
            self._box.cloud = after
            if variant == "lost":
                raise Temporary(f"{name}: the answer was lost")
            return value

        return self._call(f"{name} {about}".strip(), perform, point=writes or name in self._points)


class PlainStore(_Port):
    """Store."""

    def create(self, path: str, body: str) -> str:
        """See Store."""
        if path.startswith("events/"):
            return "1"  # write-only: nobody here reads it

        def act(cloud: Cloud) -> tuple[Cloud, str]:
            found = cloud.objects.get(path)
            if found is not None and found[0] == body and '"nonce"' not in body:
                return cloud, str(found[1])  # a body without a nonce is anybody's own
            if found is not None:
                raise Exists(f"record {path}: expected none, found one")
            return cloud.put(path, body)

        return str(self._do("create", act, writes=True, about=path))

    def read(self, path: str) -> Stored | None:
        """See Store."""

        def act(cloud: Cloud) -> tuple[Cloud, Stored | None]:
            found = cloud.objects.get(path)
            return cloud, Stored(found[0], str(found[1])) if found else None

        point = f"read {path.split('/')[0]}" in self._points
        found = self._call(f"read {path}", lambda variant: self._answer(act, variant), point=point)
        assert found is None or isinstance(found, Stored)
        return found

    def replace(self, path: str, body: str, version: str) -> str:
        """See Store."""

        def act(cloud: Cloud) -> tuple[Cloud, str]:
            found = cloud.objects.get(path)
            if found is not None and found[0] == body and '"nonce"' not in body:
                return cloud, str(found[1])  # see create
            if found is None or str(found[1]) != version:
                raise Conflict(f"record {path}: expected version {version}, found another or none")
            return cloud.put(path, body)

        return str(self._do("replace", act, writes=True, about=path))

    def delete(self, path: str) -> None:
        """See Store."""

        def act(cloud: Cloud) -> tuple[Cloud, None]:
            return replace(cloud, objects={p: o for p, o in cloud.objects.items() if p != path}), None

        self._do("delete", act, writes=True, about=path)

    def list(self, prefix: str) -> list[str]:
        """See Store."""

        def act(cloud: Cloud) -> tuple[Cloud, list[str]]:
            return cloud, sorted(path for path in cloud.objects if path.startswith(prefix))

        found = self._do("list", act, writes=False, about=prefix)
        assert isinstance(found, list)
        return list(found)

    def _answer(self, act: Callable[[Cloud], tuple[Cloud, Any]], variant: str) -> Any:
        if variant in ("down", "lost"):
            raise Temporary("read: unreachable")
        return act(self._box.cloud)[1]


class PlainJobs(_Port):
    """Jobs. A list may lag behind: with the variant ``stale`` it shows none of what is not named in a record."""

    def find(self, run_id: str, kind: str) -> list[JobView]:
        """See Jobs."""

        def perform(variant: str) -> list[JobView]:
            if variant == "stale":
                return []
            if variant in ("down", "lost"):
                raise Temporary("find: unreachable")
            wanted = {"run_id": run_id, "kind": kind}
            return [job for job in self._box.cloud.jobs.values() if wanted.items() <= job.labels.items()]

        return list(self._call(f"find {kind}", perform, point="find" in self._points))

    def launch(self, plan: JobPlan) -> JobView:
        """See Jobs."""

        def act(cloud: Cloud) -> tuple[Cloud, JobView]:
            if not plan.image:
                raise Refused(f"{plan.kind} job of {plan.run_id}: expected an image, got none")
            name = f"{PARENT}/customJobs/{len(cloud.jobs) + 1}"
            labels = {**plan.labels, "run_id": plan.run_id, "kind": plan.kind}
            labels |= {"nonce": ""} if "nonce" in labels else {}
            job = JobView(name, plan.kind, JobState.WAITING, labels, cloud.now)
            fact = f"created {plan.kind} job of {plan.run_id}"
            return replace(cloud, jobs={**cloud.jobs, name: job}, facts=(*cloud.facts, fact)), job

        job = self._do("launch", act, writes=True, about=plan.kind)
        assert isinstance(job, JobView)
        return job

    def view(self, name: str) -> JobView | None:
        """See Jobs."""
        job = self._do("view", lambda cloud: (cloud, cloud.jobs.get(name)), writes=False, about=name)
        assert job is None or isinstance(job, JobView)
        return job

    def cancel(self, name: str) -> None:
        """See Jobs."""

        def act(cloud: Cloud) -> tuple[Cloud, None]:
            job = cloud.jobs.get(name)
            if job is None or job.state.ended:
                return cloud, None
            ended = replace(job, state=JobState.CANCELLED, ended=cloud.now)
            return replace(cloud, jobs={**cloud.jobs, name: ended}), None

        self._do("cancel", act, writes=True, about=name)


class PlainEndpoints(_Port):
    """Endpoints: one, with Vertex AI's rules. What is asked of it is held against the promises at once."""

    def __init__(
        self, box: Box, call: Call, points: frozenset[str], watch: Callable[[Cloud, str, Any], None]
    ) -> None:
        super().__init__(box, call, points)
        self._watch = watch

    def view(self, endpoint: str) -> EndpointView | None:
        """See Endpoints."""

        def act(cloud: Cloud) -> tuple[Cloud, EndpointView | None]:
            if endpoint != ENDPOINT:
                return cloud, None
            return cloud, EndpointView(
                f"{PARENT}/endpoints/1", str(cloud.etag), dict(cloud.deployed), dict(cloud.split)
            )

        view = self._do("look at endpoint", act, writes=False)
        assert view is None or isinstance(view, EndpointView)
        return view

    def deployed(self) -> dict[str, int]:
        """See Endpoints."""
        return {ENDPOINT: len(self._box.cloud.deployed)}

    def deploy(self, plan: DeployPlan) -> str:
        """See Endpoints."""

        def act(cloud: Cloud) -> tuple[Cloud, str]:
            _known(plan.endpoint)
            under_way = any(op.subject[0] == plan.deployed_id and not op.done for op in cloud.operations.values())
            if plan.deployed_id in cloud.deployed or under_way:
                raise Exists(f"{plan.deployed_id} is deployed already")
            self._watch(cloud, "deploy", plan)
            return _begin(cloud, Op("deploy", (plan.deployed_id, plan.version)))

        return str(self._do("deploy", act, writes=True, about=plan.deployed_id))

    def set_traffic(self, endpoint: str, split: dict[str, int], etag: str) -> None:
        """See Endpoints."""

        def act(cloud: Cloud) -> tuple[Cloud, None]:
            _known(endpoint)
            if etag != str(cloud.etag):
                raise Conflict("the endpoint's etag is another")
            self._watch(cloud, "set_traffic", split)
            if sum(split.values()) != 100 or min(split.values()) < 0 or not split.keys() <= cloud.deployed.keys():
                raise Refused(f"split {split} of {sorted(cloud.deployed)}")
            shares = {key: share for key, share in split.items() if share}
            return replace(cloud, split=shares, etag=cloud.etag + 1), None

        self._do("set traffic", act, writes=True, about=str(split))

    def undeploy(self, endpoint: str, deployed_id: str) -> None:
        """See Endpoints."""

        def act(cloud: Cloud) -> tuple[Cloud, None]:
            _known(endpoint)
            if deployed_id not in cloud.deployed:
                return cloud, None
            if cloud.split.get(deployed_id):
                raise Refused(f"{deployed_id} has {cloud.split[deployed_id]} percent of the traffic")
            self._watch(cloud, "undeploy", deployed_id)
            rest = {key: value for key, value in cloud.deployed.items() if key != deployed_id}
            return replace(cloud, deployed=rest, etag=cloud.etag + 1), None

        self._do("undeploy", act, writes=True, about=deployed_id)


class PlainRegistry(_Port):
    """Registry."""

    def find(self, model: str, alias: str) -> VersionView | None:
        """See Registry."""
        found = self._do("find version", lambda cloud: (cloud, cloud.versions.get(alias)), writes=False)
        assert found is None or isinstance(found, VersionView)
        return found

    def upload(self, plan: VersionPlan) -> str:
        """See Registry."""
        act = lambda cloud: _begin(cloud, Op("upload", (plan.alias, plan.artifact_uri)))  # noqa: E731
        return str(self._do("upload", act, writes=True))


class PlainOperations(_Port):
    """Operations."""

    def view(self, name: str) -> OperationView:
        """See Operations."""

        def act(cloud: Cloud) -> tuple[Cloud, OperationView]:
            op = cloud.operations.get(name)
            if op is None:
                raise Refused(f"no operation {name}")
            return cloud, OperationView(op.done, op.error)

        view = self._do("look at operation", act, writes=False)
        assert isinstance(view, OperationView)
        return view


class PlainArtifacts(_Port):
    """Artifacts. Writes here are read by jobs only, so nobody comes between."""

    def read(self, uri: str) -> bytes | None:
        """See Artifacts."""
        body = self._do("read file", lambda cloud: (cloud, cloud.files.get(uri)), writes=False, about=uri)
        assert body is None or isinstance(body, bytes)
        return body

    def write(self, uri: str, body: bytes) -> None:
        """See Artifacts."""
        act = lambda cloud: (replace(cloud, files={**cloud.files, uri: body}), None)  # noqa: E731
        self._do("write file", act, writes=False, about=uri)

    def list(self, folder: str) -> dict[str, str]:
        """See Artifacts."""

        def act(cloud: Cloud) -> tuple[Cloud, dict[str, str]]:
            prefix = folder.rstrip("/") + "/"
            return cloud, {uri.removeprefix(prefix): "1" for uri in cloud.files if uri.startswith(prefix)}

        found = self._do("list files", act, writes=False, about=folder)
        assert isinstance(found, dict)
        return dict(found)


class PlainWarehouse(_Port):
    """Warehouse: a sound feed, and arms whose verdict the search chooses."""

    def __init__(
        self, box: Box, call: Call, points: frozenset[str], counts: DataCounts, arms: Mapping[str, ArmCounts]
    ) -> None:
        super().__init__(box, call, points)
        self._counts, self._arms = counts, arms  # good, bad, none: how an arm can look

    def watermark(self, spec: Any, since: datetime | None, now: datetime) -> Watermark:
        """See Warehouse."""
        return Watermark(newest=now, new_rows=50_000)

    def count_data(self, spec: Any, run_id: str, since: datetime, until: datetime) -> DataCounts:
        """See Warehouse."""
        return self._counts.but(newest=until)

    def snapshot(self, spec: Any, run_id: str, until: datetime, uri: str) -> SnapshotView:
        """See Warehouse."""
        rows = {"train": 60_000, "eval": 20_000, "test": 5_000}
        return SnapshotView(uri=uri, rows=rows, first=until, last=until, digest="d")

    def arms(self, spec: Any, since: datetime, until: datetime) -> dict[str, ArmCounts]:
        """See Warehouse."""

        def perform(variant: str) -> dict[str, ArmCounts]:
            if variant in ("down", "lost"):
                raise Temporary("arms: unreachable")
            champion = self._box.cloud.champion
            challengers = self._arms[variant or "good"]
            return {i: self._arms["good"] if i == champion else challengers for i in self._box.cloud.deployed}

        found = self._call("judge", perform, point=True)
        assert isinstance(found, dict)
        return found


class PlainBus(_Port):
    """Bus: what is published here nobody needs."""

    def publish(self, topic: str, body: str, attributes: dict[str, str]) -> None:
        """See Bus."""


def clock(box: Box, call: Call) -> Clock:
    """The time, as a handler sees it when it asks."""
    return lambda: call("time", lambda variant: box.cloud.now, point=False)


def _known(endpoint: str) -> None:
    if endpoint != ENDPOINT:
        raise Refused(f"endpoint {endpoint}: expected {ENDPOINT}, the only one")


def _begin(cloud: Cloud, op: Op) -> tuple[Cloud, str]:
    name = f"{PARENT}/operations/{len(cloud.operations) + 1}"
    return replace(cloud, operations={**cloud.operations, name: op}), name
