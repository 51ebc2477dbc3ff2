"""Money: what a run may cost at most, and what it did cost."""

from datetime import timedelta

from retraining.modelspec import Machine, ModelSpec
from retraining.records import Money, Run

EVALUATION_TIMEOUT = timedelta(hours=1)
_HOUR = timedelta(hours=1)


def _price(machine: Machine, time: timedelta, parallel: int = 1) -> float:
    return machine.price * machine.replicas * parallel * (time / _HOUR)


def most(spec: ModelSpec, action: str) -> float:
    """The most a run can cost: each job until its time limit, one repeat each. Serving is not part of it."""
    cost = 2 * _price(spec.machines.training, spec.training.timeout)
    cost += 2 * _price(spec.machines.evaluation, EVALUATION_TIMEOUT)
    if action == "tune" and spec.tuning:
        cost += _price(spec.machines.tuning, spec.tuning.timeout, spec.tuning.parallel)
    return round(cost, 4)


def spent(spec: ModelSpec, run: Run) -> float:
    """What the jobs of a run have cost so far."""
    parallel = spec.tuning.parallel if spec.tuning else 1
    machines = {"train": spec.machines.training, "evaluate": spec.machines.evaluation, "tune": spec.machines.tuning}
    total = 0.0
    for job in run.jobs:
        factor = parallel if job.kind == "tune" else 1
        total += _price(machines[job.kind], timedelta(seconds=job.seconds), factor)
    return round(total, 6)


def refusal(spec: ModelSpec, money: Money, action: str) -> str | None:
    """Why the budget does not allow a run, or None."""
    cost = most(spec, action)
    limit = spec.policy.budget
    if cost > limit.per_run:
        return f"a {action} run may cost {cost:.2f}, more than {limit.per_run:.2f} per run"
    if money.committed + cost > limit.per_month:
        return (
            f"{money.committed:.2f} of {limit.per_month:.2f} is committed this month and a {action} run may cost "
            f"{cost:.2f}"
        )
    return None
