"""Job plans in Vertex AI's messages."""

from dataclasses import replace

import pytest
from google.cloud.aiplatform_v1 import types as vertex

from gcp.jobspecs import custom_job, parameter, tuning_job
from retraining.errors import Refused
from retraining.modelspec import Machine, Range
from tests.contract.vertex import job_plan

Spec = vertex.StudySpec.ParameterSpec


def test_the_plan_arrives_in_the_job() -> None:
    """Container, output, account and time limit are the plan's."""
    plan = job_plan("run-1", "train", "/word")

    job = custom_job(plan, {"run_id": "run-1"})

    (pool,) = job.job_spec.worker_pool_specs
    assert job.display_name == "train run-1"
    assert dict(job.labels) == {"run_id": "run-1"}
    assert job.job_spec.base_output_directory.output_uri_prefix == "gs://artifacts/runs/run-1"
    assert job.job_spec.service_account == "trainer@acme.iam.gserviceaccount.com"
    assert job.job_spec.scheduling.timeout.total_seconds() == 600
    assert pool.container_spec.image_uri == plan.image
    assert list(pool.container_spec.args) == ["/word"]
    assert {(item.name, item.value) for item in pool.container_spec.env} == {("MODEL", "flights")}


def test_more_machines_make_a_second_pool() -> None:
    """The first pool of a job holds exactly one machine."""
    plan = replace(job_plan("run-1", "train"), machine=Machine(type="n1-standard-4", price=1, replicas=4))

    pools = custom_job(plan, {}).job_spec.worker_pool_specs

    assert [pool.replica_count for pool in pools] == [1, 3]


def test_an_accelerator_is_asked_for_by_name() -> None:
    """Its name is Vertex AI's own; a mistyped one is refused with those there are."""
    machine = Machine(type="n1-standard-4", price=1, accelerator="NVIDIA_TESLA_T4", accelerator_count=2)
    plan = replace(job_plan("run-1", "train"), machine=machine)

    (pool,) = custom_job(plan, {}).job_spec.worker_pool_specs

    assert pool.machine_spec.accelerator_type.name == "NVIDIA_TESLA_T4"
    assert pool.machine_spec.accelerator_count == 2
    with pytest.raises(Refused, match=r"'T4': expected one of .*NVIDIA_TESLA_T4"):
        custom_job(replace(plan, machine=machine.model_copy(update={"accelerator": "T4"})), {})


def test_tuning_says_metric_goal_and_counts() -> None:
    """The study is the plan's; of each trial its last measurement counts, not its luckiest."""
    job = tuning_job(job_plan("run-1", "tune"), {})

    (metric,) = job.study_spec.metrics
    assert (metric.metric_id, metric.goal.name) == ("val_log_loss", "MINIMIZE")
    assert (job.max_trial_count, job.parallel_trial_count) == (2, 2)
    assert job.study_spec.measurement_selection_type.name == "LAST_MEASUREMENT"


def test_each_kind_of_range_has_its_own_form() -> None:
    """Integer, double, categorical and discrete, with the scale where there is one."""
    whole = parameter("n", Range(type="integer", min=1, max=9, scale="log"))
    double = parameter("x", Range(type="double", min=0.1, max=0.9, scale="reverse_log"))
    words = parameter("w", Range(type="categorical", values=("a", 2)))
    steps = parameter("s", Range(type="discrete", values=(64, 32)))

    assert (whole.integer_value_spec.min_value, whole.integer_value_spec.max_value) == (1, 9)
    assert whole.scale_type == Spec.ScaleType.UNIT_LOG_SCALE
    assert (double.double_value_spec.min_value, double.double_value_spec.max_value) == (0.1, 0.9)
    assert double.scale_type == Spec.ScaleType.UNIT_REVERSE_LOG_SCALE
    assert list(words.categorical_value_spec.values) == ["a", "2.0"]
    assert list(steps.discrete_value_spec.values) == [32.0, 64.0]


def test_what_is_no_range_is_refused() -> None:
    """The message names the argument."""
    with pytest.raises(Refused, match="range of n: expected a Range, got 5"):
        parameter("n", 5)
