"""Custom jobs run as local processes in Vertex AI's environment and go through its states."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import aiplatform_v1 as v1
from vertexkit import PARENT, PYTHON_IMAGE, Clients, finish, python_job, until

State = v1.JobState
_PRINT_ENV = "import json, os; print(json.dumps(dict(os.environ)))"


def _environment(state: Path, job: Any) -> dict[str, str]:
    found: dict[str, str] = json.loads((state / "logs" / f"{job.name.rpartition('/')[2]}.log").read_text())
    return found


class TestRuns:
    def test_a_job_succeeds_with_its_times(self, both: Clients) -> None:
        job = both.run(python_job("pass"))

        assert job.state == State.JOB_STATE_SUCCEEDED
        assert job.create_time <= job.start_time <= job.end_time

    def test_arguments_reach_the_command(self, clients: Clients, state: Path) -> None:
        job = clients.run(python_job("import sys; print(sys.argv[1:])", "--a=1", "two"))

        assert (state / "logs" / f"{job.name.rpartition('/')[2]}.log").read_text() == "['--a=1', 'two']\n"

    def test_the_environment_is_the_training_contract(self, clients: Clients, state: Path) -> None:
        job = clients.run(python_job(_PRINT_ENV, base_output_directory={"output_uri_prefix": "gs://stage/out"}))

        env = _environment(state, job)
        assert {key: env[key] for key in env if key.startswith("AIP_")} == {
            "AIP_MODEL_DIR": "gs://stage/out/model/",
            "AIP_CHECKPOINT_DIR": "gs://stage/out/checkpoints/",
            "AIP_TENSORBOARD_LOG_DIR": "gs://stage/out/logs/",
        }
        assert env["CLOUD_ML_JOB_ID"] == job.name.rpartition("/")[2]
        assert (env["CLOUD_ML_PROJECT_ID"], env["CLOUD_ML_REGION"]) == ("acme", "us-central1")
        assert "workerpool0" in env["CLUSTER_SPEC"]

    def test_the_container_s_own_variables_are_set(self, clients: Clients, state: Path) -> None:
        job = python_job(_PRINT_ENV)
        job["job_spec"]["worker_pool_specs"][0]["container_spec"]["env"] = [{"name": "COLOUR", "value": "blue"}]

        assert _environment(state, clients.run(job))["COLOUR"] == "blue"

    def test_a_job_inherits_where_storage_is(self, clients: Clients, state: Path, gcs: str) -> None:
        job = clients.run(python_job(_PRINT_ENV))

        assert _environment(state, job)["STORAGE_EMULATOR_HOST"] == gcs

    def test_a_shell_command_finds_the_image_s_python(self, clients: Clients) -> None:
        job = python_job("")
        container = job["job_spec"]["worker_pool_specs"][0]["container_spec"]
        container["command"] = ["sh", "-c", 'python -c "import grpc"']

        assert clients.run(job).state == State.JOB_STATE_SUCCEEDED


class TestFailures:
    def test_a_failed_process_shows_its_last_lines(self, both: Clients) -> None:
        job = both.run(python_job("raise SystemExit('no such column: delay')"))

        assert job.state == State.JOB_STATE_FAILED
        assert "status of 1" in job.error.message
        assert "no such column: delay" in job.error.message

    def test_an_unknown_image_fails_the_job_by_name(self, clients: Clients) -> None:
        job = python_job("pass")
        job["job_spec"]["worker_pool_specs"][0]["container_spec"]["image_uri"] = "gcr.io/other/image:2"

        ended = clients.run(job)
        assert ended.state == State.JOB_STATE_FAILED
        assert "gcr.io/other/image:2" in ended.error.message

    def test_more_than_one_pool_fails_the_job(self, clients: Clients) -> None:
        job = python_job("pass")
        job["job_spec"]["worker_pool_specs"] *= 2

        assert "2 worker pools" in clients.run(job).error.message

    def test_a_timeout_ends_the_job(self, clients: Clients) -> None:
        began = time.monotonic()
        job = clients.run(python_job("import time; time.sleep(60)", scheduling={"timeout": {"seconds": 1}}))

        assert job.state == State.JOB_STATE_FAILED
        assert "timeout of 1 s" in job.error.message
        assert time.monotonic() - began < 10

    def test_a_missing_package_fails_the_job_by_name(self, clients: Clients) -> None:
        job = python_job("pass")
        pool = job["job_spec"]["worker_pool_specs"][0]
        del pool["container_spec"]
        pool["python_package_spec"] = {
            "executor_image_uri": PYTHON_IMAGE,
            "package_uris": ["gs://stage/none.tar.gz"],
            "python_module": "trainer.task",
        }

        assert "gs://stage/none.tar.gz" in clients.run(job).error.message


class TestCancelAndDelete:
    def test_a_cancelled_job_stops(self, both: Clients) -> None:
        name = both.jobs.create_custom_job(parent=PARENT, custom_job=python_job("import time; time.sleep(60)")).name
        until(lambda: both.jobs.get_custom_job(name=name).state == State.JOB_STATE_RUNNING)
        both.jobs.cancel_custom_job(name=name)

        assert both.ended(lambda: both.jobs.get_custom_job(name=name)).state == State.JOB_STATE_CANCELLED

    def test_cancelling_an_ended_job_changes_nothing(self, clients: Clients) -> None:
        job = clients.run(python_job("pass"))
        clients.jobs.cancel_custom_job(name=job.name)

        assert clients.jobs.get_custom_job(name=job.name).state == State.JOB_STATE_SUCCEEDED

    def test_cancelling_an_unknown_job_is_not_found(self, clients: Clients) -> None:
        with pytest.raises(exceptions.NotFound):
            clients.jobs.cancel_custom_job(name=f"{PARENT}/customJobs/1")

    def test_a_running_job_is_not_deleted(self, clients: Clients) -> None:
        name = clients.jobs.create_custom_job(
            parent=PARENT, custom_job=python_job("import time; time.sleep(60)")
        ).name

        with pytest.raises(exceptions.FailedPrecondition, match="cancel it"):
            clients.jobs.delete_custom_job(name=name)
        clients.jobs.cancel_custom_job(name=name)

    def test_a_deleted_job_is_gone(self, both: Clients) -> None:
        job = both.run(python_job("pass"))
        finish(both.jobs.delete_custom_job(name=job.name))

        with pytest.raises(exceptions.NotFound):
            both.jobs.get_custom_job(name=job.name)


class TestRefusals:
    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"display_name": ""}, "display_name"),
            ({"job_spec": {}}, "job_spec"),
            ({"labels": {"Model": "x"}}, "Invalid label key 'Model'"),
            ({"labels": {"model": "x" * 65}}, "at most 64 characters"),
            ({"job_spec": {"worker_pool_specs": [{"replica_count": 1}]}}, "container_spec"),
        ],
    )
    def test_a_malformed_job_is_refused_by_field(self, both: Clients, change: dict[str, Any], said: str) -> None:
        with pytest.raises(exceptions.BadRequest, match=said):
            both.jobs.create_custom_job(parent=PARENT, custom_job=python_job("pass") | change)

    def test_a_job_without_machine_type_is_refused(self, clients: Clients) -> None:
        job = python_job("pass")
        job["job_spec"]["worker_pool_specs"][0]["machine_spec"] = {}

        with pytest.raises(exceptions.InvalidArgument, match="machine_type"):
            clients.jobs.create_custom_job(parent=PARENT, custom_job=job)

    def test_two_replicas_in_the_first_pool_are_refused(self, clients: Clients) -> None:
        job = python_job("pass")
        job["job_spec"]["worker_pool_specs"][0]["replica_count"] = 2

        with pytest.raises(exceptions.InvalidArgument, match="replica_count"):
            clients.jobs.create_custom_job(parent=PARENT, custom_job=job)

    def test_an_output_outside_storage_is_refused(self, clients: Clients) -> None:
        with pytest.raises(exceptions.InvalidArgument, match="Cloud Storage URI"):
            clients.jobs.create_custom_job(
                parent=PARENT, custom_job=python_job("pass", base_output_directory={"output_uri_prefix": "/tmp/x"})
            )


class TestHighLevel:
    def test_submit_get_and_state(self, sdk: Any) -> None:
        spec = python_job("pass")["job_spec"]["worker_pool_specs"]
        job = sdk.CustomJob(display_name="submitted", worker_pool_specs=spec, labels={"run": "r-1"})
        job.submit()
        until(lambda: job.state == State.JOB_STATE_SUCCEEDED)

        assert sdk.CustomJob.get(job.resource_name).display_name == "submitted"
        assert [found.name for found in sdk.CustomJob.list(filter='labels.run="r-1"')] == [job.name]

    def test_from_local_script_runs_the_script(self, sdk: Any, tmp_path: Path, state: Path) -> None:
        script = tmp_path / "train.py"
        script.write_text("import sys; print('trained with', sys.argv[1])")
        job = sdk.CustomJob.from_local_script(
            display_name="script",
            script_path=str(script),
            container_uri="us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-6:latest",
            args=["--depth=3"],
        )
        job.submit()
        until(lambda: job.state in (State.JOB_STATE_SUCCEEDED, State.JOB_STATE_FAILED))

        assert job.state == State.JOB_STATE_SUCCEEDED, job.error
        assert "trained with --depth=3" in (state / "logs" / f"{job.name}.log").read_text()
