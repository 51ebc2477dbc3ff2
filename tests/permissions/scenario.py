"""Everything that an account may have to do, once: from the first trigger to a rollback, and what rarely happens.

Each step is what the system itself does; only what another process would have left behind by crashing, or what a
service would have to forget, is put there by hand.
"""

import json
import time
from datetime import timedelta

import pytest
from google.cloud.aiplatform_v1 import JobServiceClient
from google.cloud.aiplatform_v1 import types as vertex

from functions.entries import ENTRIES
from gcp.bigquery import BigQuery, connect
from gcp.jobs import VertexJobs
from gcp.vertex import connect as connect_vertex
from gcp.vertex import parent
from gcp.warehouse import BigQueryWarehouse
from monitoring.telling import publications
from retraining import names
from retraining.errors import Refused
from retraining.incidents import Incident
from retraining.plans import Planner
from retraining.records import ModelState, Run, RunState
from retraining.rollouts import Phase
from retraining.settings import Settings
from tests.messages.samples import changed, sample
from tests.permissions.world import SPEC, World

_HOUR = timedelta(hours=1)


def play(world: World) -> None:
    """The whole scenario."""
    world.fill()
    world.retrain("status")  # of an installation in which nothing has happened yet
    refuse_bad_messages(world)
    leave_what_a_crash_leaves(world)
    first = promote_the_first(world)
    world.retrain("explain", "tiny")
    notice_drift(world)
    second = promote_another_with_traffic(world)
    world.deliver("on_monitor", {"kind": "tick"})  # which closes the incident: another model serves
    world.jump(24 * _HOUR)  # then a whole day of answers has its labels
    world.deliver("on_monitor", {"kind": "tick"})
    roll_back(world, first.run_id)
    cancel(world, "tune", RunState.TUNING)
    cancel(world, "train", RunState.TRAINING)
    work_twice(world, first, "train")
    work_twice(world, first, "evaluate")
    ask_rarely(world, first, second)
    read_and_operate(world, first)


def refuse_bad_messages(world: World) -> None:
    """Twice the same, so that the second finds the first put aside."""
    for entry in ENTRIES:
        for _ in range(2):
            world.deliver(entry.name, f"nothing that {entry.name} understands".encode())


def leave_what_a_crash_leaves(world: World) -> None:
    """A tick that ended after it had marked a run, before it had written its record; one that froze rows."""
    run_id = names.run_id(SPEC.name, world.now(), "crashed")
    world.store.create(names.model_path(SPEC.name), ModelState(model=SPEC.name, waiting_run=run_id).to_json())
    world.store.create(names.active_path(run_id), f'{{"model": "{SPEC.name}"}}')
    spec_uri = Planner(world.settings, SPEC).spec_uri(run_id)
    world.artifacts.write(spec_uri, SPEC.model_dump_json(by_alias=True).encode())


def tell_of_rows(world: World) -> None:
    """By an audit entry, a transfer run, and the tick that asks the table itself; each twice."""
    project = world.settings.project
    entry = changed(
        "audit_table_change", "protoPayload.resourceName", f"projects/{project}/datasets/tiny/tables/rows"
    )
    transfer = changed("transfer_to_table", "destinationDatasetId", "tiny")
    transfer["params"]["destination_table_name_template"] = "rows"
    for body in (entry, transfer, {"kind": "watermark", "model": "tiny"}) * 2:
        world.deliver("on_data", body)


def promote_the_first(world: World) -> Run:
    """Every kind of trigger joins one run, which takes all traffic since nobody else serves."""
    tell_of_rows(world)
    for _ in range(2):
        world.deliver("on_schedule", {"model": "tiny", "schedule": "main"})
        world.deliver("on_manual", {"model": "tiny", "action": "train", "request_id": "first", "actor": "ann"})
    world.retrain("trigger", "tiny", "--action", "train", "--reason", "first model", "--by", "ann")
    run = started(world)
    world.tick_until("the first promotion", lambda: ended(world, run))
    return expect(world, run, RunState.PROMOTED)


def notice_drift(world: World) -> None:
    """Requests unlike the training rows; their window ends, the monitor sees them, and Google's monitor, too."""
    world.deliver("on_monitor", {"kind": "tick"})  # the first look only begins
    world.ask(world.recent(200).assign(x=lambda rows: rows.x + 1.5))
    for _ in range(2):
        world.jump(_HOUR)
        world.deliver("on_monitor", {"kind": "tick"})
    serving = world.rollout.champion
    assert serving is not None
    anomaly = sample("anomaly_v1")
    anomaly["jsonPayload"]["deployedModelId"] = serving.deployed_id
    stored = world.store.read(names.incident_path("tiny"))
    assert stored is not None, "the monitor opened no incident"
    incident = Incident.from_json(stored.body)
    told = [json.loads(notice.body) for notice in publications(incident, incident.windows[-1])]
    for body in (anomaly, *told) * 2:
        world.deliver("on_drift", body)


def promote_another_with_traffic(world: World) -> Run:
    """Tuned, compared, given half of the traffic and then all, and the old champion taken away."""
    world.retrain("trigger", "tiny", "--action", "tune", "--force", "--reason", "new rows", "--by", "bob")
    run = started(world)
    world.tick_until("the step at half of the traffic", lambda: world.rollout.phase is Phase.STEP)
    world.tick_until("half of the traffic", lambda: len(world.rollout.confirmed) == 2)
    world.ask(world.recent(400))
    world.jump(_HOUR + timedelta(minutes=10))  # then the labels are due, and Cloud Monitoring shows the answers
    world.tick_until("all traffic", lambda: world.rollout.phase is Phase.FULL)
    world.tick_until("all traffic, seen", lambda: len(world.rollout.confirmed) == 1)
    world.jump(_HOUR)
    world.tick_until("the second promotion", lambda: ended(world, run))
    return expect(world, run, RunState.PROMOTED)


def roll_back(world: World, to: str) -> None:
    """A person asks twice for the version before; it is deployed again and the other taken away."""
    for _ in range(2):
        world.retrain("rollback", "tiny", "--reason", "complaints", "--by", "ann")

    def is_back() -> bool:
        rollout = world.rollout
        return rollout.phase is Phase.IDLE and rollout.champion is not None and rollout.champion.run_id == to

    world.tick_until("the way back", is_back)
    world.tick()  # which removes the markers


def cancel(world: World, action: str, state: RunState) -> None:
    """A person stops a run whose job is under way."""
    world.retrain("trigger", "tiny", "--action", action, "--force", "--reason", "a mistake", "--by", "ann")
    run = started(world)

    def has_job() -> bool:
        found = world.run(run)
        return found is not None and found.state is state and bool(found.jobs) and bool(found.jobs[-1].name)

    world.tick_until(f"a job of {action}", has_job)
    world.retrain("cancel", run, "--by", "ann")
    world.tick_until("the end of what was cancelled", lambda: ended(world, run))
    expect(world, run, RunState.CANCELLED)


def work_twice(world: World, run: Run, kind: str) -> None:
    """A second job for work that is done, as a create whose answer was lost leaves it: it sees that and ends."""
    job = run.job(kind)
    assert job is not None
    client = connect_vertex(JobServiceClient, world.settings)
    first = client.get_custom_job(name=job.name)
    again = vertex.CustomJob(display_name="again", job_spec=first.job_spec)
    made = client.create_custom_job(parent=parent(world.settings), custom_job=again)
    deadline = time.monotonic() + 60
    while client.get_custom_job(name=made.name).state != vertex.JobState.JOB_STATE_SUCCEEDED:
        assert time.monotonic() < deadline, f"the second job to {kind} did not end well"
        time.sleep(0.3)


def ask_rarely(world: World, *runs: Run) -> None:
    """What a tick asks only when a list lags behind, or when a table vanishes between two statements of a run."""
    env = world.system.account_env("on_tick")
    jobs = VertexJobs(Settings.from_env(env))
    kinds = {job.kind: job.name for run in runs for job in run.jobs}
    assert {kind for kind, name in kinds.items() if jobs.view(name)} == {"tune", "train", "evaluate"}
    client = connect(world.settings.project, env["BIGQUERY_EMULATOR_HOST"])
    rows = BigQueryWarehouse(BigQuery(client), world.settings.dataset)
    gone = SPEC.model_copy(update={"source": SPEC.source.model_copy(update={"table": "tiny.gone"})})
    with pytest.raises(Refused, match="tiny holds rows"):
        rows.count_data(gone, "gone", world.now() - _HOUR, world.now())


def read_and_operate(world: World, run: Run) -> None:
    """Every other command of a person."""
    world.retrain("pause", "tiny", "--by", "ann")
    world.retrain("resume", "tiny", "--by", "ann")
    world.retrain("approve", run.run_id, "--by", "ann", code=1)  # it waits for nobody
    status = json.loads(world.retrain("status", "tiny", "--json"))
    assert status[0]["champion"] == run.run_id
    for words in (("runs",), ("runs", "tiny"), ("explain", run.run_id), ("events",)):
        world.retrain(*words)


# Helpers -----------------------------------------------------------------------------


def started(world: World) -> str:
    """The run that has its turn now."""
    world.tick_until("a run with its turn", lambda: world.active)
    return world.active


def ended(world: World, run_id: str) -> bool:
    """Whether the run has ended and was closed."""
    found = world.run(run_id)
    return found is not None and found.state.ended and world.active == ""


def expect(world: World, run_id: str, state: RunState) -> Run:
    """The run, which has ended so."""
    run = world.run(run_id)
    assert run is not None
    if run.state is not state:
        told = world.retrain("events", "tiny", "--last", "30")
        raise AssertionError(f"{run_id}: expected {state.value}, it is {run.state.value}\n{told}")
    return run
