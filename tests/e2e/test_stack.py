"""One model from a person's message to answered requests: the real functions, clients, jobs and servers."""

import io
import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from google.cloud import bigquery
from typer.testing import CliRunner

from console.main import app
from gcp.bigquery import connect
from gcp.bus import PubsubBus
from local.rehearsal.traffic import Requests
from local.stack.options import Options
from local.stack.stack import Stack
from retraining.modelfile import load_models

MODELS = Path(__file__).parent / "models"
SPEC = load_models(MODELS)["tiny"]


def rows(count: int) -> pd.DataFrame:
    """Rows of the last sixty days whose label follows x, y and colour."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=count), rng.normal(size=count)
    colour = rng.choice(["red", "green"], count)
    chance = 1 / (1 + np.exp(-3 * x - y - np.where(colour == "red", 2, 0)))
    age = rng.uniform(2, 60 * 24, count)
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
    ).sort_values("at")


def load(client: bigquery.Client, frame: pd.DataFrame) -> None:
    """Load the rows in one job."""
    body = io.BytesIO()
    frame.astype({"at": "datetime64[us, UTC]"}).to_parquet(body, index=False)
    body.seek(0)
    config = bigquery.LoadJobConfig(source_format="PARQUET", write_disposition="WRITE_APPEND")
    client.load_table_from_file(body, f"{client.project}.{SPEC.source.table}", job_config=config).result()


def retrain(*words: str) -> str:
    """What a command prints; it must succeed."""
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole system on this machine, with one small model, and its addresses in the environment."""
    before = dict(os.environ)
    with Stack(tmp_path_factory.mktemp("stack"), Options(models=str(MODELS)), fresh=True) as running:
        os.environ.update(running.env)
        yield running
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def promoted(stack: Stack) -> dict[str, str]:
    """The first run, after it took all traffic."""
    frame = rows(6000)
    load(connect(stack.settings.project), frame)
    asked = retrain("trigger", "tiny", "--reason", "first model", "--by", "ann")
    bus = PubsubBus(stack.settings.project)
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        bus.publish(stack.settings.ticks_topic, '{"kind": "tick"}', {})
        time.sleep(1)
        found = json.loads(retrain("runs", "tiny", "--json"))
        if found and found[-1]["state"] not in (
            "waiting",
            "validating",
            "launching",
            "training",
            "evaluating",
            "eligible",
            "rolling_out",
        ):
            return {"run": found[-1]["run"], "state": found[-1]["state"], "asked": asked}
    raise AssertionError(retrain("events", "tiny"))


def test_a_message_ends_in_a_model_that_serves(promoted: dict[str, str]) -> None:
    """Through topic, function, tick, job, evaluation, registry and endpoint."""
    assert promoted["state"] == "promoted", retrain("events", "tiny")


def test_the_model_answers(stack: Stack, promoted: dict[str, str]) -> None:
    """And what it says follows the rows it learnt from."""
    from gcp.endpoints import VertexEndpoints

    endpoint = VertexEndpoints(stack.settings).view("tiny")
    assert endpoint is not None
    requests = Requests(stack.settings.vertex_api, endpoint.name, SPEC)
    extremes = rows(2).assign(x=[3.0, -3.0], y=[1.0, -1.0], colour=["red", "green"])
    requests.send(extremes)
    requests.close()
    high, low = (answer.score for answer in requests.answers)

    assert high > 0.9
    assert low < 0.1


def test_explain_tells_who_and_why(promoted: dict[str, str]) -> None:
    """From the person who asked to the split that was set."""
    told = json.loads(retrain("explain", "tiny", "--json"))

    assert told["serves_now"] is True
    assert [(t["actor"], t["reason"]) for t in told["triggers"]] == [("ann", "first model")]
    assert [job["kind"] for job in told["jobs"]] == ["train", "evaluate"]
    assert told["digests"].keys() == {"model file", "data", "model"}


def test_status_shows_the_champion(promoted: dict[str, str]) -> None:
    """And that nothing is open."""
    status = json.loads(retrain("status", "tiny", "--json"))[0]

    assert status["champion"] == promoted["run"]
    assert status["rollout"]["phase"] == "idle"
