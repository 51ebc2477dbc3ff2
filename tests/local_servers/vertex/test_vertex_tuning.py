"""Hyperparameter tuning jobs run trials, read their measurements and judge them as Vertex AI does."""

import math
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import aiplatform_v1 as v1
from vertexkit import PARENT, Clients, python_pool, until

State, Trial = v1.JobState, v1.Trial.State
# A trial that reports (x - 0.3)^2 by the real library, under the tag in its first argument.
REPORT = """
import sys, hypertune
values = dict(a[2:].split("=") for a in sys.argv[2:])
print(" ".join(sys.argv[2:]))
tuner = hypertune.HyperTune()
loss = (float(values["x"]) - 0.3) ** 2
for step, part in enumerate((3, 2, 1), 1):
    tuner.report_hyperparameter_tuning_metric(sys.argv[1], loss * part, step)
"""
X = {"parameter_id": "x", "double_value_spec": {"min_value": 0, "max_value": 1}}
UNITS = {"parameter_id": "units", "integer_value_spec": {"min_value": 32, "max_value": 128}}


def tuning(code: str, *args: str, parameters: Any = (X,), trials: int = 4, **study: Any) -> dict[str, Any]:
    """A tuning job that minimizes ``loss``."""
    return {
        "display_name": "tune",
        "study_spec": {
            "metrics": [{"metric_id": "loss", "goal": "MINIMIZE"}],
            "parameters": list(parameters),
        }
        | study,
        "max_trial_count": trials,
        "parallel_trial_count": 2,
        "trial_job_spec": {"worker_pool_specs": [python_pool(code, *args)]},
    }


@pytest.fixture(scope="module")
def done(clients: Clients) -> Any:
    """A job of four trials that has ended."""
    job = tuning(REPORT, "loss", parameters=[X, UNITS])
    job["trial_job_spec"]["base_output_directory"] = {"output_uri_prefix": "gs://stage/tune"}
    return clients.tune(job)


class TestTrials:
    def test_the_job_and_its_trials_succeed(self, done: Any) -> None:
        assert done.state == State.JOB_STATE_SUCCEEDED, done.error
        assert [(trial.id, trial.state) for trial in done.trials] == [
            (str(n), Trial.SUCCEEDED) for n in (1, 2, 3, 4)
        ]

    def test_the_last_measurement_is_final(self, done: Any) -> None:
        for trial in done.trials:
            (x,) = (p.value for p in trial.parameters if p.parameter_id == "x")

            assert math.isclose(trial.final_measurement.metrics[0].value, (x - 0.3) ** 2)
            assert trial.final_measurement.step_count == 3

    def test_every_measurement_is_kept(self, done: Any) -> None:
        assert [[m.step_count for m in trial.measurements] for trial in done.trials] == [[1, 2, 3]] * 4

    def test_whole_numbers_are_doubles_in_the_trial_and_have_no_fraction_in_its_arguments(
        self, done: Any, state: Path
    ) -> None:
        job = done.name.rpartition("/")[2]
        for trial in done.trials:
            (units,) = (p.value for p in trial.parameters if p.parameter_id == "units")

            assert isinstance(units, float)
            assert f"--units={int(units)}\n" in (state / "logs" / f"{job}-{trial.id}.log").read_text()

    def test_trials_try_different_points(self, done: Any) -> None:
        assert len({trial.parameters[0].value for trial in done.trials}) == 4

    def test_a_trial_knows_its_number_and_folder(self, clients: Clients, state: Path) -> None:
        code = "import os; print(os.environ['CLOUD_ML_TRIAL_ID'], os.environ['AIP_MODEL_DIR'])"
        job = tuning(code, trials=2)
        job["trial_job_spec"]["base_output_directory"] = {"output_uri_prefix": "gs://stage/tune"}
        ended = clients.tune(job)

        logs = [(state / "logs" / f"{ended.name.rpartition('/')[2]}-{n}.log").read_text() for n in (1, 2)]
        assert logs == ["1 gs://stage/tune/1/model/\n", "2 gs://stage/tune/2/model/\n"]


class TestSearch:
    def test_the_best_measurement_counts_when_the_study_says_so(self, clients: Clients) -> None:
        code = REPORT.replace("(3, 2, 1)", "(2, 1, 3)")
        job = clients.tune(tuning(code, "loss", trials=2, measurement_selection_type="BEST_MEASUREMENT"))

        assert {trial.final_measurement.step_count for trial in job.trials} == {2}

    def test_a_grid_is_searched_once(self, clients: Clients) -> None:
        grid = [
            {"parameter_id": "x", "discrete_value_spec": {"values": [0.1, 0.5]}},
            {"parameter_id": "kind", "categorical_value_spec": {"values": ["a", "b"]}},
        ]
        job = clients.tune(tuning(REPORT, "loss", parameters=grid, trials=9, algorithm="GRID_SEARCH"))

        points = sorted(tuple(p.value for p in trial.parameters) for trial in job.trials)
        assert points == [(0.1, "a"), (0.1, "b"), (0.5, "a"), (0.5, "b")]

    def test_a_conditional_parameter_follows_its_parent(self, clients: Clients) -> None:
        kind = {
            "parameter_id": "kind",
            "categorical_value_spec": {"values": ["tree", "net"]},
            "conditional_parameter_specs": [
                {"parent_categorical_values": {"values": ["net"]}, "parameter_spec": UNITS}
            ],
        }
        job = clients.tune(tuning(REPORT, "loss", parameters=[X, kind], trials=6, algorithm="RANDOM_SEARCH"))

        chosen = [{p.parameter_id: p.value for p in trial.parameters} for trial in job.trials]
        assert {(point["kind"], "units" in point) for point in chosen} == {("tree", False), ("net", True)}

    def test_a_default_is_tried_first(self, clients: Clients) -> None:
        x = {"parameter_id": "x", "double_value_spec": {"min_value": 0, "max_value": 1, "default_value": 0.25}}

        assert clients.tune(tuning(REPORT, "loss", parameters=[x], trials=2)).trials[0].parameters[0].value == 0.25

    def test_a_trial_below_the_median_is_stopped_early(self, clients: Clients) -> None:
        code = """
import sys, time, hypertune
bad = float(sys.argv[1][4:]) > 0.5
tuner = hypertune.HyperTune()
for step in range(1, 4 if not bad else 900):
    tuner.report_hyperparameter_tuning_metric("loss", 9.0 if bad else 1.0, step)
    time.sleep(0.05)
"""
        values = {"values": [0.1, 0.2, 0.3, 0.9]}
        job = tuning(code, parameters=[{"parameter_id": "x", "discrete_value_spec": values}], trials=4)
        job["study_spec"] |= {"algorithm": "GRID_SEARCH", "median_automated_stopping_spec": {}}
        ended = clients.tune(job)

        steps = {t.parameters[0].value: (t.state, t.final_measurement.step_count) for t in ended.trials}
        assert steps[0.1] == (Trial.SUCCEEDED, 3)
        assert steps[0.9][0] == Trial.SUCCEEDED
        assert steps[0.9][1] < 200


class TestFailures:
    def test_a_wrong_metric_tag_makes_a_trial_infeasible(self, clients: Clients) -> None:
        job = clients.tune(tuning(REPORT, "accuracy", trials=2))

        assert {trial.state for trial in job.trials} == {Trial.INFEASIBLE}
        assert "'loss'; it reported 'accuracy'" in job.trials[0].infeasible_reason

    def test_a_job_fails_when_all_trials_fail(self, both: Clients) -> None:
        job = both.tune(tuning("raise SystemExit('no data')", trials=2))

        assert job.state == State.JOB_STATE_FAILED
        assert "2 of 2 trials failed" in job.error.message
        assert "no data" in job.error.message

    def test_a_job_survives_a_failed_trial(self, clients: Clients) -> None:
        code = "import os\nif os.environ['CLOUD_ML_TRIAL_ID'] == '1': raise SystemExit(1)\n" + REPORT
        job = clients.tune(tuning(code, "loss", trials=3))

        assert job.state == State.JOB_STATE_SUCCEEDED
        assert [trial.state for trial in job.trials] == [Trial.INFEASIBLE, Trial.SUCCEEDED, Trial.SUCCEEDED]

    def test_a_job_fails_at_its_number_of_failed_trials(self, clients: Clients) -> None:
        job = tuning("raise SystemExit(1)", trials=20) | {"max_failed_trial_count": 2}
        ended = clients.tune(job)

        assert ended.state == State.JOB_STATE_FAILED
        assert len(ended.trials) < 6

    def test_a_cancelled_job_stops_its_trials(self, clients: Clients) -> None:
        job = tuning("import time; time.sleep(60)")
        name = clients.jobs.create_hyperparameter_tuning_job(parent=PARENT, hyperparameter_tuning_job=job).name

        def get() -> Any:
            return clients.jobs.get_hyperparameter_tuning_job(name=name)

        until(lambda: get().state == State.JOB_STATE_RUNNING)
        clients.jobs.cancel_hyperparameter_tuning_job(name=name)
        assert clients.ended(get).state == State.JOB_STATE_CANCELLED


class TestRefusals:
    @pytest.mark.parametrize(
        ("study", "said"),
        [
            ({"metrics": []}, "study_spec.metrics"),
            ({"metrics": [{"metric_id": "loss"}]}, "goal"),
            ({"parameters": []}, "study_spec.parameters"),
            ({"parameters": [X, X]}, "unique"),
            ({"parameters": [{"parameter_id": "x"}]}, "double_value_spec"),
            ({"parameters": [X | {"scale_type": "UNIT_LOG_SCALE"}]}, "min_value > 0"),
            ({"algorithm": "GRID_SEARCH"}, "GRID_SEARCH"),
        ],
    )
    def test_a_malformed_study_is_refused_by_field(
        self, clients: Clients, study: dict[str, Any], said: str
    ) -> None:
        job = tuning("pass")
        job["study_spec"] |= study

        with pytest.raises(exceptions.InvalidArgument, match=said):
            clients.jobs.create_hyperparameter_tuning_job(parent=PARENT, hyperparameter_tuning_job=job)

    def test_decay_curve_stopping_is_refused_by_name(self, both: Clients) -> None:
        job = tuning("pass", decay_curve_stopping_spec={})

        with pytest.raises(exceptions.MethodNotImplemented, match="decay_curve_stopping_spec"):
            both.jobs.create_hyperparameter_tuning_job(parent=PARENT, hyperparameter_tuning_job=job)

    def test_a_job_without_trials_is_refused(self, clients: Clients) -> None:
        with pytest.raises(exceptions.InvalidArgument, match="max_trial_count"):
            clients.jobs.create_hyperparameter_tuning_job(
                parent=PARENT, hyperparameter_tuning_job=tuning("pass", trials=0)
            )
