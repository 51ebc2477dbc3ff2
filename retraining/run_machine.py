"""The life of a run as one pure function: record and world in, at most one step out.

``next_step`` imports no client and asks nobody for the time. The loop that reads the world and performs the step is
``retraining.run_loop``; it is told what to do and decides nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from retraining import checks, gate
from retraining.budget import EVALUATION_TIMEOUT
from retraining.incidents import Incident
from retraining.job_machine import (
    CREATE_DEADLINE,
    GRACE,
    MAX_ATTEMPTS,
    OUTPUT_GRACE,
    JobStep,
    Seen,
    job_step,
)
from retraining.limits import STALL
from retraining.modelspec import ModelSpec
from retraining.policy import Situation, decide
from retraining.records import Decision, ModelState, Money, Run, RunState
from retraining.reports import Evaluation, Manifest
from retraining.rollouts import Outcome, Serving
from retraining.trials import arguments, best_trial
from retraining.triggers import Kind
from retraining.views import JobView, Watermark

WAITING_DEADLINE = timedelta(days=30)  # a run that never gets its turn
DATA_DEADLINE = timedelta(days=1)
APPROVAL_DEADLINE = timedelta(days=7)
ELIGIBLE_DEADLINE = timedelta(days=7)


@dataclass(frozen=True)
class RunView:
    """What the world shows to one run. Only what its state needs is read; the rest keeps its default."""

    now: datetime
    state: ModelState
    money: Money
    champion: Serving | None = None
    watermark: Watermark | None = None
    incident: Incident | None = None  # of drift or of the feed, the model's last one
    jobs: tuple[JobView, ...] = ()  # of the kind this state needs, found by label
    holder: str = ""  # the job that holds the fence of the current attempt
    manifest: Manifest | None = None
    evaluation: Evaluation | None = None
    rolling: bool = False  # the endpoint's rollout is this run's
    outcome: Outcome | None = None
    published: bool = False  # the candidate lies in the deployer's queue
    own_intent: bool = False  # this very pass wrote the intention of the job that is to be created


@dataclass(frozen=True)
class Wait:
    """Nothing to do now."""

    reason: str


@dataclass(frozen=True)
class Move:
    """Write the record in its next state."""

    state: RunState
    reason: str
    changes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Do:
    """Perform one effect. ``what`` names a method of the run loop."""

    what: str
    job: JobStep | None = None


Step = Wait | Move | Do


def next_step(run: Run, spec: ModelSpec, view: RunView) -> Step:
    """What to do next for this run."""
    if run.state.ended:
        return _close(run, view)
    taken = run.state is RunState.ROLLING_OUT or view.rolling or view.outcome is not None
    # A rollout that has begun is taken back with a rollback; its run follows it to its end all the same.
    step = _cancel(run, view) if run.cancelled_by and not taken else _STEPS[run.state](run, spec, view)
    limit = jobs_deadline(run.state, spec)
    if limit is not None and view.now > run.entered + limit and _depends_on_jobs(step):
        end = RunState.CANCELLED if run.cancelled_by else RunState.FAILED
        return Move(end, f"its jobs came to no end within {limit}")
    return step


def jobs_deadline(state: RunState, spec: ModelSpec) -> timedelta | None:
    """The longest a state may last in which jobs run, every attempt as late as it can be; None for other states."""
    timeout = {
        RunState.TUNING: spec.tuning.timeout if spec.tuning else timedelta(),
        RunState.TRAINING: spec.training.timeout,
        RunState.EVALUATING: EVALUATION_TIMEOUT,
    }.get(state)
    return None if timeout is None else MAX_ATTEMPTS * (CREATE_DEADLINE + timeout + GRACE + OUTPUT_GRACE)


def _depends_on_jobs(step: Step) -> bool:
    """Whether only the jobs' service can bring the run further: it may never answer."""
    asks = isinstance(step, Do) and step.what in ("intend_job", "create_job", "cancel_job")
    return asks or isinstance(step, Wait)


def patience(run: Run, spec: ModelSpec, state: ModelState, now: datetime) -> str | None:
    """Why a waiting run does not ask for its turn yet, or None. People do not wait for more triggers."""
    if state.active_run not in ("", run.run_id):
        return f"run {state.active_run} has its turn"
    manual = any(cause.kind is Kind.MANUAL for cause in run.causes)
    if not manual and now < run.opened + spec.policy.debounce:
        return "more triggers may join"
    return None


def _waiting(run: Run, spec: ModelSpec, view: RunView) -> Step:
    if view.now > run.opened + WAITING_DEADLINE:
        return Move(RunState.EXPIRED, f"no turn within {WAITING_DEADLINE.days} days")
    if (why := patience(run, spec, view.state, view.now)) is not None:
        return Wait(why)
    decision = _decide(run, spec, view)
    if decision.action == "skip":
        return Move(RunState.SKIPPED, f"{decision.code}: {decision.text}", {"decision": decision})
    if view.state.active_run != run.run_id:
        return Do("take_turn")
    return Move(RunState.VALIDATING, decision.text, {"decision": decision})


def _decide(run: Run, spec: ModelSpec, view: RunView) -> Decision:
    watermark = view.watermark or Watermark(newest=None, new_rows=0)
    has_champion = view.champion is not None
    situation = Situation(view.now, view.state, view.money, has_champion, watermark, view.incident)
    return decide(spec, run, situation)


def _validating(run: Run, spec: ModelSpec, view: RunView) -> Step:
    if view.now > run.entered + DATA_DEADLINE:
        return Move(RunState.EXPIRED, "the data could not be checked in time")
    if run.data is None:
        return Do("count_data")
    if found := checks.problems(spec, run.data, view.now):
        return Move(RunState.BLOCKED_DATA, "; ".join(found), {"problems": found})
    if run.snapshot is None:
        return Do("take_snapshot")
    if empty := [part for part in ("train", "eval", "test") if not run.snapshot.rows.get(part)]:
        found = (f"no {empty[0]} rows in the window",)
        return Move(RunState.BLOCKED_DATA, found[0], {"problems": found})
    moved = view.state.watermark is None or (run.snapshot.last or view.now) > view.state.watermark
    if not moved and not any(cause.kind is Kind.MANUAL for cause in run.causes):
        return Move(RunState.SKIPPED, "window_did_not_move: no newer labelled rows than the last run's")
    return Move(RunState.LAUNCHING, f"{sum(run.snapshot.rows.values())} rows are frozen")


def _launching(run: Run, spec: ModelSpec, view: RunView) -> Step:
    if view.now > run.entered + DATA_DEADLINE:
        return Move(RunState.EXPIRED, "the launch could not be prepared in time")
    if run.run_id not in view.money.reserved:
        return Do("reserve")
    action = run.decision.action if run.decision else "train"
    parameters, origin = (
        (view.state.parameters, f"tuning of {view.state.tuned_by}")
        if view.state.parameters
        else ({}, "defaults of the model file")
    )
    changes = {
        "parameters": parameters,
        "parameters_from": origin,
        "reserved": view.money.reserved[run.run_id],
        "champion_run": view.champion.run_id if view.champion else "",
    }
    if action == "tune":
        return Move(RunState.TUNING, "looking for hyperparameters", changes)
    return Move(RunState.TRAINING, f"training with the {origin}", changes)


def _tuning(run: Run, spec: ModelSpec, view: RunView) -> Step:
    if spec.tuning is None:  # the model file changed under way
        return Move(RunState.FAILED, "the model file no longer says how to tune")
    step = job_step("tune", run, _seen(view), spec.tuning.timeout)
    if not step.done:
        return _while_job(step)
    job = run.job("tune")
    trials = next((found.trials for found in view.jobs if job and found.name == job.name), ())
    best = best_trial(spec.tuning, trials)
    if best is None:
        return Move(RunState.FAILED, f"all {len(trials)} trials failed")
    parameters = arguments(spec, best)
    said = ", ".join(f"{name}={value}" for name, value in parameters.items())
    return Move(
        RunState.TRAINING,
        f"trial {best.id} of {len(trials)} had the best {spec.tuning.metric}, "
        f"{best.metrics[spec.tuning.metric]:.5f}: {said}",
        {"parameters": parameters, "parameters_from": f"tuning of {run.run_id}"},
    )


def _training(run: Run, spec: ModelSpec, view: RunView) -> Step:
    step = job_step("train", run, _seen(view, view.manifest is not None), spec.training.timeout)
    if not step.done:
        return _while_job(step)
    assert view.manifest is not None
    digest = run.snapshot.digest if run.snapshot else ""
    if view.manifest.data_digest != digest:
        return Move(RunState.FAILED, f"the model was trained on data {view.manifest.data_digest}, not on {digest}")
    return Move(RunState.EVALUATING, "the candidate is trained", {"manifest_digest": view.manifest.digest})


def _evaluating(run: Run, spec: ModelSpec, view: RunView) -> Step:
    step = job_step("evaluate", run, _seen(view, view.evaluation is not None), EVALUATION_TIMEOUT)
    if not step.done:
        return _while_job(step)
    assert view.evaluation is not None
    result = gate.judge(spec, view.evaluation, forced=run.forced)
    changes = {"evaluation": view.evaluation, "gate": result}
    said = "; ".join(result.reasons)
    if not result.eligible:
        return Move(RunState.REJECTED, said, changes)
    if spec.gate.approval and not run.approved_by:
        return Move(RunState.AWAITING_APPROVAL, said, changes)
    return Move(RunState.ELIGIBLE, said, changes)


def _seen(view: RunView, written: bool | None = None) -> Seen:
    return Seen(view.now, view.jobs, view.holder, written, view.own_intent)


def _while_job(step: JobStep) -> Step:
    if step.failed:
        return Move(RunState.FAILED, step.failed)
    if step.wait:
        return Wait(step.wait)
    return Do(step.what, step)


def _awaiting_approval(run: Run, spec: ModelSpec, view: RunView) -> Step:
    if run.approved_by:
        return Move(RunState.ELIGIBLE, f"approved by {run.approved_by}")
    if view.now > run.entered + APPROVAL_DEADLINE:
        return Move(RunState.REJECTED, f"not approved within {APPROVAL_DEADLINE.days} days")
    return Wait("a person must approve")


def _eligible(run: Run, spec: ModelSpec, view: RunView) -> Step:
    if view.outcome:
        return _ended(view.outcome)
    if view.rolling:
        return Move(RunState.ROLLING_OUT, "the rollout has begun")
    if view.now > run.entered + ELIGIBLE_DEADLINE:
        return Move(RunState.EXPIRED, f"its rollout did not begin within {ELIGIBLE_DEADLINE.days} days")
    if not view.published:
        return Do("publish_candidate")
    return Wait("the rollout has not begun")


def rollout_deadline(spec: ModelSpec) -> timedelta:
    """The longest a rollout may take, every step undecided until its deadline, a person's hold not counted."""
    policy = spec.rollout
    return policy.step_deadline * len(policy.steps) + policy.soak + 4 * policy.deploy_timeout + timedelta(days=30)


def _rolling_out(run: Run, spec: ModelSpec, view: RunView) -> Step:
    if view.outcome:
        return _ended(view.outcome)
    if view.now > run.entered + rollout_deadline(spec) and not view.rolling:
        return Move(RunState.EXPIRED, "its rollout ended without an outcome")
    return Wait("traffic moves")


def _ended(outcome: Outcome) -> Move:
    state = RunState.PROMOTED if outcome.result == "promoted" else RunState.ROLLED_BACK
    return Move(state, outcome.reason)


def _cancel(run: Run, view: RunView) -> Step:
    for job in view.jobs:
        if not job.state.ended:
            return Do("cancel_job", JobStep(what="cancel_job", name=job.name))
    return Move(RunState.CANCELLED, f"cancelled by {run.cancelled_by}")


def _close(run: Run, view: RunView) -> Step:
    """After the end: bring the money and the model's state up to date, then forget the run is active.

    A tick that stalled may still create a job that the run no longer wants; so a run that had any stays active for
    as long as a tick can live.
    """
    if run.run_id in view.money.reserved and run.run_id not in view.money.spent:
        return Do("settle")
    if run.run_id in (view.state.active_run, view.state.waiting_run):
        return Do("release")
    for job in view.jobs:
        if not job.state.ended:
            return Do("cancel_job", JobStep(what="cancel_job", name=job.name))
    if run.jobs and view.now <= run.entered + STALL:
        return Wait("a tick that stalled may still act")
    return Do("close")


_STEPS: dict[RunState, Callable[[Run, ModelSpec, RunView], Step]] = {
    RunState.WAITING: _waiting,
    RunState.VALIDATING: _validating,
    RunState.LAUNCHING: _launching,
    RunState.TUNING: _tuning,
    RunState.TRAINING: _training,
    RunState.EVALUATING: _evaluating,
    RunState.AWAITING_APPROVAL: _awaiting_approval,
    RunState.ELIGIBLE: _eligible,
    RunState.ROLLING_OUT: _rolling_out,
}
