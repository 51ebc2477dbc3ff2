"""Jobs in states that this version of the client does not know."""

import warnings
from datetime import UTC, datetime

import pytest
from google.cloud.aiplatform_v1 import types as vertex

from gcp.jobs import job_view
from retraining.views import JobState

CREATED = datetime(2013, 6, 1, tzinfo=UTC)
NAME = "projects/p/locations/r/customJobs/1"


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("QUEUED", JobState.WAITING),
        ("PENDING", JobState.WAITING),
        ("PAUSED", JobState.WAITING),
        ("RUNNING", JobState.RUNNING),
        ("UPDATING", JobState.RUNNING),
        ("CANCELLING", JobState.RUNNING),
        ("SUCCEEDED", JobState.SUCCEEDED),
        ("PARTIALLY_SUCCEEDED", JobState.SUCCEEDED),
        ("FAILED", JobState.FAILED),
        ("CANCELLED", JobState.CANCELLED),
        ("EXPIRED", JobState.CANCELLED),
    ],
)
def test_each_state_has_a_word(state: str, expected: JobState) -> None:
    """Vertex AI's states in ours."""
    job = vertex.CustomJob(name=NAME, create_time=CREATED, state=f"JOB_STATE_{state}")

    assert job_view(job).state is expected


def test_an_unknown_state_is_not_an_end() -> None:
    """A state that Google adds later neither fails nor ends a run, and warns nobody."""
    raw = vertex.CustomJob.pb(vertex.CustomJob(name=NAME, create_time=CREATED))
    raw.state = 77

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        view = job_view(vertex.CustomJob.wrap(raw))

    assert view.state is JobState.WAITING


def test_an_unknown_state_of_a_trial_is_kept_as_its_number() -> None:
    """It is not SUCCEEDED, so the trial is not chosen."""
    raw = vertex.HyperparameterTuningJob.pb(
        vertex.HyperparameterTuningJob(
            name="projects/p/locations/r/hyperparameterTuningJobs/1",
            create_time=CREATED,
            trials=[vertex.Trial(id="1"), vertex.Trial(id="2", state="INFEASIBLE")],
        )
    )
    raw.trials[0].state = 77

    trials = job_view(vertex.HyperparameterTuningJob.wrap(raw)).trials

    assert [trial.state for trial in trials] == ["77", "INFEASIBLE"]
    assert trials[0].metrics == {}
