"""The effects of a run: each performs one thing and writes it into the record, so that the next pass sees it."""

from collections.abc import Callable
from datetime import datetime, timedelta

from retraining import budget, names
from retraining.audit import record_event
from retraining.errors import Refused, RetrainingError
from retraining.job_machine import JobStep
from retraining.modelspec import ModelSpec
from retraining.plans import Planner
from retraining.policy import features_digest
from retraining.records import JobRef, Run, RunState
from retraining.run_machine import RunView
from retraining.state import (
    RunWorld,
    read_money,
    read_rollout,
    read_state,
    write_money,
    write_run,
    write_state,
)
from retraining.views import JobView, SnapshotView

_Effect = Callable[[RunWorld, ModelSpec, Run, str, RunView, JobStep | None], None]
MAX_LAUNCHES = 50
_HISTORY = timedelta(days=7)  # of rows to check when no run has seen any yet


def take_turn(w: RunWorld, spec: ModelSpec, run: Run, version: str, view: RunView, job: JobStep | None) -> None:
    """Become the model's one active run."""
    state, at = read_state(w.store, spec.name)
    if state.active_run not in ("", run.run_id):
        return
    waiting = "" if state.waiting_run == run.run_id else state.waiting_run
    write_state(w, "take turn", state.but(active_run=run.run_id, waiting_run=waiting), at)


def count_data(w: RunWorld, spec: ModelSpec, run: Run, version: str, view: RunView, job: JobStep | None) -> None:
    """Count the rows that are new to this model, up to the newest with a label.

    Labels come late, so the days after it are never complete and would always look like a feed that broke.
    """
    try:
        newest = w.warehouse.watermark(spec, view.state.watermark, view.now).newest
        until = min(newest or view.now, view.now)
        since = data_since(view.state.watermark, until)
        counts = w.warehouse.count_data(spec, run.run_id, since, until)
    except Refused as error:
        _block(w, run, version, view, str(error))
        return
    write_run(w, "note counts", run.but(data=counts, data_since=since), version)


def _block(w: RunWorld, run: Run, version: str, view: RunView, why: str) -> None:
    """End the run because its rows cannot be read as the model file says."""
    after = run.but(problems=(why,)).move(RunState.BLOCKED_DATA, why, view.now)
    write_run(w, "block run", after, version)
    record_event(w.store, view.now, "run blocked_data", run.model, run.run_id, reason=why)


def data_since(watermark: datetime | None, until: datetime) -> datetime:
    """Where the check of new rows begins: after the last run's rows, at least a day and at most a week back."""
    earliest, latest = until - _HISTORY, until - timedelta(days=1)
    return min(max(watermark or earliest, earliest), latest)


def take_snapshot(w: RunWorld, spec: ModelSpec, run: Run, version: str, view: RunView, job: JobStep | None) -> None:
    """Freeze the rows, the model file as the jobs will see it, and the code that they will run."""
    planner = Planner(w.settings, spec)
    uri = names.snapshot_uri(w.settings.artifact_bucket, run.run_id)
    body = spec.model_dump_json(by_alias=True).encode()
    modules = w.modules()
    w.effect("write spec", lambda: w.artifacts.write(planner.spec_uri(run.run_id), body))
    until = run.entered  # fixed when validation began, so that a repeat freezes the same rows
    try:
        snapshot = w.effect("snapshot rows", lambda: w.warehouse.snapshot(spec, run.run_id, until, uri))
    except Refused as error:
        _block(w, run, version, view, str(error))
        return
    assert isinstance(snapshot, SnapshotView)
    write_run(w, "note snapshot", run.but(snapshot=snapshot, modules=modules), version)


def reserve(w: RunWorld, spec: ModelSpec, run: Run, version: str, view: RunView, job: JobStep | None) -> None:
    """Set money aside; without room for it, the run ends here."""
    money, at = read_money(w.store, spec.name, run.opened)
    action = run.decision.action if run.decision else "train"
    if (refusal := budget.refusal(spec, money, action)) is not None:
        after = run.move(RunState.SKIPPED, f"budget: {refusal}", view.now)
        write_run(w, "refuse budget", after, version)
        return
    reserved = {**money.reserved, run.run_id: budget.most(spec, action)}
    write_money(w, "reserve money", money.but(reserved=reserved), run.opened, at)


def intend_job(w: RunWorld, spec: ModelSpec, run: Run, version: str, view: RunView, job: JobStep | None) -> None:
    """Write down that a job is about to be created."""
    assert job is not None
    last = run.job(job.kind)
    ref = JobRef.model_validate(
        {"kind": job.kind, "attempt": last.attempt + 1 if last else 1, "intended": view.now}
    )
    write_run(w, f"intend {job.kind} job", run.with_job(ref), version)


def create_job(w: RunWorld, spec: ModelSpec, run: Run, version: str, view: RunView, job: JobStep | None) -> None:
    """Create the job and note its name. A refused plan ends the run: it would be refused again."""
    assert job is not None
    ref = run.job(job.kind)
    assert ref is not None
    rollout, _ = read_rollout(w.store, spec.endpoint, spec.name)
    plan = Planner(w.settings, spec).plan(run, ref, rollout.champion, w.unique(6))
    try:
        created = w.effect(f"create {job.kind} job", lambda: w.jobs.launch(plan))
    except Refused as error:
        write_run(w, "note refusal", run.move(RunState.FAILED, f"Vertex AI refused: {error}", view.now), version)
        return
    assert isinstance(created, JobView)
    champion = rollout.champion.run_id if rollout.champion else ""
    after = run.with_job(ref.but(name=created.name, state=created.state))
    if job.kind == "evaluate":
        after = after.but(champion_run=champion)
    write_run(w, f"note {job.kind} job", after, version)
    record_event(w.store, view.now, f"{job.kind} job created", run.model, run.run_id, job=created.name)


def adopt_job(w: RunWorld, spec: ModelSpec, run: Run, version: str, view: RunView, job: JobStep | None) -> None:
    """Take the found job as this attempt's job."""
    assert job is not None
    ref = run.job(job.kind)
    assert ref is not None
    write_run(w, f"adopt {job.kind} job", run.with_job(ref.but(name=job.name)), version)
    record_event(w.store, view.now, f"{job.kind} job found again", run.model, run.run_id, job=job.name)


def note_job(w: RunWorld, spec: ModelSpec, run: Run, version: str, view: RunView, job: JobStep | None) -> None:
    """Note how a job ended, and what it cost."""
    assert job is not None
    assert job.job is not None
    ref = run.job(job.kind)
    assert ref is not None
    seen = job.job
    ended = seen.ended or view.now
    seconds = (ended - seen.started).total_seconds() if seen.started else 0.0
    noted = ref.but(state=seen.state, error=seen.error[:500], ended=ended, seconds=max(0.0, seconds))
    after = run.with_job(noted)
    write_run(w, f"note end of {job.kind} job", after.but(spent=budget.spent(spec, after)), version)


def cancel_job(w: RunWorld, spec: ModelSpec, run: Run, version: str, view: RunView, job: JobStep | None) -> None:
    """Ask a job to stop that nobody needs."""
    assert job is not None
    w.effect("cancel job", lambda: w.jobs.cancel(job.name))
    record_event(w.store, view.now, "job cancelled", run.model, run.run_id, job=job.name)


def publish_candidate(
    w: RunWorld, spec: ModelSpec, run: Run, version: str, view: RunView, job: JobStep | None
) -> None:
    """Put the winner into the deployer's queue, and knock."""
    path = names.candidate_path(spec.endpoint, run.run_id)
    body = f'{{"model": "{run.model}", "run_id": "{run.run_id}"}}'
    w.effect("queue candidate", lambda: w.store.create(path, body))
    knock = f'{{"kind": "candidate", "model": "{run.model}", "run_id": "{run.run_id}"}}'
    try:
        w.effect("publish candidate", lambda: w.bus.publish(w.settings.candidates_topic, knock, {}))
    except RetrainingError as error:  # the deployer's own tick finds the queue
        record_event(w.store, view.now, "knock lost", run.model, run.run_id, error=str(error)[:200])


def settle(w: RunWorld, spec: ModelSpec, run: Run, version: str, view: RunView, job: JobStep | None) -> None:
    """Replace the reserved money by what was spent."""
    money, at = read_money(w.store, spec.name, run.opened)
    spent = {**money.spent, run.run_id: budget.spent(spec, run)}
    write_money(w, "settle money", money.but(spent=spent), run.opened, at)


def release(w: RunWorld, spec: ModelSpec, run: Run, version: str, view: RunView, job: JobStep | None) -> None:
    """Give the turn back and remember what the next decision must know."""
    state, at = read_state(w.store, spec.name)
    changes: dict[str, object] = {}
    if state.waiting_run == run.run_id:
        changes["waiting_run"] = ""
    if state.active_run == run.run_id:
        changes["active_run"] = ""
        if run.jobs:
            changes.update(_lessons(spec, run, state.failures, state.runs_since_tuning))
            changes["launches"] = (*state.launches, run.jobs[0].intended)[-MAX_LAUNCHES:]
    write_state(w, "give turn back", state.but(**changes), at)


def _lessons(spec: ModelSpec, run: Run, failures: int, since_tuning: int) -> dict[str, object]:
    lost = run.state in (RunState.REJECTED, RunState.FAILED, RunState.ROLLED_BACK, RunState.EXPIRED)
    lessons: dict[str, object] = {"failures": failures + 1 if lost else 0}
    if run.evaluation and run.snapshot and run.snapshot.last:  # a failed run has answered nothing
        lessons["watermark"] = run.snapshot.last
    if run.manifest_digest:
        lessons["features_digest"] = features_digest(spec)
    if run.decision and run.decision.action == "tune":
        lessons["runs_since_tuning"] = 0
        if run.state is RunState.PROMOTED:
            lessons |= {"parameters": run.parameters, "tuned_by": run.run_id}
    else:
        lessons["runs_since_tuning"] = since_tuning + 1
    return lessons


EFFECTS: dict[str, _Effect] = {
    effect.__name__: effect
    for effect in (
        take_turn,
        count_data,
        take_snapshot,
        reserve,
        intend_job,
        create_job,
        adopt_job,
        note_job,
        cancel_job,
        publish_candidate,
        settle,
        release,
    )
}
