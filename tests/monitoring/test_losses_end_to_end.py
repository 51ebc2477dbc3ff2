"""From answers, labels and repeated rows on BigQuery to what the monitor remembers, by the cloud's statements."""

import json
from datetime import timedelta

import numpy as np
from google.cloud.bigquery import LoadJobConfig, SchemaField

from gcp.bigquery import BigQuery
from gcp.drift_log import DriftStatements
from local.memory.artifacts import MemoryArtifacts
from local.memory.bus import MemoryBus
from local.memory.store import MemoryStore
from monitoring.handler import MonitorWorld, tick
from monitoring.labels import LabelLog, ensure
from monitoring.log import DriftLog
from monitoring.records import Watch, watch_path
from retraining import names
from retraining.incidents import Incident
from retraining.rollouts import Rollout, Serving
from retraining.settings import Settings
from tests.monitoring.traffic import MONDAY, Traffic, baseline, request, spec

DAY = timedelta(days=1)
ROWS = 300
DAYS = 5


def test_a_tick_joins_labels_and_sees_repeated_rows(
    statements: DriftStatements, traffic: Traffic, warehouse: BigQuery
) -> None:
    """Four sound days with labels, then one whose rows came twice: metrics of a mature day, and a data ticket."""
    ensure(statements, "local", "retraining")
    model = spec("losses", min_rows=100)
    model = model.model_copy(update={"source": model.source.model_copy(update={"table": "losses.facts"})})
    random = np.random.default_rng(3)
    facts = []
    for number in range(DAYS):
        at = MONDAY + number * DAY
        scores = random.beta(2, 2, ROWS)
        rows = [
            {
                "id": f"{number}-{n}",
                "delay": float(random.normal(10, 10)),
                "hour": int(random.choice([6, 12, 18])),
                "weekend": bool(random.random() < 0.3),
                "carrier": "AA" if random.random() < 0.6 else "UA",
            }
            for n in range(ROWS)
        ]
        logged = [
            request(at + part * timedelta(hours=8), rows[part::3], [{"score": float(s)} for s in scores[part::3]])
            for part in range(3)
        ]
        again = [request(at + timedelta(hours=17), rows[:200])] if number == DAYS - 1 else []
        traffic.log(model, logged + again)
        facts += [
            {"id": row["id"], "at": at.isoformat(), "y": int(random.random() < score)}
            for row, score in zip(rows, scores, strict=True)
        ]
    warehouse.client.create_dataset("losses", exists_ok=True)
    schema = [SchemaField("id", "STRING"), SchemaField("at", "TIMESTAMP"), SchemaField("y", "INT64")]
    config = LoadJobConfig(schema=schema)
    warehouse.client.load_table_from_json(facts, "local.losses.facts", job_config=config).result()
    store, artifacts, clock = MemoryStore(), MemoryArtifacts(), [MONDAY + DAY]
    artifacts.write("gs://artifacts/runs/run-1/report/baseline.json", baseline().to_json().encode())
    champion = Rollout(endpoint=model.endpoint, model=model.name, champion=Serving(run_id="run-1", deployed_id="1"))
    store.create(names.rollout_path(model.endpoint), champion.to_json())
    world = MonitorWorld(
        settings=Settings("local", "us-central1", "state", "artifacts", "retraining"),
        models={model.name: model},
        store=store,
        bus=MemoryBus("drift"),
        log=DriftLog(statements, "local", "retraining"),
        artifacts=artifacts,
        now=lambda: clock[0],
        labels=LabelLog(statements, "local", "retraining"),
    )
    lines = []
    for number in range(DAYS):
        clock[0] = MONDAY + (number + 1) * DAY
        lines += tick(world)
    stored, shown = store.read(watch_path(model.name)), store.read(names.incident_path(model.name))

    assert not any("failed" in line for line in lines), lines
    assert stored is not None
    assert shown is not None
    watch, incident = Watch.from_json(stored.body), Incident.from_json(shown.body)
    assert [(one.rows, one.repeats) for one in watch.arrivals] == [(300, 0)] * 4 + [(500, 200)]
    assert watch.performed[-1].mature_until == MONDAY + 4 * DAY
    assert set(watch.performed[-1].metrics) == {"log_loss", "brier", "accuracy", "auc", "ece"}
    assert (incident.kind, list(incident.features)) == ("data", ["(feed)"])
    assert "of rows are repeated" in json.dumps(incident.why)
