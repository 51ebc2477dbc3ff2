"""The recorded system as the scenario moves it: messages, rows, requests, time, and looks of nobody's account."""

import base64
import io
import itertools
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import requests
from google.cloud import bigquery
from typer.testing import CliRunner

from console.main import app
from gcp import bigquery as warehouse
from gcp import storage
from gcp.artifacts import GcsArtifacts
from gcp.clock import clock, write_clock
from gcp.endpoints import VertexEndpoints
from gcp.modules import Modules
from gcp.store import GcsStore
from local.recording.system import PEOPLE, RecordedSystem, variables
from local.rehearsal.traffic import Requests
from retraining.modelfile import load_models
from retraining.modules import ModuleSet
from retraining.records import Run
from retraining.rollouts import Rollout
from retraining.state import read_rollout, read_run, read_state

ROOT = Path(__file__).parents[2]
MODELS = Path(__file__).parent / "models"
SPEC = load_models(MODELS)["tiny"]
_AGES = (
    (60 * 24.0, 3000),
    (20.0, 400),
)  # hours, rows: enough to learn from, and enough that requests may ask about


class World:
    """One recorded system with rows and delivered code."""

    def __init__(self, system: RecordedSystem) -> None:
        self.system = system
        self.settings = system.settings
        self.rows = _rows()
        self._ids = itertools.count(1)

    @cached_property
    def store(self) -> GcsStore:
        """The records, looked at directly."""
        client = storage.connect(self.settings.project, self.system.env["STORAGE_EMULATOR_HOST"])
        return GcsStore(client, self.settings.state_bucket)

    @cached_property
    def artifacts(self) -> GcsArtifacts:
        """The artefacts, written directly."""
        return GcsArtifacts(storage.connect(self.settings.project, self.system.env["STORAGE_EMULATOR_HOST"]))

    def fill(self) -> None:
        """Rows in the source table, and the jobs' code in the bucket."""
        client = warehouse.connect(self.settings.project, self.system.env["BIGQUERY_EMULATOR_HOST"])
        body = io.BytesIO()
        self.rows.astype({"at": "datetime64[us, UTC]"}).to_parquet(body, index=False)
        body.seek(0)
        config = bigquery.LoadJobConfig(source_format="PARQUET", write_disposition="WRITE_APPEND")
        client.load_table_from_file(body, f"{client.project}.{SPEC.source.table}", job_config=config).result()
        connected = storage.connect(self.settings.project, self.system.env["STORAGE_EMULATOR_HOST"])
        bodies = _code()
        modules = Modules(GcsStore(connected, self.settings.artifact_bucket))
        modules.publish(ModuleSet.of(bodies), bodies, "", self.now())

    # Time -------------------------------------------------------------------------

    def now(self) -> datetime:
        """What every part of the system takes for now."""
        return clock(self.settings.clock)()

    def jump(self, ahead: timedelta) -> None:
        """It is later at once."""
        write_clock(Path(self.settings.clock.removeprefix("file:")), self.now() + ahead, 1.0)

    # Messages ---------------------------------------------------------------------

    def deliver(self, function: str, body: object, **attributes: str) -> None:
        """Give a message to a function as Pub/Sub does, and wait until it has acknowledged it."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        number = str(next(self._ids))
        message = {
            "messageId": number,
            "publishTime": self.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "data": base64.b64encode(data).decode(),
            "attributes": attributes,
        }
        headers = {
            "ce-specversion": "1.0",
            "ce-id": number,
            "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
            "ce-source": f"//pubsub.googleapis.com/projects/{self.settings.project}/topics/t",
            "ce-time": message["publishTime"],
        }
        subscription = f"projects/{self.settings.project}/subscriptions/s"
        content = {"message": message, "subscription": subscription}
        url = self.system.functions[function]
        for _ in range(5):  # a race with a message of the system's own is delivered again
            if requests.post(url, json=content, headers=headers, timeout=120).ok:
                return
        raise AssertionError(f"{function} did not take {body!r}:\n{self.system.printed(function)[-3000:]}")

    def tick(self) -> None:
        """Let runs and rollouts move as far as they go now."""
        self.deliver("on_tick", {"kind": "tick"})
        self.deliver("on_candidate", {"kind": "tick"})

    def tick_until(self, what: str, reached: Callable[[], object], seconds: float = 100) -> None:
        """Tick until ``reached``. Raises AssertionError with the audit."""
        deadline = time.monotonic() + seconds
        while True:
            self.tick()
            if reached():
                return
            if time.monotonic() > deadline:
                told = self.retrain("events", "--last", "40")
                raise AssertionError(f"{what}: not reached in {seconds} s\n{told}")
            time.sleep(0.3)

    # People -----------------------------------------------------------------------

    def retrain(self, *words: str, code: int = 0) -> str:
        """What a command of a person prints."""
        with variables(self.system.account_env(PEOPLE)):
            result = CliRunner().invoke(app, list(words))
        assert result.exit_code == code, f"retrain {' '.join(words)}: {result.output}"
        return result.output

    # Looks ------------------------------------------------------------------------

    def latest(self) -> Run:
        """The newest run."""
        ids = sorted(self.store.list("runs/"))
        found = read_run(self.store, ids[-1].removeprefix("runs/").removesuffix(".json"))
        assert found is not None
        return found[0]

    def run(self, run_id: str) -> Run | None:
        """A run's record."""
        found = read_run(self.store, run_id)
        return found[0] if found else None

    @property
    def rollout(self) -> Rollout:
        """The endpoint's record."""
        return read_rollout(self.store, SPEC.endpoint, SPEC.name)[0]

    @property
    def active(self) -> str:
        """The run that has its turn, or empty."""
        return read_state(self.store, SPEC.name)[0].active_run

    # Requests ---------------------------------------------------------------------

    def ask(self, frame: pd.DataFrame) -> None:
        """Send rows to the endpoint and wait until they are in the log."""
        endpoint = VertexEndpoints(self.settings).view(SPEC.endpoint)
        assert endpoint is not None
        before = self._logged()
        client = Requests(self.settings.vertex_api, endpoint.name, SPEC)
        client.send(frame)
        client.close()
        assert client.failed == 0
        deadline = time.monotonic() + 15
        while self._logged() < before + len(frame):
            assert time.monotonic() < deadline, "the requests are not in the log"
            time.sleep(0.2)

    def _logged(self) -> int:
        client = warehouse.connect(self.settings.project, self.system.env["BIGQUERY_EMULATOR_HOST"])
        table = f"`{self.settings.project}.{self.settings.dataset}.tiny_requests`"
        rows = client.query(f"SELECT SUM(ARRAY_LENGTH(request_payload)) AS n FROM {table}").result()
        return int(next(iter(rows))["n"] or 0)

    def recent(self, count: int) -> pd.DataFrame:
        """Rows of the last day, whose labels are known."""
        return self.rows.tail(count)


def _rows() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    age = np.sort(np.concatenate([rng.uniform(2, oldest, count) for oldest, count in _AGES]))[::-1]
    count = len(age)
    x, y = rng.normal(size=count), rng.normal(size=count)
    colour = rng.choice(["red", "green"], count)
    chance = 1 / (1 + np.exp(-3 * x - y - np.where(colour == "red", 2, 0)))
    now = datetime.now(UTC)
    return pd.DataFrame(
        {
            "row_id": [f"r{i}" for i in range(count)],
            "at": [now - timedelta(hours=float(hours)) for hours in age],
            "hit": (rng.uniform(size=count) < chance).astype("int64"),
            "x": x,
            "y": y,
            "colour": colour,
        }
    )


def _code() -> dict[str, bytes]:
    """The files of a delivery: the jobs' code of this checkout, and the model files of this test."""
    found: dict[str, Any] = {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for folder in ("trainer", "retraining")
        for path in (ROOT / folder).rglob("*.py")
    }
    return found | {f"models/{path.name}": path.read_bytes() for path in MODELS.glob("*.yaml")}
