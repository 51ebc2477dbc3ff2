"""Jobs that end when a test says so."""

import itertools
import threading
from dataclasses import replace

from retraining.errors import Refused
from retraining.names import label
from retraining.ports import Clock
from retraining.views import JobPlan, JobState, JobView, Trial

_PARENT = "projects/local/locations/us-central1"


class MemoryJobs:
    """Jobs in this process. A launched job waits until ``finish`` says how it stands. Safe between threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._jobs: dict[str, JobView] = {}
        self._plans: dict[str, JobPlan] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def find(self, run_id: str, kind: str) -> list[JobView]:
        """See Jobs."""
        wanted = {"run_id": label(run_id), "kind": label(kind)}
        with self._lock:
            return [job for job in self._jobs.values() if wanted.items() <= job.labels.items()]

    def launch(self, plan: JobPlan) -> JobView:
        """See Jobs."""
        if plan.kind == "tune" and (plan.tuning is None or not plan.ranges):
            raise Refused(f"{plan.display_name}: a tuning job needs a metric and ranges, got {plan.ranges!r}")
        if not plan.image:
            raise Refused(f"{plan.display_name}: expected an image, got none")
        collection = "hyperparameterTuningJobs" if plan.kind == "tune" else "customJobs"
        labels = {**plan.labels, "run_id": label(plan.run_id), "kind": label(plan.kind)}
        with self._lock:
            name = f"{_PARENT}/{collection}/{next(self._numbers)}"
            job = JobView(name, plan.kind, JobState.WAITING, labels, self._clock())
            self._jobs[name], self._plans[name] = job, plan
        return job

    def view(self, name: str) -> JobView | None:
        """See Jobs."""
        with self._lock:
            return self._jobs.get(name)

    def cancel(self, name: str) -> None:
        """See Jobs."""
        with self._lock:
            job = self._jobs.get(name)
            if job is not None and not job.state.ended:
                self._jobs[name] = replace(job, state=JobState.CANCELLED, ended=self._clock())

    def finish(self, name: str, state: JobState, error: str = "", trials: tuple[Trial, ...] = ()) -> JobView:
        """Let the job stand at ``state``; times follow from the clock. Raises KeyError when there is none."""
        with self._lock:
            job = self._jobs[name]
            now = self._clock()
            started = job.started if job.started or state is JobState.WAITING else now
            ended = now if state.ended else None
            changed = replace(job, state=state, error=error, trials=trials, started=started, ended=ended)
            self._jobs[name] = changed
        return changed

    def plan(self, name: str) -> JobPlan:
        """What the job was launched with. Raises KeyError when there is none."""
        with self._lock:
            return self._plans[name]

    def all(self) -> tuple[JobView, ...]:
        """Every job, oldest first."""
        with self._lock:
            return tuple(self._jobs.values())
