"""Hyperparameter tuning jobs: trials are local processes, a study says what they try."""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import grpc

from local.servers.rpc import failed_precondition, invalid
from local.servers.vertex.calls import Handler
from local.servers.vertex.images import CannotRun
from local.servers.vertex.jobs import ENDED, Machine, fail_unfinished, set_state, timeout_s
from local.servers.vertex.listing import page
from local.servers.vertex.measurements import Measurement, Reported, read
from local.servers.vertex.messages import JobState, TrialState, new, stamp, to_value
from local.servers.vertex.operations import empty
from local.servers.vertex.parameters import argument
from local.servers.vertex.processes import Process
from local.servers.vertex.rules import display_name, labels, last, required
from local.servers.vertex.tuning import Study, Suggestion, check_study
from local.servers.vertex.workers import Task, check_job_spec

_KIND = "HyperparameterTuningJob"
_LOOK_S = 0.05
_MEASURE_S = 0.25


class TuningJobs:
    """The calls about hyperparameter tuning jobs."""

    def __init__(self, machine: Machine, metrics: Path, random_seed: int | None) -> None:
        self._machine = machine
        self._metrics = metrics
        self._seed = random_seed
        self._running: dict[str, tuple[threading.Event, threading.Thread]] = {}
        fail_unfinished(machine, "hyperparameterTuningJobs", _KIND)

    def handlers(self) -> Mapping[str, Handler]:
        """The calls about hyperparameter tuning jobs."""
        return {
            "CreateHyperparameterTuningJob": self._create,
            "GetHyperparameterTuningJob": lambda request: self._machine.store.get(request.name, _KIND),
            "ListHyperparameterTuningJobs": lambda request: page(
                self._machine.store.children(f"{request.parent}/hyperparameterTuningJobs"),
                request,
                new("ListHyperparameterTuningJobsResponse"),
            ),
            "CancelHyperparameterTuningJob": self._cancel,
            "DeleteHyperparameterTuningJob": self._delete,
        }

    def close(self) -> None:
        """End every trial."""
        running = list(self._running.values())
        for cancel, _ in running:
            cancel.set()
        for _, thread in running:
            thread.join(timeout=10)

    def _create(self, request: Any) -> Any:
        required(request, "parent")
        job = new(_KIND)
        job.CopyFrom(request.hyperparameter_tuning_job)
        _check(job)
        store, moment = self._machine.store, stamp(self._machine.now())
        job.name = f"{request.parent}/hyperparameterTuningJobs/{store.next_id()}"
        job.ClearField("trials")
        job.state = JobState.JOB_STATE_QUEUED
        job.create_time.CopyFrom(moment)
        job.update_time.CopyFrom(moment)
        store.put(job.name, job)
        cancel = threading.Event()
        search = Search(self._machine, job, cancel, self._metrics, self._seed)
        thread = threading.Thread(target=self._run, args=(search, job.name, cancel), daemon=True, name="tuning")
        self._running[job.name] = cancel, thread
        thread.start()
        return job

    def _run(self, search: "Search", name: str, cancel: threading.Event) -> None:
        try:
            state, error = search.run()
        except Exception as problem:  # noqa: BLE001  # a job must end, whatever went wrong
            cancel.set()
            state, error = JobState.JOB_STATE_FAILED, (grpc.StatusCode.INTERNAL, repr(problem))
        if cancel.is_set() and self._machine.closing.is_set():
            state, error = (
                JobState.JOB_STATE_FAILED,
                (grpc.StatusCode.ABORTED, "the server stopped while the job ran"),
            )
        set_state(self._machine, name, _KIND, state, error)
        self._running.pop(name, None)

    def _cancel(self, request: Any) -> Any:
        self._machine.store.get(request.name, _KIND)
        running = self._running.get(request.name)
        if running is not None:
            set_state(self._machine, request.name, _KIND, JobState.JOB_STATE_CANCELLING)
            running[0].set()
        return empty()

    def _delete(self, request: Any) -> Any:
        job = self._machine.store.get(request.name, _KIND)
        if job.state not in ENDED:
            state = JobState(job.state).name
            raise failed_precondition(f"The {_KIND} {request.name!r} is {state}; cancel it before it is deleted.")
        self._machine.store.delete(request.name)
        return self._machine.operations.finished(request.name, "DeleteOperationMetadata", empty())


def _check(job: Any) -> None:
    display_name(job.display_name, "hyperparameter_tuning_job.display_name")
    required(job, "study_spec", "trial_job_spec")
    check_study(job.study_spec)
    check_job_spec(job.trial_job_spec, "hyperparameter_tuning_job.trial_job_spec")
    labels(job.labels)
    for field in ("max_trial_count", "parallel_trial_count"):
        if getattr(job, field) < 1:
            raise invalid(f"hyperparameter_tuning_job.{field}: expected at least 1, got {getattr(job, field)}.")
    if job.parallel_trial_count > job.max_trial_count:
        raise invalid(
            f"parallel_trial_count {job.parallel_trial_count} is more than max_trial_count {job.max_trial_count}."
        )


class Search:
    """One tuning job under way."""

    def __init__(
        self, machine: Machine, job: Any, cancel: threading.Event, metrics: Path, seed: int | None
    ) -> None:
        self._machine = machine
        self._job = job
        self._cancel = cancel
        self._metrics = metrics
        self._study = Study(job.study_spec, seed)
        self._metric = job.study_spec.metrics[0].metric_id
        self._failed: list[str] = []

    def run(self) -> tuple[int, tuple[grpc.StatusCode, str] | None]:
        """Run all trials; the job's last state and error."""
        job, started = self._job, 0
        running: set[Future[None]] = set()
        with ThreadPoolExecutor(job.parallel_trial_count, thread_name_prefix="trial") as pool:
            while not self._over():
                while started < job.max_trial_count and len(running) < job.parallel_trial_count:
                    suggestion = self._study.ask()
                    if suggestion is None:
                        break
                    started += 1
                    running.add(pool.submit(self._trial, str(started), suggestion))
                if not running:
                    break
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
            if self._over():
                # What still runs is of no use any more.
                self._cancel.set()
        return self._outcome(started)

    def _over(self) -> bool:
        return self._cancel.is_set() or self._too_many_failed()

    def _too_many_failed(self) -> bool:
        return 0 < int(self._job.max_failed_trial_count) <= len(self._failed)

    def _outcome(self, started: int) -> tuple[int, tuple[grpc.StatusCode, str] | None]:
        if self._cancel.is_set() and not self._too_many_failed():
            return JobState.JOB_STATE_CANCELLED, None
        if self._too_many_failed() or len(self._failed) == started:
            reason = f"{len(self._failed)} of {started} trials failed. The last one: {self._failed[-1]}"
            return JobState.JOB_STATE_FAILED, (grpc.StatusCode.INTERNAL, reason)
        return JobState.JOB_STATE_SUCCEEDED, None

    def _trial(self, trial: str, suggestion: Suggestion) -> None:
        self._begin(trial, suggestion)
        slot = self._machine.slots.acquire(self._cancel)
        if slot is None:
            self._end(trial, suggestion, (), "the job was cancelled")
            return
        with slot:
            self._execute(trial, suggestion)

    def _execute(self, trial: str, suggestion: Suggestion) -> None:
        metrics = self._metrics / f"{last(self._job.name)}-{trial}" / "output.metrics"
        metrics.parent.mkdir(parents=True, exist_ok=True)
        spec = self._job.trial_job_spec
        task = Task(
            self._job.name,
            spec.base_output_directory.output_uri_prefix,
            trial,
            tuple(argument(name, value) for name, value in suggestion.values.items()),
            {"CLOUD_ML_HP_METRIC_FILE": str(metrics)},
        )
        try:
            process = self._machine.spawn(spec, task)
        except CannotRun as error:
            self._end(trial, suggestion, (), str(error))
            return
        set_state(self._machine, self._job.name, _KIND, JobState.JOB_STATE_RUNNING)
        self._set_trial(trial, TrialState.ACTIVE, start=True)
        why = self._follow(process, trial, metrics)
        reported = read(metrics, self._metric)
        if why is None and not reported.measurements:
            why = reported.why_none(self._metric)
        self._end(trial, suggestion, reported.measurements, why)

    def _follow(self, process: Process, trial: str, metrics: Path) -> str | None:
        """Wait for the trial's end; why it failed, or None. A trial stopped early has not failed."""
        limit, began, looked = timeout_s(self._job.trial_job_spec), time.monotonic(), 0.0
        while (code := process.wait(_LOOK_S)) is None:
            now = time.monotonic()
            if self._cancel.is_set() or (limit is not None and now - began > limit):
                process.stop()
                return (
                    "the job was cancelled"
                    if self._cancel.is_set()
                    else f"it ran longer than its timeout of {limit:g} s"
                )
            if now - looked >= _MEASURE_S:
                looked = now
                if self._stopped_early(process, trial, read(metrics, self._metric)):
                    return None
        process.forget()
        return None if code == 0 else f"the trial exited with status {code}. Its last lines:\n{process.tail()}"

    def _stopped_early(self, process: Process, trial: str, reported: Reported) -> bool:
        if not reported.measurements:
            return False
        self._set_trial(trial, TrialState.ACTIVE, measurements=reported.measurements)
        if not self._study.should_stop(reported.measurements):
            return False
        self._set_trial(trial, TrialState.STOPPING)
        process.stop()
        return True

    def _begin(self, trial: str, suggestion: Suggestion) -> None:
        with self._machine.store.edit(self._job.name, _KIND) as job:
            entry = job.trials.add(id=trial, state=TrialState.REQUESTED)
            for name, value in suggestion.values.items():
                entry.parameters.add(parameter_id=name, value=to_value(value))

    def _end(
        self, trial: str, suggestion: Suggestion, measurements: Sequence[Measurement], why: str | None
    ) -> None:
        if why is not None:
            self._study.tell(suggestion, ())
            if not self._cancel.is_set():
                self._failed.append(why)
            self._set_trial(trial, TrialState.INFEASIBLE, measurements=measurements, reason=why, end=True)
            return
        final = self._study.tell(suggestion, measurements)
        self._set_trial(trial, TrialState.SUCCEEDED, measurements=measurements, final=final, end=True)

    def _set_trial(
        self,
        trial: str,
        state: int,
        measurements: Sequence[Measurement] = (),
        final: int | None = None,
        reason: str = "",
        start: bool = False,
        end: bool = False,
    ) -> None:
        moment = stamp(self._machine.now())
        with self._machine.store.edit(self._job.name, _KIND) as job:
            job.update_time.CopyFrom(moment)
            entry = job.trials[int(trial) - 1]
            entry.state = state
            entry.infeasible_reason = reason
            if start:
                entry.start_time.CopyFrom(moment)
            if end:
                entry.end_time.CopyFrom(moment)
            if measurements:
                del entry.measurements[:]
                entry.measurements.extend(self._message(item, measurements[0].at) for item in measurements)
            if final is not None:
                entry.final_measurement.CopyFrom(self._message(measurements[final], measurements[0].at))

    def _message(self, item: Measurement, began: float) -> Any:
        message = new("Measurement", step_count=item.step)
        message.elapsed_duration.FromMilliseconds(max(0, int((item.at - began) * 1000)))
        message.metrics.add(metric_id=self._metric, value=item.value)
        return message
