"""Custom jobs: each runs as one local process, in the states that Vertex AI goes through."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc

from local.servers.rpc import failed_precondition
from local.servers.vertex.calls import Handler
from local.servers.vertex.errors import unavailable
from local.servers.vertex.guard import Guard
from local.servers.vertex.images import CannotRun
from local.servers.vertex.listing import page
from local.servers.vertex.messages import JobState, new, stamp, status
from local.servers.vertex.operations import Operations, empty
from local.servers.vertex.processes import Process, Slots, watch
from local.servers.vertex.rules import display_name, labels, last, required
from local.servers.vertex.store import Store
from local.servers.vertex.workers import Task, Workers, check_job_spec

ENDED = frozenset(
    {
        JobState.JOB_STATE_SUCCEEDED,
        JobState.JOB_STATE_FAILED,
        JobState.JOB_STATE_CANCELLED,
        JobState.JOB_STATE_EXPIRED,
    }
)
_KIND = "CustomJob"


@dataclass(frozen=True)
class Machine:
    """What every kind of job needs to run."""

    store: Store
    operations: Operations
    workers: Workers
    slots: Slots
    guard: Guard
    logs: Path
    now: Callable[[], datetime]
    closing: threading.Event

    def spawn(self, spec: Any, task: Task) -> Process:
        """Start the process of ``task``. Raises CannotRun."""
        argv, env = self.workers.prepare(spec, task)
        log = self.logs / f"{'-'.join(filter(None, (last(task.job), task.trial)))}.log"
        try:
            return Process(argv, env, log, self.guard)
        except OSError as error:
            raise CannotRun(f"{argv[0]!r} cannot be started: {error}") from error


def set_state(
    machine: Machine, name: str, kind: str, state: int, error: tuple[grpc.StatusCode, str] | None = None
) -> None:
    """Move a job to ``state`` with its times and error; a job that has ended or is gone stays as it is."""
    with machine.store.lock:
        current = machine.store.find(name)
        if current is None or current.state in ENDED:
            return
        if current.state == JobState.JOB_STATE_CANCELLING and state not in ENDED:
            return
        with machine.store.edit(name, kind) as job:
            moment = stamp(machine.now())
            job.state = state
            job.update_time.CopyFrom(moment)
            if state == JobState.JOB_STATE_RUNNING:
                job.start_time.CopyFrom(moment)
            if state in ENDED:
                job.end_time.CopyFrom(moment)
            if error is not None:
                job.error.CopyFrom(status(error[0].value[0], error[1]))


def fail_unfinished(machine: Machine, collection: str, kind: str) -> None:
    """After a restart no process works on the jobs that were under way."""
    for name, job in machine.store.under("projects/", collection):
        if job.state not in ENDED:
            reason = "the server stopped while the job was under way"
            set_state(machine, name, kind, JobState.JOB_STATE_FAILED, (grpc.StatusCode.ABORTED, reason))


def timeout_s(spec: Any) -> float | None:
    """The job's running time limit in real seconds, whatever the clock shows; None when it has none."""
    limit = spec.scheduling.timeout
    return limit.seconds + limit.nanos / 1e9 if spec.scheduling.HasField("timeout") else None


class CustomJobs:
    """The calls about custom jobs, and their processes."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._running: dict[str, tuple[threading.Event, threading.Thread]] = {}
        fail_unfinished(machine, "customJobs", _KIND)

    def handlers(self) -> Mapping[str, Handler]:
        """The calls about custom jobs."""
        return {
            "CreateCustomJob": lambda request: self.create(request.parent, request.custom_job),
            "GetCustomJob": lambda request: self._machine.store.get(request.name, _KIND),
            "ListCustomJobs": lambda request: page(
                self._machine.store.children(f"{request.parent}/customJobs"), request, new("ListCustomJobsResponse")
            ),
            "CancelCustomJob": self._cancel,
            "DeleteCustomJob": self._delete,
        }

    def create(
        self,
        parent: str,
        wanted: Any,
        env: Mapping[str, str] | None = None,
        ended: Callable[[Any], None] | None = None,
    ) -> Any:
        """Store and start a job; ``env`` is added to its environment, ``ended`` gets the job when it is over."""
        if self._machine.closing.is_set():
            raise unavailable("the server is stopping")
        job = new(_KIND)
        job.CopyFrom(wanted)
        display_name(job.display_name, "custom_job.display_name")
        required(job, "job_spec")
        check_job_spec(job.job_spec, "custom_job.job_spec")
        labels(job.labels)
        store, moment = self._machine.store, stamp(self._machine.now())
        job.name = f"{parent}/customJobs/{store.next_id()}"
        job.state = JobState.JOB_STATE_QUEUED
        job.create_time.CopyFrom(moment)
        job.update_time.CopyFrom(moment)
        store.put(job.name, job)
        cancel = threading.Event()
        thread = threading.Thread(target=self._run, args=(job, cancel, env or {}, ended), daemon=True, name="job")
        self._running[job.name] = cancel, thread
        thread.start()
        return job

    def cancel(self, name: str) -> None:
        """Ask a job to end; one that has ended stays as it is."""
        running = self._running.get(name)
        if running is not None:
            set_state(self._machine, name, _KIND, JobState.JOB_STATE_CANCELLING)
            running[0].set()

    def close(self) -> None:
        """End every process; the jobs are then FAILED, as after a crash."""
        running = list(self._running.values())
        for cancel, _ in running:
            cancel.set()
        for _, thread in running:
            thread.join(timeout=10)

    def _cancel(self, request: Any) -> Any:
        self._machine.store.get(request.name, _KIND)
        self.cancel(request.name)
        return empty()

    def _delete(self, request: Any) -> Any:
        job = self._machine.store.get(request.name, _KIND)
        if job.state not in ENDED:
            state = JobState(job.state).name
            raise failed_precondition(f"The CustomJob {request.name!r} is {state}; cancel it before it is deleted.")
        self._machine.store.delete(request.name)
        return self._machine.operations.finished(request.name, "DeleteOperationMetadata", empty())

    def _run(
        self,
        job: Any,
        cancel: threading.Event,
        env: Mapping[str, str],
        ended: Callable[[Any], None] | None,
    ) -> None:
        name = job.name
        try:
            state, error = self._outcome(name, job.job_spec, cancel, env)
        except Exception as problem:  # noqa: BLE001  # a job must end, whatever went wrong
            state, error = JobState.JOB_STATE_FAILED, (grpc.StatusCode.INTERNAL, repr(problem))
        if cancel.is_set() and self._machine.closing.is_set():
            state, error = (
                JobState.JOB_STATE_FAILED,
                (grpc.StatusCode.ABORTED, "the server stopped while the job ran"),
            )
        set_state(self._machine, name, _KIND, state, error)
        self._running.pop(name, None)
        if ended is not None:
            ended(self._machine.store.find(name))

    def _outcome(
        self, name: str, spec: Any, cancel: threading.Event, env: Mapping[str, str]
    ) -> tuple[int, tuple[grpc.StatusCode, str] | None]:
        machine, cancelled = self._machine, (JobState.JOB_STATE_CANCELLED, None)
        slot = machine.slots.acquire(cancel)
        if slot is None:
            return cancelled
        with slot:
            set_state(machine, name, _KIND, JobState.JOB_STATE_PENDING)
            try:
                process = machine.spawn(spec, Task(name, spec.base_output_directory.output_uri_prefix, env=env))
            except CannotRun as error:
                return JobState.JOB_STATE_FAILED, (grpc.StatusCode.INVALID_ARGUMENT, str(error))
            set_state(machine, name, _KIND, JobState.JOB_STATE_RUNNING)
            code = watch(process, cancel, timeout_s(spec))
        if code == 0:
            return JobState.JOB_STATE_SUCCEEDED, None
        if cancel.is_set():
            return cancelled
        if code is None:
            reason = f"the job ran longer than its timeout of {timeout_s(spec):g} s"
            return JobState.JOB_STATE_FAILED, (grpc.StatusCode.DEADLINE_EXCEEDED, reason)
        reason = (
            f"The replica workerpool0-0 exited with a non-zero status of {code}. Its last lines:\n{process.tail()}"
        )
        return JobState.JOB_STATE_FAILED, (grpc.StatusCode.INTERNAL, reason)
