"""What a run sees of the world: only what its state needs is read."""

import json
from dataclasses import replace

from retraining import names
from retraining.errors import BadRecord
from retraining.incidents import Incident
from retraining.modelspec import ModelSpec
from retraining.plans import Planner
from retraining.records import Run, RunState
from retraining.reports import Evaluation, Manifest
from retraining.rollouts import Outcome
from retraining.run_machine import RunView, patience
from retraining.state import RunWorld, read_money, read_rollout, read_state

JOB_OF = {RunState.TUNING: "tune", RunState.TRAINING: "train", RunState.EVALUATING: "evaluate"}


def observe(world: RunWorld, spec: ModelSpec, run: Run, *, own_intent: bool = False) -> RunView:
    """The view of ``run``. The time is taken last: what was asked for may have taken a while to answer."""
    return replace(_observe(world, spec, run, own_intent), now=world.now())


def _observe(world: RunWorld, spec: ModelSpec, run: Run, own_intent: bool) -> RunView:
    now = world.now()
    state, _ = read_state(world.store, spec.name)
    money, _ = read_money(world.store, spec.name, run.opened)
    rollout, _ = read_rollout(world.store, spec.endpoint, spec.name)
    view = RunView(now=now, state=state, money=money, champion=rollout.champion, own_intent=own_intent)
    match run.state:
        case RunState.WAITING:
            return _with_watermark(world, spec, run, view)
        case RunState.TUNING | RunState.TRAINING | RunState.EVALUATING:
            return _with_jobs(world, spec, run, view)
        case RunState.ELIGIBLE | RunState.ROLLING_OUT:
            challenger = rollout.challenger.run_id if rollout.challenger else ""
            return _with_rollout(world, spec, run, view, challenger)
        case end if end.ended:
            found = [job for kind in {ref.kind for ref in run.jobs} for job in world.jobs.find(run.run_id, kind)]
            return replace(view, jobs=tuple(found))
        case _:
            return view


def _with_watermark(world: RunWorld, spec: ModelSpec, run: Run, view: RunView) -> RunView:
    """New rows since the last run's snapshot, and whether the feed is broken. Asked only when the run could start:
    it costs a query."""
    if patience(run, spec, view.state, view.now) is not None:
        return view
    stored = world.store.read(names.incident_path(spec.name))
    return replace(
        view,
        watermark=world.warehouse.watermark(spec, view.state.watermark, view.now),
        incident=Incident.from_json(stored.body) if stored else None,
    )


def _with_jobs(world: RunWorld, spec: ModelSpec, run: Run, view: RunView) -> RunView:
    kind = JOB_OF[run.state]
    ref = run.job(kind)
    if ref is None:
        return view
    jobs = {job.name: job for job in world.jobs.find(run.run_id, kind)}
    if ref.name and ref.name not in jobs and (named := world.jobs.view(ref.name)) is not None:
        jobs[named.name] = named
    view = replace(view, jobs=tuple(sorted(jobs.values(), key=lambda job: job.created)))
    planner = Planner(world.settings, spec)
    if kind == "train":
        return replace(
            view,
            holder=_holder(world, run, ref.attempt),
            manifest=_report(world, run, planner.manifest_uri(run.run_id), Manifest),
        )
    if kind == "evaluate":
        return replace(view, evaluation=_report(world, run, planner.evaluation_uri(run.run_id), Evaluation))
    return view


def _holder(world: RunWorld, run: Run, attempt: int) -> str:
    """The job id in the fence of this attempt, or empty."""
    path = names.fence_path(run.run_id, "train", attempt)
    body = world.artifacts.read(f"gs://{world.settings.artifact_bucket}/{path}")
    if body is None:
        return ""
    try:
        return str(json.loads(body).get("job_id", ""))
    except (ValueError, AttributeError):
        return ""


def _report[T: (Manifest, Evaluation)](world: RunWorld, run: Run, uri: str, kind: type[T]) -> T | None:
    """A report of a job, or None while it is not there. Raises BadRecord for the report of another run."""
    body = world.artifacts.read(uri)
    if body is None:
        return None
    report = kind.from_json(body)
    if report.run_id != run.run_id:
        raise BadRecord(f"{uri}: expected a report of its own run, got one of {report.run_id!r}")
    return report


def _with_rollout(world: RunWorld, spec: ModelSpec, run: Run, view: RunView, challenger: str) -> RunView:
    stored = world.store.read(names.outcome_path(run.run_id))
    queued = world.store.read(names.candidate_path(spec.endpoint, run.run_id))
    return replace(
        view,
        rolling=challenger == run.run_id,
        outcome=Outcome.from_json(stored.body) if stored else None,
        published=queued is not None,
    )
