"""From the records to plain lines: every trigger, run, rollout and incident of an installation."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from retraining import names
from retraining.incidents import Incident
from retraining.modelspec import ModelSpec
from retraining.ports import Store
from retraining.records import Money, Run
from retraining.rollouts import Outcome, Phase
from retraining.state import read_rollout, read_run


def every_run(store: Store, model: str = "") -> list[Run]:
    """All runs, of one model or of all, oldest first."""
    ids = [path.removeprefix("runs/").removesuffix(".json") for path in store.list(f"runs/{model}")]
    found = [read_run(store, run_id) for run_id in ids]
    return sorted((run for run, _ in filter(None, found) if model in ("", run.model)), key=lambda run: run.opened)


def collect(store: Store, specs: Mapping[str, ModelSpec]) -> dict[str, Any]:
    """Triggers, runs, rollouts, traffic, incidents and money of these models, times in ISO."""
    runs = [run for name in specs for run in every_run(store, name)]
    return {
        "triggers": [_trigger(run, number) for run in runs for number in range(len(run.causes))],
        "runs": [_run(run) for run in runs],
        "rollouts": _rollouts(store, specs, runs),
        "traffic": [step for spec in specs.values() for step in _traffic(store, spec)],
        "incidents": [line for name in specs for line in _incidents(store, name)],
        "money": _money(store, specs),
    }


def iso(moment: datetime) -> str:
    """A moment to the second."""
    return moment.isoformat(timespec="seconds")


def _trigger(run: Run, number: int) -> dict[str, Any]:
    cause = run.causes[number]
    return {
        "at": iso(cause.at),
        "kind": cause.kind.value,
        "reason": cause.reason,
        "key": cause.key,
        "run_id": run.run_id,
        "actor": cause.actor,
    }


def _run(run: Run) -> dict[str, Any]:
    metrics: dict[str, dict[str, float]] = {}
    if run.evaluation is not None:
        metrics = {"candidate": run.evaluation.candidate, "champion": run.evaluation.champion or {}}
    decision = run.decision
    return {
        "run_id": run.run_id,
        "opened": iso(run.opened),
        "ended": iso(run.entered) if run.state.ended else None,
        "state": run.state.value,
        "action": decision.action if decision else "",
        "code": decision.code if decision else "",
        "reason": run.history[-1].reason if run.history else "",
        "causes": [f"{cause.kind.value}: {cause.reason}" for cause in run.causes],
        "metrics": metrics,
        "gate": list(run.gate.reasons) if run.gate else [],
        "spent": run.spent,
        "history": [{"at": iso(c.at), "state": c.state.value, "reason": c.reason} for c in run.history],
    }


def _rollouts(store: Store, specs: Mapping[str, ModelSpec], runs: list[Run]) -> list[dict[str, Any]]:
    found = [store.read(names.outcome_path(run.run_id)) for run in runs if run.job("train")]
    outcomes = [Outcome.from_json(stored.body) for stored in found if stored]
    return [{"run_id": o.run_id, "result": o.result, "reason": o.reason, "at": iso(o.at)} for o in outcomes]


def _traffic(store: Store, spec: ModelSpec) -> list[dict[str, Any]]:
    """Each step of the endpoint's history, with run ids in place of deployed models' ids."""
    record, _ = read_rollout(store, spec.endpoint, spec.name)
    known: dict[str, str] = {}
    for sequence in range(record.sequence + 1):
        known |= {names.deployed_id(step.run_id, sequence): step.run_id for step in record.history}
    return [
        {
            "at": iso(step.at),
            "split": {known.get(key, key): percent for key, percent in step.split.items()},
            "phase": step.phase.value,
            "reason": step.reason,
        }
        for step in record.history
        if step.split or step.phase is Phase.IDLE
    ]


def _incidents(store: Store, model: str) -> list[dict[str, Any]]:
    """The incident that is open, or the last that was; earlier ones are in the audit."""
    stored = store.read(names.incident_path(model))
    if stored is None:
        return []
    incident = Incident.from_json(stored.body)
    closed = iso(incident.closed) if incident.closed else None
    return [
        {"opened": iso(incident.opened), "closed": closed, "kind": incident.kind, "features": incident.features}
    ]


def _money(store: Store, specs: Mapping[str, ModelSpec]) -> dict[str, float]:
    spent = 0.0
    for name in specs:
        for path in store.list(f"budget/{name}/"):
            stored = store.read(path)
            spent += sum(Money.from_json(stored.body).spent.values()) if stored else 0.0
    return {"spent": round(spent, 4), "limit": sum(spec.policy.budget.per_month for spec in specs.values())}
