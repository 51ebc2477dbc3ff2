"""A job plan in Vertex AI's messages."""

from datetime import timedelta

from google.cloud.aiplatform_v1 import types as vertex

from gcp.vertex import machine_spec
from retraining.errors import Refused
from retraining.modelspec import Range
from retraining.views import JobPlan

_Parameter = vertex.StudySpec.ParameterSpec
_Metric = vertex.StudySpec.MetricSpec
_SCALES = {
    "linear": _Parameter.ScaleType.UNIT_LINEAR_SCALE,
    "log": _Parameter.ScaleType.UNIT_LOG_SCALE,
    "reverse_log": _Parameter.ScaleType.UNIT_REVERSE_LOG_SCALE,
}
_GOALS = {"minimize": _Metric.GoalType.MINIMIZE, "maximize": _Metric.GoalType.MAXIMIZE}


def custom_job(plan: JobPlan, labels: dict[str, str]) -> vertex.CustomJob:
    """The job that trains or evaluates."""
    return vertex.CustomJob(display_name=plan.display_name, labels=labels, job_spec=_job_spec(plan))


def tuning_job(plan: JobPlan, labels: dict[str, str]) -> vertex.HyperparameterTuningJob:
    """The job that tunes. Raises Refused when the plan says neither what to tune nor by which metric."""
    if plan.tuning is None or not plan.ranges:
        raise Refused(f"{plan.display_name}: a tuning job needs a metric and ranges, got {plan.ranges!r}")
    return vertex.HyperparameterTuningJob(
        display_name=plan.display_name,
        labels=labels,
        max_trial_count=plan.tuning.trials,
        parallel_trial_count=plan.tuning.parallel,
        study_spec=vertex.StudySpec(
            metrics=[_Metric(metric_id=plan.tuning.metric, goal=_GOALS[plan.tuning.goal])],
            parameters=[parameter(name, where) for name, where in plan.ranges.items()],
            # The best value a trial ever showed is partly luck; the last one is what its model has.
            measurement_selection_type=vertex.StudySpec.MeasurementSelectionType.LAST_MEASUREMENT,
            median_automated_stopping_spec=vertex.StudySpec.MedianAutomatedStoppingSpec(),
        ),
        trial_job_spec=_job_spec(plan),
    )


def parameter(name: str, where: object) -> vertex.StudySpec.ParameterSpec:
    """What tuning may try for the argument ``name``. Raises Refused unless ``where`` is a Range."""
    if not isinstance(where, Range):
        raise Refused(f"range of {name}: expected a Range, got {where!r}")
    if where.type == "categorical":
        values = [str(value) for value in where.values]
        return _Parameter(parameter_id=name, categorical_value_spec=_Parameter.CategoricalValueSpec(values=values))
    scale = _SCALES[where.scale]
    if where.type == "discrete":
        numbers = sorted(float(value) for value in where.values)
        discrete = _Parameter.DiscreteValueSpec(values=numbers)
        return _Parameter(parameter_id=name, scale_type=scale, discrete_value_spec=discrete)
    if where.min is None or where.max is None:
        raise Refused(f"range of {name}: expected min and max, got {where.min!r} and {where.max!r}")
    if where.type == "integer":
        whole = _Parameter.IntegerValueSpec(min_value=int(where.min), max_value=int(where.max))
        return _Parameter(parameter_id=name, scale_type=scale, integer_value_spec=whole)
    double = _Parameter.DoubleValueSpec(min_value=where.min, max_value=where.max)
    return _Parameter(parameter_id=name, scale_type=scale, double_value_spec=double)


def _job_spec(plan: JobPlan) -> vertex.CustomJobSpec:
    return vertex.CustomJobSpec(
        worker_pool_specs=_pools(plan),
        base_output_directory=vertex.GcsDestination(output_uri_prefix=plan.output_uri),
        scheduling=vertex.Scheduling(timeout=timedelta(seconds=plan.timeout_s)),
        service_account=plan.account,
    )


def _pools(plan: JobPlan) -> list[vertex.WorkerPoolSpec]:
    """The first pool is the chief and holds one machine; further replicas make a second pool."""
    counts = [1] if plan.machine.replicas == 1 else [1, plan.machine.replicas - 1]
    return [
        vertex.WorkerPoolSpec(
            machine_spec=machine_spec(plan.machine),
            replica_count=count,
            container_spec=vertex.ContainerSpec(
                image_uri=plan.image,
                command=list(plan.command),
                args=list(plan.args),
                env=[vertex.EnvVar(name=name, value=value) for name, value in plan.env.items()],
            ),
        )
        for count in counts
    ]
