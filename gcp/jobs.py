"""Vertex AI jobs: a CustomJob trains or evaluates, a HyperparameterTuningJob tunes.

A create cannot be made exactly-once, so it is never repeated here: a lost answer is Temporary, and the next tick
finds the job by its labels.
"""

from contextlib import suppress
from typing import Any

from google.api_core.exceptions import FailedPrecondition, NotFound
from google.cloud.aiplatform_v1 import JobServiceClient
from google.cloud.aiplatform_v1 import types as vertex

from gcp.errors import translated
from gcp.jobspecs import custom_job, tuning_job
from gcp.vertex import CALL_SECONDS, READS, connect, moment, parent
from retraining.names import label
from retraining.settings import Settings
from retraining.views import JobPlan, JobState, JobView, Trial

_TUNE = "tune"
_STATES = {
    vertex.JobState.JOB_STATE_RUNNING: JobState.RUNNING,
    vertex.JobState.JOB_STATE_UPDATING: JobState.RUNNING,
    vertex.JobState.JOB_STATE_CANCELLING: JobState.RUNNING,  # may still succeed
    vertex.JobState.JOB_STATE_SUCCEEDED: JobState.SUCCEEDED,
    vertex.JobState.JOB_STATE_PARTIALLY_SUCCEEDED: JobState.SUCCEEDED,  # its trials say which part
    vertex.JobState.JOB_STATE_FAILED: JobState.FAILED,
    vertex.JobState.JOB_STATE_CANCELLED: JobState.CANCELLED,
    vertex.JobState.JOB_STATE_EXPIRED: JobState.CANCELLED,
}
_TRIAL_STATES = {int(state): name for name, state in vertex.Trial.State.__members__.items()}


class VertexJobs:
    """Jobs over Vertex AI."""

    def __init__(self, settings: Settings) -> None:
        self._client = connect(JobServiceClient, settings)
        self._parent = parent(settings)

    def find(self, run_id: str, kind: str) -> list[JobView]:
        """See Jobs."""
        client = self._client
        search = client.list_hyperparameter_tuning_jobs if kind == _TUNE else client.list_custom_jobs
        wanted = {"run_id": label(run_id), "kind": label(kind)}
        request = {
            "parent": self._parent,
            "filter": " AND ".join(f'labels.{key}="{value}"' for key, value in wanted.items()),
        }
        with translated(f"looking for {kind} jobs of run {run_id}"):
            jobs = [job_view(job) for job in search(request=request, timeout=CALL_SECONDS, retry=READS)]
        return sorted(
            (job for job in jobs if wanted.items() <= job.labels.items()),
            key=lambda job: (job.created, job.name),
        )

    def launch(self, plan: JobPlan) -> JobView:
        """See Jobs."""
        labels = {**plan.labels, "run_id": label(plan.run_id), "kind": label(plan.kind)}
        with translated(f"launching {plan.display_name}"):
            if plan.kind == _TUNE:
                tuning = tuning_job(plan, labels)
                return job_view(
                    self._client.create_hyperparameter_tuning_job(
                        parent=self._parent, hyperparameter_tuning_job=tuning, timeout=CALL_SECONDS
                    )
                )
            job = custom_job(plan, labels)
            return job_view(
                self._client.create_custom_job(parent=self._parent, custom_job=job, timeout=CALL_SECONDS)
            )

    def view(self, name: str) -> JobView | None:
        """See Jobs."""
        client = self._client
        get = client.get_hyperparameter_tuning_job if _tunes(name) else client.get_custom_job
        with translated(f"looking at job {name}"), suppress(NotFound):
            return job_view(get(name=name, timeout=CALL_SECONDS, retry=READS))
        return None

    def cancel(self, name: str) -> None:
        """See Jobs."""
        client = self._client
        stop = client.cancel_hyperparameter_tuning_job if _tunes(name) else client.cancel_custom_job
        with translated(f"cancelling job {name}"), suppress(NotFound, FailedPrecondition):
            stop(name=name, timeout=CALL_SECONDS)


def _tunes(name: str) -> bool:
    return "/hyperparameterTuningJobs/" in name


def job_view(job: vertex.CustomJob | vertex.HyperparameterTuningJob) -> JobView:
    """The job in our words; what this version does not know is neither an error nor an end."""
    # The raw message gives states as numbers: a state newer than this client is a number, not an error.
    raw: Any = type(job).pb(job)
    created = moment(job.create_time)
    if created is None:
        raise ValueError(f"job {job.name}: expected a create time, got none")
    return JobView(
        name=job.name,
        kind=job.labels.get("kind", ""),
        state=_STATES.get(raw.state, JobState.WAITING),
        labels=dict(job.labels),
        created=created,
        error=job.error.message,
        trials=tuple(_trial(trial) for trial in raw.trials) if _tunes(job.name) else (),
        started=moment(job.start_time),
        ended=moment(job.end_time),
    )


def _trial(trial: Any) -> Trial:
    return Trial(
        id=trial.id,
        state=_TRIAL_STATES.get(trial.state, str(trial.state)),
        parameters={item.parameter_id: _value(item.value) for item in trial.parameters},
        metrics={metric.metric_id: metric.value for metric in trial.final_measurement.metrics},
    )


def _value(value: Any) -> float | str:
    """A parameter's value: numbers arrive as doubles, also where they were asked for as integers."""
    return str(value.string_value) if value.HasField("string_value") else float(value.number_value)
