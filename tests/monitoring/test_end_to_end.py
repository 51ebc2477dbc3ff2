"""From logged requests on BigQuery to an incident and a message, with the statements that run in the cloud."""

import json
from datetime import timedelta

import numpy as np

from gcp.drift_log import DriftStatements
from local.memory.artifacts import MemoryArtifacts
from local.memory.bus import MemoryBus
from local.memory.store import MemoryStore
from monitoring.handler import MonitorWorld, tick
from monitoring.log import DriftLog
from monitoring.records import history
from retraining import names
from retraining.incidents import Incident
from retraining.rollouts import Rollout, Serving
from retraining.settings import Settings
from tests.monitoring.traffic import MONDAY, Traffic, baseline, request, spec

DAY = timedelta(days=1)


def _day(random: np.random.Generator, number: int, delay: float) -> list[dict[str, object]]:
    """A request of 600 instances like the training rows, but for the mean of their delay."""
    instances = [
        {
            "id": str(n),
            "delay": float(random.normal(delay, 10)) if random.random() > 0.02 else None,
            "hour": int(random.choice([6, 12, 18], p=[0.3, 0.3, 0.4])),
            "weekend": bool(random.random() < 0.3),
            "carrier": "AA" if random.random() < 0.6 else "UA",
        }
        for n in range(600)
    ]
    scores = [{"score": float(one)} for one in random.random(600)]
    return [request(MONDAY + number * DAY, instances, scores)]


def test_logged_drift_becomes_an_incident_and_a_message(statements: DriftStatements, traffic: Traffic) -> None:
    """Two ordinary days, then a day on which delays are twenty minutes longer."""
    model = spec("endtoend")
    random = np.random.default_rng(3)
    for number, delay in enumerate((10, 10, 30)):
        traffic.log(model, _day(random, number, delay))
    store, bus, artifacts = MemoryStore(), MemoryBus("drift"), MemoryArtifacts()
    artifacts.write("gs://artifacts/runs/run-1/report/baseline.json", baseline().to_json().encode())
    champion = Rollout(endpoint=model.endpoint, model=model.name, champion=Serving(run_id="run-1", deployed_id="1"))
    store.create(names.rollout_path(model.endpoint), champion.to_json())
    clock = [MONDAY + DAY]
    world = MonitorWorld(
        settings=Settings("local", "us-central1", "state", "artifacts", "retraining"),
        models={model.name: model},
        store=store,
        bus=bus,
        log=DriftLog(statements, "local", "retraining"),
        artifacts=artifacts,
        now=lambda: clock[0],
    )
    lines = []
    for number in range(3):
        clock[0] = MONDAY + (number + 1) * DAY
        lines += tick(world)
    again = tick(world)
    stored = store.read(names.incident_path(model.name))
    messages = [json.loads(message.body) for message in bus.messages("drift")]

    assert [verdict.kind for verdict in history(store, model.name)] == ["ordinary", "ordinary", "drift"]
    assert len(lines) == 3
    assert again == []
    assert stored is not None
    assert set(Incident.from_json(stored.body).features) == {"delay"}
    assert [(body["kind"], body["window_end"]) for body in messages] == [
        ("drift-incident", (MONDAY + 3 * DAY).isoformat())
    ]
