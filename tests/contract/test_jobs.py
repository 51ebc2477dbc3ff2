"""What every Jobs promises, in memory and on Vertex AI's protocol."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gcp.jobs import VertexJobs
from local.memory.jobs import MemoryJobs
from retraining.errors import Refused
from retraining.ports import Jobs
from retraining.settings import Settings
from retraining.views import JobState, JobView, Trial
from tests.contract.vertex import fresh, job_plan, until

End = Callable[[str, JobState], JobView]  # let a job of this name end so


class JobsContract:
    """Facts about any Jobs; ``word`` is the file that launched jobs wait for."""

    def test_a_launched_job_is_found_by_run_and_kind(self, jobs: Jobs, word: str) -> None:
        run = fresh("run")

        launched = jobs.launch(job_plan(run, "train", word))

        assert launched.kind == "train"
        assert launched.labels == {"model": "flights", "trigger": "drift", "run_id": run, "kind": "train"}
        assert [job.name for job in jobs.find(run, "train")] == [launched.name]

    def test_jobs_of_other_runs_and_kinds_are_not_found(self, jobs: Jobs, word: str) -> None:
        run = fresh("run")
        jobs.launch(job_plan(run, "train", word))

        assert jobs.find(run, "evaluate") == []
        assert jobs.find(run, "tune") == []
        assert jobs.find(f"{run}0", "train") == []

    def test_two_jobs_of_a_run_come_oldest_first(self, jobs: Jobs, word: str) -> None:
        run = fresh("run")
        names = [jobs.launch(job_plan(run, "train", word)).name for _ in range(2)]

        assert [job.name for job in jobs.find(run, "train")] == names

    def test_a_job_of_an_unknown_name_is_none(self, jobs: Jobs) -> None:
        parent = "projects/acme/locations/us-central1"

        assert jobs.view(f"{parent}/customJobs/404") is None
        assert jobs.view(f"{parent}/hyperparameterTuningJobs/404") is None

    def test_a_job_has_not_ended_when_it_is_launched(self, jobs: Jobs, word: str) -> None:
        launched = jobs.launch(job_plan(fresh("run"), "train", word))

        seen = jobs.view(launched.name)

        assert seen is not None
        assert not seen.state.ended
        assert seen.created == launched.created
        assert seen.ended is None

    def test_a_job_that_succeeds_says_so(self, jobs: Jobs, word: str, end: End) -> None:
        ended = end(jobs.launch(job_plan(fresh("run"), "train", word)).name, JobState.SUCCEEDED)

        assert ended.state is JobState.SUCCEEDED
        assert ended.error == ""
        assert ended.started is not None
        assert ended.ended is not None
        assert ended.created <= ended.started <= ended.ended

    def test_a_job_that_fails_says_why(self, jobs: Jobs, word: str, end: End) -> None:
        ended = end(jobs.launch(job_plan(fresh("run"), "evaluate", word)).name, JobState.FAILED)

        assert ended.state is JobState.FAILED
        assert ended.error

    def test_a_cancelled_job_ends_and_may_be_cancelled_again(self, jobs: Jobs, word: str) -> None:
        name = jobs.launch(job_plan(fresh("run"), "train", word)).name

        jobs.cancel(name)
        until(lambda: state(jobs, name).ended)
        jobs.cancel(name)

        assert state(jobs, name) is JobState.CANCELLED

    def test_cancelling_does_not_undo_a_success(self, jobs: Jobs, word: str, end: End) -> None:
        name = jobs.launch(job_plan(fresh("run"), "train", word)).name
        end(name, JobState.SUCCEEDED)

        jobs.cancel(name)

        assert state(jobs, name) is JobState.SUCCEEDED

    def test_cancelling_what_is_not_there_is_fine(self, jobs: Jobs) -> None:
        name = "projects/acme/locations/us-central1/customJobs/404"

        jobs.cancel(name)

        assert jobs.view(name) is None

    def test_tuning_shows_its_trials(self, jobs: Jobs, word: str, end: End) -> None:
        run = fresh("run")
        launched = jobs.launch(job_plan(run, "tune", word))

        ended = end(launched.name, JobState.SUCCEEDED)

        assert [job.name for job in jobs.find(run, "tune")] == [launched.name]
        assert jobs.find(run, "train") == []
        assert [trial.state for trial in ended.trials] == ["SUCCEEDED", "SUCCEEDED"]
        for trial in ended.trials:
            assert trial.metrics == {"val_log_loss": 0.25}
            batch, rate = trial.parameters["batch_size"], trial.parameters["learning_rate"]
            assert isinstance(batch, float)
            assert isinstance(rate, float)
            assert 8 <= batch <= 64
            assert 0.001 <= rate <= 0.1
            assert trial.parameters["hidden_units"] in ("32", "64,32")
            assert trial.parameters["num_buckets"] in (4.0, 8.0)

    def test_tuning_without_ranges_is_refused(self, jobs: Jobs) -> None:
        plan = replace(job_plan(fresh("run"), "tune"), ranges={})

        with pytest.raises(Refused, match="ranges"):
            jobs.launch(plan)

    def test_a_plan_without_image_is_refused(self, jobs: Jobs) -> None:
        with pytest.raises(Refused):
            jobs.launch(job_plan(fresh("run"), "train", image=""))


def state(jobs: Jobs, name: str) -> JobState:
    """How the job stands."""
    seen = jobs.view(name)
    assert seen is not None
    return seen.state


class TestMemoryJobs(JobsContract):
    """The promises in memory."""

    @pytest.fixture
    def word(self) -> str:
        return "/nowhere"

    @pytest.fixture
    def jobs(self) -> MemoryJobs:
        return MemoryJobs(lambda: datetime(2013, 6, 1, tzinfo=UTC))

    @pytest.fixture
    def end(self, jobs: MemoryJobs) -> End:
        def finish(name: str, state: JobState) -> JobView:
            parameters: dict[str, float | str] = {
                "batch_size": 8.0,
                "learning_rate": 0.01,
                "hidden_units": "32",
                "num_buckets": 4.0,
            }
            trials = tuple(
                Trial(id=str(n), state="SUCCEEDED", parameters=parameters, metrics={"val_log_loss": 0.25})
                for n in (1, 2)
            )
            tuned = trials if jobs.plan(name).kind == "tune" else ()
            return jobs.finish(name, state, "it broke" if state is JobState.FAILED else "", tuned)

        return finish


class TestVertexJobs(JobsContract):
    """The promises on Vertex AI's protocol."""

    @pytest.fixture
    def word(self, tmp_path: Path) -> str:
        return str(tmp_path / "word")

    @pytest.fixture
    def jobs(self, cloud: Settings) -> VertexJobs:
        return VertexJobs(cloud)

    @pytest.fixture(autouse=True)
    def leave_nothing(self, jobs: VertexJobs, word: str) -> object:
        """Every job of a test ends with it."""
        yield
        Path(word).write_text("succeed")

    @pytest.fixture
    def end(self, jobs: VertexJobs, word: str) -> End:
        def finish(name: str, wanted: JobState) -> JobView:
            Path(word).write_text("succeed" if wanted is JobState.SUCCEEDED else "fail")
            until(lambda: state(jobs, name).ended)
            seen = jobs.view(name)
            assert seen is not None
            return seen

        return finish
