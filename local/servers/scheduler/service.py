"""The Cloud Scheduler API over the engine, behind gRPC and REST."""

import os
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import grpc
from google.cloud.scheduler_v1 import Job, types
from google.protobuf import empty_pb2

from gcp.clock import Clock
from local.servers.rpc import (
    GenericRpcHandler,
    GrpcServer,
    RestServer,
    RpcError,
    already_exists,
    environment_clock,
    failed_precondition,
    harvest,
    invalid,
    rest_app,
)
from local.servers.scheduler.engine import Engine
from local.servers.scheduler.jobs import check_job, check_parent
from local.servers.scheduler.storage import JobStore
from local.servers.scheduler.targets import Publish, pubsub_publisher

_SET_BY_SERVER = {"state", "status", "schedule_time", "last_attempt_time", "user_update_time"}
_TARGETS = {"pubsub_target", "http_target", "app_engine_http_target"}
_ListJobsResponse = types.ListJobsResponse.pb()


class Service:
    """RPC names to what they do. A method takes its request message and returns the response; raises RpcError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def CreateJob(self, request: Any) -> Any:
        check_parent(request.parent)
        job = request.job
        job.name = job.name or f"{request.parent}/jobs/{uuid.uuid4().hex}"
        check_job(job, request.parent)
        if job.name in self._engine.names():
            raise already_exists(f"Job already exists: {job.name}")
        for field in _SET_BY_SERVER:
            job.ClearField(field)
        job.state = Job.State.ENABLED
        job.user_update_time.FromDatetime(self._engine.clock())
        self._engine.put(job)
        return self._engine.get(job.name)

    def GetJob(self, request: Any) -> Any:
        return self._engine.get(request.name)

    def ListJobs(self, request: Any) -> Any:
        check_parent(request.parent)
        found = [name for name in self._engine.names() if name.startswith(f"{request.parent}/jobs/")]
        rest = [name for name in found if name > request.page_token]
        size = request.page_size or 500
        token = rest[size - 1] if len(rest) > size else ""
        return _ListJobsResponse(jobs=[self._engine.get(name) for name in rest[:size]], next_page_token=token)

    def UpdateJob(self, request: Any) -> Any:
        job = self._engine.get(request.job.name)
        _merge(job, request.job, list(request.update_mask.paths))
        check_job(job, job.name.rsplit("/jobs/", 1)[0])
        job.user_update_time.FromDatetime(self._engine.clock())
        self._engine.put(job)
        return self._engine.get(job.name)

    def DeleteJob(self, request: Any) -> Any:
        self._engine.remove(request.name)
        return empty_pb2.Empty()

    def PauseJob(self, request: Any) -> Any:
        return self._turn(request.name, Job.State.ENABLED, Job.State.PAUSED)

    def ResumeJob(self, request: Any) -> Any:
        return self._turn(request.name, Job.State.PAUSED, Job.State.ENABLED)

    def RunJob(self, request: Any) -> Any:
        return self._engine.run_now(request.name)

    def _turn(self, name: str, before: int, after: int) -> Any:
        state = self._engine.get(name).state
        if state != before:
            is_, was, wanted = (Job.State(one).name for one in (state, before, after))
            raise failed_precondition(f"{name} must be {was} to become {wanted}, but is {is_}")
        return self._engine.set_state(name, after)


class SchedulerServer:
    """Cloud Scheduler on 127.0.0.1: ``address`` (host:port) is its gRPC door, ``url`` its REST door.

    Jobs with a Pub/Sub target publish by ``publish``, or through the real client to the Pub/Sub at ``pubsub``
    (host:port). ``state`` is the folder that survives a restart, none for memory only.
    """

    def __init__(
        self,
        port: int = 0,
        rest_port: int = 0,
        state: Path | None = None,
        pubsub: str = "",
        publish: Publish | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._store = JobStore(state)
        target = publish or pubsub_publisher(pubsub or os.environ.get("PUBSUB_EMULATOR_HOST", "127.0.0.1:8085"))
        self._engine = Engine(self._store, clock or environment_clock(), target)
        self._service = Service(self._engine)
        self._faults: Counter[str] = Counter()
        api = harvest("google.cloud.scheduler_v1", ["cloud_scheduler"])
        self._grpc = GrpcServer(GenericRpcHandler(self.call, api.rpcs), port, threads=8)
        self._rest = RestServer(rest_app(self.call, api), rest_port)
        self.address = self._grpc.address
        self.url = self._rest.url

    def __enter__(self) -> Self:
        self._engine.start()
        self._grpc.__enter__()
        self._rest.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._rest.__exit__()
        self._grpc.__exit__()
        self._engine.close()
        self._store.close()

    def call(self, path: str, request: Any) -> Any:
        """Serve one call by its gRPC path. Raises RpcError."""
        name = path.rsplit("/", 1)[1]
        if self._faults[name] > 0:
            self._faults[name] -= 1
            raise RpcError(grpc.StatusCode.UNAVAILABLE, f"{name} fails as the test asked for")
        method: Callable[[Any], Any] | None = getattr(self._service, name, None)
        if method is None:
            raise RpcError(grpc.StatusCode.UNIMPLEMENTED, f"{name} is not served by the local Scheduler")
        return method(request)

    def fail_next(self, method: str, count: int = 1) -> None:
        """Let the next ``count`` calls of ``method`` (such as ``CreateJob``) fail with UNAVAILABLE."""
        self._faults[method] += count

    def skipped(self, job: str) -> int:
        """How many slots of ``job`` were passed over because the clock jumped over several at once."""
        return self._engine.skipped(job)


def _merge(job: Any, change: Any, paths: list[str]) -> None:
    """Put the masked fields of ``change`` into ``job``; without a mask, all that a caller may set.

    Raises INVALID_ARGUMENT for an unknown field.
    """
    known = set(job.DESCRIPTOR.fields_by_name)
    paths = paths or sorted(known - _SET_BY_SERVER - {"name"} - (_TARGETS - {change.WhichOneof("target")}))
    for path in paths:
        field, _, inner = path.partition(".")
        if field not in known:
            raise invalid(f"update_mask: a job has no field {path!r}")
        if field in _SET_BY_SERVER or field == "name":
            raise invalid(f"update_mask: {path!r} cannot be set by a caller")
        if not inner:
            job.ClearField(field)
    mask = types.UpdateJobRequest.pb()(update_mask={"paths": paths}).update_mask
    mask.MergeMessage(change, job, replace_message_field=True, replace_repeated_field=True)
