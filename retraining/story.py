"""The whole story of a run: which facts, decision, data, parameters, comparison and people put a model in front of
customers, or kept it from them. Built from records alone."""

from datetime import datetime

from retraining import names
from retraining.modelspec import ModelSpec
from retraining.ports import Store
from retraining.record import Record
from retraining.records import GateResult, JobRef, Run
from retraining.rollouts import Outcome, Rollout, Step
from retraining.state import read_rollout, read_run
from retraining.triggers import Trigger
from retraining.views import SnapshotView


class Story(Record):
    """One run from its triggers to its end, with everything an auditor asks for."""

    run_id: str
    model: str
    owner: str
    state: str
    serves_now: bool
    triggers: tuple[Trigger, ...]
    more_triggers: int = 0
    decision: str = ""  # action, code and sentence
    data_problems: tuple[str, ...] = ()
    data_rows: int | None = None
    snapshot: SnapshotView | None = None
    parameters: dict[str, str] = {}
    parameters_from: str = ""
    jobs: tuple[JobRef, ...] = ()
    candidate: dict[str, float] = {}
    champion: dict[str, float] = {}
    champion_run: str = ""
    compared_rows: int = 0
    gate: GateResult | None = None
    approved_by: str = ""
    cancelled_by: str = ""
    life: tuple[str, ...] = ()  # each state with its time and reason
    traffic: tuple[Step, ...] = ()  # every step of its rollouts: time, phase, split, reason, who
    outcome: Outcome | None = None
    spent: float = 0.0
    reserved: float = 0.0
    digests: dict[str, str] = {}
    previous: str = ""  # the run whose model a rollback would bring back


def of_run(store: Store, spec: ModelSpec, run_id: str) -> Story | None:
    """The story of a run, or None when there is no such run."""
    found = read_run(store, run_id)
    if found is None:
        return None
    rollout, _ = read_rollout(store, spec.endpoint, spec.name)
    stored = store.read(names.outcome_path(run_id))
    return tell(spec, found[0], rollout, Outcome.from_json(stored.body) if stored else None)


def of_model(store: Store, spec: ModelSpec) -> Story | None:
    """The story of what serves now, or None when nothing does."""
    rollout, _ = read_rollout(store, spec.endpoint, spec.name)
    return of_run(store, spec, rollout.champion.run_id) if rollout.champion else None


def tell(spec: ModelSpec, run: Run, rollout: Rollout, outcome: Outcome | None) -> Story:
    """Put a run's records together."""
    decision = run.decision
    evaluation = run.evaluation
    return Story(
        run_id=run.run_id,
        model=run.model,
        owner=spec.owner,
        state=run.state.value,
        serves_now=rollout.champion is not None and rollout.champion.run_id == run.run_id,
        triggers=run.causes,
        more_triggers=run.more_causes,
        decision=f"{decision.action} ({decision.code}): {decision.text}" if decision else "",
        data_problems=run.problems,
        data_rows=run.data.rows if run.data else None,
        snapshot=run.snapshot,
        parameters=run.parameters,
        parameters_from=run.parameters_from,
        jobs=run.jobs,
        candidate=evaluation.candidate if evaluation else {},
        champion=(evaluation.champion or {}) if evaluation else {},
        champion_run=run.champion_run,
        compared_rows=evaluation.rows if evaluation else 0,
        gate=run.gate,
        approved_by=run.approved_by,
        cancelled_by=run.cancelled_by,
        life=tuple(f"{_time(c.at)}  {c.state.value}: {c.reason}" for c in run.history),
        traffic=tuple(step for step in rollout.history if step.run_id == run.run_id),
        outcome=outcome,
        spent=run.spent,
        reserved=run.reserved,
        digests=_digests(run),
        previous=rollout.previous.run_id if rollout.previous else "",
    )


def _digests(run: Run) -> dict[str, str]:
    found = {
        "model file": run.spec_digest,
        "data": run.snapshot.digest if run.snapshot else "",
        "code": run.modules,
        "model": run.manifest_digest,
    }
    return {name: value for name, value in found.items() if value}


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
