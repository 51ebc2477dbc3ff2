"""``retrain smoke``: ask a model's endpoint as its clients do, and look whether the answers can be answers."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from console.session import BAD_INPUT, NOTHING, Json, Session, fail, session
from retraining import names
from retraining.modelspec import ModelSpec
from retraining.rollouts import Serving
from retraining.smoke import differences, problems
from retraining.state import read_rollout

ROWS = 20  # a test, not a load
SHOWN = 5


def smoke(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    rows: Annotated[
        Path | None,
        typer.Option(
            help="JSON file: a list of rows, each an object of raw features.",
            show_default="the champion's golden rows, whose answers must be those of right after its training",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Send test rows to a model's endpoint and check the answers: status, count, shape, finite, range.

    A model that never served is no failure. Anything else than good answers is: exit code 1.

    Example: retrain smoke flights --rows tests/rows.json
    """
    with session() as here:
        spec = here.model(model)
        given = _given(rows) if rows else None
        champion = read_rollout(here.store, spec.endpoint, spec.name)[0].champion
        if champion is None:
            print(f"{model}: no model serves yet, so there is nothing to ask; it is trained on its first trigger")
            return
        instances, expected = (given, None) if given else _golden(here, champion)
        told = _ask(here, spec, champion, instances[:ROWS], expected[:ROWS] if expected else None)
        if as_json:
            print(json.dumps({"model": model, **told}))
        else:
            print(
                f"{model}: {told['rows']} good answers from {told['run'] or told['deployed_id']} "
                f"in {told['milliseconds']} ms"
            )


def _ask(
    here: Session, spec: ModelSpec, champion: Serving, instances: list[dict[str, Any]], expected: list[Any] | None
) -> dict[str, Any]:
    from gcp.endpoints import VertexEndpoints
    from gcp.predictions import VertexPredictions

    endpoint = VertexEndpoints(here.settings).view(spec.endpoint)
    if endpoint is None:
        fail(f"{spec.name}: expected an endpoint {spec.endpoint!r}, found none", NOTHING)
    if not endpoint.split:
        fail(f"{spec.name}: {champion.run_id} should serve, but no model has traffic at {endpoint.name}", NOTHING)
    said = VertexPredictions(here.settings).ask(endpoint.name, instances)
    ours = said.deployed_id == champion.deployed_id
    wrong = problems(spec, len(instances), said.answers)
    if not wrong and expected is not None and ours:  # a challenger may answer, and may say something else
        wrong = differences(spec, said.answers, expected)
    if wrong:
        more = [f"and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []
        fail("; ".join([f"{spec.name}: {endpoint.name}: {wrong[0]}", *wrong[1:SHOWN], *more]), NOTHING)
    return {
        "rows": len(instances),
        "deployed_id": said.deployed_id,
        "run": champion.run_id if ours else "",
        "compared": expected is not None and ours,
        "milliseconds": round(said.seconds * 1000),
    }


def _given(file: Path) -> list[dict[str, Any]]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        fail(f"--rows: {file}: {error}", BAD_INPUT)
    return _rows(content, str(file))


def _golden(here: Session, champion: Serving) -> tuple[list[dict[str, Any]], list[Any]]:
    """Rows that were asked right after training, and what the model said."""
    from gcp.artifacts import GcsArtifacts
    from gcp.storage import connect

    uri = f"{names.artifact_uri(here.settings.artifact_bucket, champion.run_id)}/report/golden.json"
    body = GcsArtifacts(connect(here.settings.project)).read(uri)
    if body is None:
        fail(f"{uri}: expected golden rows, found none; give rows with --rows", NOTHING)
    try:
        content = json.loads(body)
        answers: list[Any] = list(content["answers"])
        found = _rows(content["rows"], uri)
    except (ValueError, KeyError, TypeError) as error:
        fail(f"{uri}: expected rows and answers: {error}", NOTHING)
    return found, answers


def _rows(content: object, origin: str) -> list[dict[str, Any]]:
    if not isinstance(content, Sequence) or not content or not all(isinstance(one, dict) for one in content):
        fail(f"{origin}: expected a list of at least one row, each an object of features", BAD_INPUT)
    return list(content)
