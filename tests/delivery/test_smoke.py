"""``retrain smoke`` against a local Vertex AI: good answers, every kind of bad one, and nobody who answers."""

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google.cloud.aiplatform_v1 import Endpoint, EndpointServiceClient
from typer.testing import Result

from gcp.endpoints import VertexEndpoints
from gcp.operations import VertexOperations
from gcp.registry import VertexRegistry
from gcp.vertex import connect, parent
from local.servers.vertex import Config, VertexServer
from retraining import names
from retraining.rollouts import Rollout, Serving
from retraining.settings import Settings
from retraining.smoke import problems
from tests.console.conftest import PROJECT, Desk
from tests.contract.vertex import SERVER, deploy_plan, until, version_plan
from tests.unit.build import SPECS

DEPLOYED = "1000000001"
ROWS = [{"carrier": "AA"}, {"carrier": None}]
GOOD: dict[str, list[Any]] = {
    "binary": [{"score": 0.25}, {"score": 1}],
    "multiclass": [{"scores": [0.25, 0.75], "classes": ["a", "b"]}] * 2,
    "regression": [{"value": -3.5}, {"value": 4}],
}


@dataclass(frozen=True)
class Serve:
    """A local Vertex AI, and the file that its model server reads its answers from."""

    api: str
    file: Path

    def say(self, answers: list[Any], **more: int) -> None:
        """What the model answers from now on."""
        self.file.write_text(json.dumps({"answers": answers, **more}))


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """One model with all traffic at endpoint flights, and an endpoint without a model."""
    folder = tmp_path_factory.mktemp("serve")
    file = folder / "answers.json"
    server = f"{sys.executable} {Path(__file__).parent / 'answering.py'} {file}"
    config = Config(folder / "vertex", images=[f"{SERVER}={server}"], max_parallel_jobs=1, deploy_limit_s=20)
    with VertexServer(config) as running:
        settings = Settings(PROJECT, "us-central1", "state", "artifacts", "retraining", vertex_api=running.grpc)
        operations, registry = VertexOperations(settings), VertexRegistry(settings)
        endpoints, client = VertexEndpoints(settings), connect(EndpointServiceClient, settings)

        def ends(operation: str) -> None:
            until(lambda: operations.view(operation).done)
            assert operations.view(operation).error == ""

        for name in ("flights", "bikes"):
            ends(
                client.create_endpoint(parent=parent(settings), endpoint=Endpoint(display_name=name)).operation.name
            )
        ends(registry.upload(version_plan("flights", "run-1")))
        version = registry.find("flights", "run-1")
        assert version is not None
        ends(endpoints.deploy(deploy_plan("flights", version.name, DEPLOYED)))
        view = endpoints.view("flights")
        assert view is not None
        endpoints.set_traffic("flights", {DEPLOYED: 100}, view.etag)
        yield Serve(running.grpc, file)


@pytest.fixture
def champion(desk: Desk) -> Serving:
    """The record of who serves flights."""
    serving = Serving(run_id="flights-1", deployed_id=DEPLOYED, version="v", digest="d")
    desk.put(names.rollout_path("flights"), Rollout(endpoint="flights", model="flights", champion=serving))
    return serving


def smoke(desk: Desk, serve: Serve, *words: str) -> Result:
    """``retrain smoke ...`` on an installation with one bucket for all."""
    bucket = str(desk.environ["RETRAIN_STATE_BUCKET"])
    return desk.type("smoke", *words, RETRAIN_VERTEX_API=serve.api, RETRAIN_ARTIFACT_BUCKET=bucket)


@pytest.fixture
def rows(tmp_path: Path) -> str:
    """A file with two rows."""
    file = tmp_path / "rows.json"
    file.write_text(json.dumps(ROWS))
    return str(file)


def test_good_answers_pass_and_the_time_is_told(desk: Desk, serve: Serve, champion: Serving, rows: str) -> None:
    """Through the serving API."""
    serve.say(GOOD["binary"])
    result = smoke(desk, serve, "flights", "--rows", rows)

    assert result.exit_code == 0, result.output
    assert "flights: 2 good answers from flights-1 in " in result.output
    assert " ms" in result.output


@pytest.mark.parametrize(
    ("answers", "more", "why"),
    [
        ([{"score": 0.5}], {}, "expected 2 answers, one for each row; got 1"),
        ([{"score": 0.5}] * 3, {"more": 1}, "expected 2 answers, one for each row; got 3"),
        ([{"score": 0.5}, {"score": 1.5}], {}, "answer 1: score: expected a probability from 0 to 1, got 1.5"),
        ([{"score": 0.5}, {"value": 0.5}], {}, "answer 1: expected an object with score"),
        ([{"score": 0.5}, {"score": "0.5"}], {}, "answer 1: score: expected a finite number"),
        ([{"score": 0.5}, {"score": None}], {}, "answer 1: score: expected a finite number"),
        ([], {"status": 500}, "asking projects/"),
        ([], {"status": 400}, "asking projects/"),
    ],
)
def test_bad_answers_fail(
    desk: Desk, serve: Serve, champion: Serving, rows: str, answers: list[Any], more: dict[str, int], why: str
) -> None:
    """With what was expected and what came."""
    serve.say(answers, **more)
    result = smoke(desk, serve, "flights", "--rows", rows)

    assert result.exit_code in (1, 3)
    assert why in result.output


def golden(desk: Desk, answers: list[float], rows: int = 2) -> None:
    """What the champion said right after its training."""
    body = json.dumps({"rows": (ROWS * rows)[:rows], "answers": answers})
    desk.store.create("runs/flights-1/report/golden.json", body)


def test_without_rows_the_golden_rows_are_asked(desk: Desk, serve: Serve, champion: Serving) -> None:
    """And the answers are those of right after training."""
    golden(desk, [0.25001, 1.0])
    serve.say(GOOD["binary"])
    told = json.loads(smoke(desk, serve, "flights", "--json").output)

    assert told["compared"] is True
    assert told["run"] == "flights-1"


def test_other_answers_than_after_training_fail(desk: Desk, serve: Serve, champion: Serving) -> None:
    """Another model, or another machine's arithmetic."""
    golden(desk, [0.30, 1.0])
    serve.say(GOOD["binary"])
    result = smoke(desk, serve, "flights")

    assert result.exit_code == 1
    assert "answer 0: expected 0.3, as right after training; got 0.25" in result.output


def test_golden_rows_are_not_compared_with_a_challenger(desk: Desk, serve: Serve) -> None:
    """It may say something else."""
    other = Serving(run_id="flights-1", deployed_id="1000000009", version="v", digest="d")
    desk.put(names.rollout_path("flights"), Rollout(endpoint="flights", model="flights", champion=other))
    golden(desk, [0.9, 0.9])
    serve.say(GOOD["binary"])
    told = json.loads(smoke(desk, serve, "flights", "--json").output)

    assert told["compared"] is False


def test_no_more_than_a_few_rows_are_asked(desk: Desk, serve: Serve, champion: Serving) -> None:
    """It is a test, not a load."""
    golden(desk, [0.5] * 200, rows=200)
    serve.say([{"score": 0.5}] * 300)
    told = json.loads(smoke(desk, serve, "flights", "--json").output)

    assert told["rows"] == 20


def test_a_model_that_never_served_is_no_failure(desk: Desk, serve: Serve) -> None:
    """A new installation is delivered before anything is trained."""
    result = smoke(desk, serve, "bikes")

    assert result.exit_code == 0
    assert "bikes: no model serves yet" in result.output


def test_a_champion_without_traffic_fails(desk: Desk, serve: Serve, rows: str) -> None:
    """The record says that it serves."""
    serving = Serving(run_id="bikes-1", deployed_id=DEPLOYED)
    desk.put(names.rollout_path("bikes"), Rollout(endpoint="bikes", model="bikes", champion=serving))
    result = smoke(desk, serve, "bikes", "--rows", rows)

    assert result.exit_code == 1
    assert "bikes-1 should serve, but no model has traffic" in result.output


def test_missing_golden_rows_are_named(desk: Desk, serve: Serve, champion: Serving) -> None:
    """With the way out."""
    result = smoke(desk, serve, "flights")

    assert result.exit_code == 1
    assert (
        "runs/flights-1/report/golden.json: expected golden rows, found none; give rows with --rows"
        in result.output
    )


@pytest.mark.parametrize("text", ["", "[]", "{}", "[1]", '"rows"'])
def test_unusable_rows_are_refused(desk: Desk, serve: Serve, champion: Serving, tmp_path: Path, text: str) -> None:
    """Before anybody is asked."""
    file = tmp_path / "rows.json"
    file.write_text(text)
    result = smoke(desk, serve, "flights", "--rows", str(file))

    assert result.exit_code == 2


@pytest.mark.parametrize("task", GOOD)
def test_good_answers_of_every_task_are_good(task: str) -> None:
    """Whole numbers are numbers."""
    spec = SPECS["flights"]
    spec = spec.model_copy(update={"training": spec.training.model_copy(update={"task": task})})

    assert problems(spec, 2, GOOD[task]) == []


@pytest.mark.parametrize(
    ("task", "answer"),
    [
        ("binary", {"score": math.nan}),
        ("binary", {"score": -0.01}),
        ("binary", {"score": True}),
        ("binary", 0.5),
        ("regression", {"value": math.inf}),
        ("regression", {"score": 1.0}),
        ("multiclass", {"scores": [0.5, 0.5], "classes": ["a"]}),
        ("multiclass", {"scores": [0.5, 0.6], "classes": ["a", "b"]}),
        ("multiclass", {"scores": [1.5, -0.5], "classes": ["a", "b"]}),
        ("multiclass", {"scores": [math.nan, 1.0], "classes": ["a", "b"]}),
        ("multiclass", {"scores": [], "classes": []}),
        ("multiclass", {"scores": 1.0, "classes": ["a"]}),
    ],
)
def test_bad_answers_of_every_task_are_bad(task: str, answer: object) -> None:
    """One sentence says why."""
    spec = SPECS["flights"]
    spec = spec.model_copy(update={"training": spec.training.model_copy(update={"task": task})})

    assert len(problems(spec, 1, [answer])) == 1
