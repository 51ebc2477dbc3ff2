"""How the open work stands, as numbers to alarm on: a watcher of the engines that does not trust them.

Every state ends by a deadline of its own. A run or rollout that is still there well after it shows that its end has
failed, whatever the reason. What is read grows with the open work only.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from retraining.budget import EVALUATION_TIMEOUT
from retraining.errors import NewerRecord, RetrainingError
from retraining.job_machine import CREATE_DEADLINE, GRACE, MAX_ATTEMPTS, OUTPUT_GRACE
from retraining.modelspec import ModelSpec
from retraining.records import Run, RunState
from retraining.rollout_loop import RolloutWorld
from retraining.rollout_machine import MAX_DEPLOYS, aftermath
from retraining.rollouts import Phase, Rollout
from retraining.run_machine import (
    APPROVAL_DEADLINE,
    DATA_DEADLINE,
    ELIGIBLE_DEADLINE,
    WAITING_DEADLINE,
    rollout_deadline,
)
from retraining.state import RunWorld, read_money, read_rollout, read_run

SLACK = timedelta(hours=2)  # for ticks that came late, and for the last effects of an end
ENDING = timedelta(days=1)  # for traffic to return and models to go


@dataclass(frozen=True)
class RunsHealth:
    """The runs under way."""

    open: int
    overdue: tuple[str, ...]  # ids of runs past their deadline, and of those whose record cannot be read
    oldest: timedelta
    money: float  # spent or reserved this month by the models with open runs

    def fields(self) -> dict[str, str]:
        """The same for a line of the log; Terraform makes metrics of these names."""
        return {
            "open": str(self.open),
            "overdue": str(len(self.overdue)),
            "oldest_hours": f"{self.oldest.total_seconds() / 3600:.1f}",
            "money": f"{self.money:.2f}",
            "which": ", ".join(self.overdue),
        }


@dataclass(frozen=True)
class RolloutsHealth:
    """The rollouts under way, and what endpoints hold beside them."""

    open: int
    overdue: tuple[str, ...]  # endpoints
    orphans: int  # deployed models beyond one, on endpoints without a rollout

    def fields(self) -> dict[str, str]:
        """See RunsHealth."""
        return {
            "open": str(self.open),
            "overdue": str(len(self.overdue)),
            "orphans": str(self.orphans),
            "which": ", ".join(self.overdue),
        }


def run_limit(state: RunState, spec: ModelSpec) -> timedelta:
    """How long a run may stay in ``state``."""
    tuning = spec.tuning.timeout if spec.tuning else timedelta()
    return {
        RunState.WAITING: WAITING_DEADLINE,
        RunState.VALIDATING: DATA_DEADLINE,
        RunState.LAUNCHING: DATA_DEADLINE,
        RunState.TUNING: _jobs(tuning),
        RunState.TRAINING: _jobs(spec.training.timeout),
        RunState.EVALUATING: _jobs(EVALUATION_TIMEOUT),
        RunState.AWAITING_APPROVAL: APPROVAL_DEADLINE,
        RunState.ELIGIBLE: ELIGIBLE_DEADLINE,
        RunState.ROLLING_OUT: rollout_deadline(spec),
    }.get(state, timedelta())  # an end has nothing left to do


def _jobs(timeout: timedelta) -> timedelta:
    return MAX_ATTEMPTS * (CREATE_DEADLINE + timeout + GRACE + OUTPUT_GRACE)


def rollout_limit(phase: Phase, spec: ModelSpec) -> timedelta | None:
    """How long a rollout may stay in ``phase``; None without limit: a person holds it."""
    deploying = spec.rollout.deploy_timeout * (1 + MAX_DEPLOYS)
    return {
        Phase.IDLE: aftermath(spec),
        Phase.REGISTERING: deploying,
        Phase.DEPLOYING: deploying,
        Phase.STEP: spec.rollout.step_deadline,
        Phase.FULL: spec.rollout.soak,
        Phase.HELD: None,
    }.get(phase, ENDING)


def is_overdue(run: Run, spec: ModelSpec, now: datetime) -> bool:
    """Whether the run should have left its state by now."""
    return now > run.entered + run_limit(run.state, spec) + SLACK


def is_stuck(record: Rollout, spec: ModelSpec, now: datetime) -> bool:
    """Whether the rollout should have left its phase by now."""
    limit = rollout_limit(record.phase, spec)
    return limit is not None and record.entered is not None and now > record.entered + limit + SLACK


def runs_health(world: RunWorld) -> RunsHealth:
    """Look at every run under way."""
    now, paths = world.now(), world.store.list("active/")
    overdue, oldest, models = [], now, set()
    for path in paths:
        run_id = path.removeprefix("active/").removesuffix(".json")
        try:
            found = read_run(world.store, run_id)
        except NewerRecord:
            continue  # a newer release looks after it
        except RetrainingError:
            overdue.append(run_id)
            continue
        if found is None or (spec := world.models.get(found[0].model)) is None:
            continue  # being opened, or of a model that was taken away: the engine says so
        run = found[0]
        oldest = min(oldest, run.opened)
        models.add(run.model)
        if is_overdue(run, spec, now):
            overdue.append(run_id)
    money = sum(_committed(world, model, now) for model in sorted(models))
    return RunsHealth(len(paths), tuple(overdue), now - oldest, money)


def _committed(world: RunWorld, model: str, now: datetime) -> float:
    with suppress(RetrainingError):  # the engine reports what it cannot read
        return read_money(world.store, model, now)[0].committed
    return 0.0


def rollouts_health(world: RolloutWorld) -> RolloutsHealth:
    """Look at every rollout under way, and count what idle endpoints hold."""
    now = world.now()
    busy = {path.split("/")[1] for path in world.store.list("rolling/")}
    by_endpoint = {spec.endpoint: spec for spec in world.models.values()}
    overdue = []
    for endpoint in sorted(busy & set(by_endpoint)):
        spec = by_endpoint[endpoint]
        try:
            record, _ = read_rollout(world.store, endpoint, spec.name)
        except NewerRecord:
            continue
        except RetrainingError:
            overdue.append(endpoint)
            continue
        if is_stuck(record, spec, now):
            overdue.append(endpoint)
    held = world.endpoints.deployed()
    orphans = sum(max(0, held.get(endpoint, 0) - 1) for endpoint in set(by_endpoint) - busy)
    return RolloutsHealth(len(busy), tuple(overdue), orphans)
