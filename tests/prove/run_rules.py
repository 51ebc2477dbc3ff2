"""What must hold for every answer of the run's machine, written without looking at how it decides."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from retraining import gate
from retraining.checks import problems
from retraining.records import ENDS, JobRef, RunState
from retraining.run_effects import EFFECTS
from retraining.run_machine import Do, Move, Step, Wait, next_step
from retraining.views import JobState, JobView
from tests.prove.run_cases import JOBS, Case

PATIENCE = 40  # steps of a run from any state to the next when nobody answers
LONG = timedelta(days=60)
JOB_EFFECTS = frozenset({"intend_job", "create_job", "adopt_job", "note_job"})

NEXT = {
    RunState.WAITING: {RunState.VALIDATING, RunState.SKIPPED, RunState.EXPIRED},
    RunState.VALIDATING: {RunState.LAUNCHING, RunState.BLOCKED_DATA, RunState.SKIPPED, RunState.EXPIRED},
    RunState.LAUNCHING: {RunState.TUNING, RunState.TRAINING, RunState.EXPIRED},
    RunState.TUNING: {RunState.TRAINING, RunState.FAILED},
    RunState.TRAINING: {RunState.EVALUATING, RunState.FAILED},
    RunState.EVALUATING: {RunState.ELIGIBLE, RunState.AWAITING_APPROVAL, RunState.REJECTED, RunState.FAILED},
    RunState.AWAITING_APPROVAL: {RunState.ELIGIBLE, RunState.REJECTED},
    RunState.ELIGIBLE: {RunState.ROLLING_OUT, RunState.PROMOTED, RunState.ROLLED_BACK, RunState.EXPIRED},
    RunState.ROLLING_OUT: {RunState.PROMOTED, RunState.ROLLED_BACK, RunState.EXPIRED},
}


def wrong(case: Case) -> str:
    """Which promise the machine breaks in this case, in words; empty for none."""
    try:
        step = next_step(case.run, case.spec, case.view)
    except Exception as error:  # noqa: BLE001 - that there is none is the promise
        return _tell(case, f"raised {type(error).__name__}: {error}")
    for rule in _RULES:
        if said := rule(case, step):
            return _tell(case, f"{said}: {step}")
    return ""


def _one_step(case: Case, step: Step) -> str:
    if not isinstance(step, Wait | Move | Do):
        return "this is no step"
    known = not isinstance(step, Do) or step.what == "close" or step.what in EFFECTS
    return "" if known else "nobody can do this"


def _ends_stay(case: Case, step: Step) -> str:
    if not case.run.state.ended:
        return ""
    if isinstance(step, Move):
        return "an end changes"
    tidy = isinstance(step, Wait) or step.what in ("settle", "release", "cancel_job", "close")
    return "" if tidy else "an ended run goes on"


def _closes_clean(case: Case, step: Step) -> str:
    """A run is forgotten only when its money is settled, its turn given back and none of its jobs goes on."""
    if not (isinstance(step, Do) and step.what == "close"):
        return ""
    me, view = case.run.run_id, case.view
    if not case.run.state.ended:
        return "an open run is forgotten"
    if me in view.money.reserved and me not in view.money.spent:
        return "money stays reserved"
    if me in (view.state.active_run, view.state.waiting_run):
        return "the turn is kept"
    return "a job goes on" if any(not job.state.ended for job in view.jobs) else ""


def _follows(case: Case, step: Step) -> str:
    if not isinstance(step, Move) or case.run.state.ended:
        return ""
    allowed = NEXT[case.run.state] | ({RunState.CANCELLED} if case.run.cancelled_by else set())
    return "" if step.state in allowed else "this state does not follow"


def _cancelled(case: Case, step: Step) -> str:
    """Once a person stops a run nothing new is begun."""
    taken = case.view.rolling or case.view.outcome or case.run.state is RunState.ROLLING_OUT
    if not case.run.cancelled_by or case.run.state.ended or taken:
        return ""  # a rollout is taken back with a rollback
    begins = isinstance(step, Do) and step.what != "cancel_job"
    moves = isinstance(step, Move) and step.state not in ENDS
    return "a cancelled run goes on" if begins or moves else ""


def _pays_first(case: Case, step: Step) -> str:
    """Nothing that costs begins without money set aside, nor with rows that are not sound."""
    if not isinstance(step, Move):
        return ""
    if step.state in (RunState.TUNING, RunState.TRAINING) and case.run.state is RunState.LAUNCHING:
        return "" if case.run.run_id in case.view.money.reserved else "a job without money"
    if step.state is RunState.LAUNCHING:
        assert case.run.data is not None
        sound = not problems(case.spec, case.run.data, case.view.now) and case.run.snapshot is not None
        full = sound and case.run.snapshot and all(case.run.snapshot.rows.get(p) for p in ("train", "eval", "test"))
        return "" if full else "a training on rows that are not sound"
    return ""


def _judged(case: Case, step: Step) -> str:
    """Only what was trained on the frozen rows is judged, and only what the gate lets through may take traffic."""
    if not isinstance(step, Move):
        return ""
    run, view = case.run, case.view
    if step.state is RunState.EVALUATING:
        assert run.snapshot is not None
        same = view.manifest is not None and view.manifest.data_digest == run.snapshot.digest
        return "" if same else "a model of other rows is judged"
    if run.state is RunState.EVALUATING and step.state in (RunState.ELIGIBLE, RunState.AWAITING_APPROVAL):
        passed = view.evaluation is not None and gate.judge(case.spec, view.evaluation, forced=run.forced).eligible
        return "" if passed else "the gate is passed by"
    asked = case.spec.gate.approval or run.state is RunState.AWAITING_APPROVAL
    if step.state is RunState.ELIGIBLE and asked and not run.approved_by:
        return "nobody approved it"
    return ""


def _outcomes(case: Case, step: Step) -> str:
    if not isinstance(step, Move) or step.state not in (RunState.PROMOTED, RunState.ROLLED_BACK):
        return ""
    outcome = case.view.outcome
    result = "promoted" if step.state is RunState.PROMOTED else "rolled_back"
    return "" if outcome is not None and outcome.result == result else "an outcome that nobody wrote"


def _one_job(case: Case, step: Step) -> str:
    """A job is created only after its intention, when none of this attempt is known, and by one tick at a time."""
    if not isinstance(step, Do):
        return ""
    kind = JOBS.get(case.run.state)
    if step.what in JOB_EFFECTS and kind is None:
        return "a job in a state without jobs"
    ref = case.run.job(kind) if kind else None
    if step.what != "create_job":
        return ""
    if ref is None or ref.name:
        return "a job without an intention, or a second one"
    listed = any(job.labels["attempt"] == str(ref.attempt) for job in case.view.jobs)
    return "a second job beside the one that is listed" if listed else ""


_RULES: tuple[Callable[[Case, Step], str], ...] = (
    _one_step,
    _ends_stay,
    _closes_clean,
    _follows,
    _cancelled,
    _pays_first,
    _judged,
    _outcomes,
    _one_job,
)


# When nobody answers ---------------------------------------------------------------------


def stuck(case: Case, *, refused: bool) -> str:
    """Why this run stays in its state for ever once its deadline has passed; empty when it leaves it.

    No job ever ends, no report is ever written. ``refused``: nor is any job created.
    """
    now, step = case, Wait("")  # type: Case, Step
    for _ in range(PATIENCE):
        step = next_step(now.run, now.spec, now.view)
        if isinstance(step, Move):
            return ""
        now = _after(now, step, refused)
        now = replace(now, view=replace(now.view, now=now.view.now + LONG, own_intent=False))
    return _tell(case, f"never moves{' although refused' if refused else ''}: {step}")


def _after(case: Case, step: Step, refused: bool) -> Case:
    """The case after an effect; what asks a job to stop is not heard."""
    if not isinstance(step, Do) or step.job is None or step.what == "cancel_job":
        return case
    if refused and step.what == "create_job":
        return case
    kind = step.job.kind
    last = case.run.job(kind)
    if step.what == "intend_job":
        attempt = last.attempt + 1 if last else 1
        ref = JobRef.model_validate({"kind": kind, "attempt": attempt, "intended": case.view.now})
        return replace(case, run=case.run.with_job(ref))
    assert last is not None
    name = step.job.name or f"jobs/{last.attempt}0"
    job = JobView(name, kind, JobState.RUNNING, {"attempt": str(last.attempt)}, case.view.now)
    others = tuple(other for other in case.view.jobs if other.name != name)
    return replace(case, run=case.run.with_job(last.but(name=name)), view=replace(case.view, jobs=(*others, job)))


def _tell(case: Case, said: str) -> str:
    """The violation and its case on a few lines."""
    run, view = case.run, case.view
    jobs = [(job.name, job.state.value, job.labels) for job in view.jobs]
    refs = [ref.model_dump(mode="json", exclude_defaults=True) for ref in run.jobs]
    by = f", cancelled by {run.cancelled_by}" if run.cancelled_by else ""
    return (
        f"{said}\n  run {run.state.value} since {run.entered}{by}, jobs {refs}\n  view at {view.now}, jobs {jobs}"
    )
