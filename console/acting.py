"""Commands that change something: trigger, pause, resume, rollback, approve, cancel. Each is recorded with who."""

import json
import secrets
import sys
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

import typer

from console.session import PATIENCE_SECONDS, By, Reason, Session, session, user
from retraining import operate
from retraining.errors import RetrainingError
from retraining.messages import manual
from retraining.messages.context import Context

Model = Annotated[str, typer.Argument(help="Name of the model.")]
RunId = Annotated[str, typer.Argument(help="Id of the run, as 'retrain runs' shows it.")]


class Action(StrEnum):
    """What a person may ask for."""

    AUTO = "auto"
    TRAIN = "train"
    TUNE = "tune"


def trigger(
    model: Model,
    action: Annotated[Action, typer.Option(help="Let the policy choose, train, or tune first.")] = Action.AUTO,
    force: Annotated[
        bool, typer.Option("--force", help="Override cooldown and the comparison with the champion; recorded.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Decide and record, launch nothing.")] = False,
    reason: Reason = "asked on the command line",
    request_id: Annotated[
        str, typer.Option(help="The same id twice is one request.", show_default="a new one")
    ] = "",
    by: By = "",
) -> None:
    """Ask for a run by publishing the message that anybody may publish.

    Example: retrain trigger flights --action tune --reason "new carrier"
    """
    with session() as here:
        here.model(model)
        request = request_id or f"cli-{secrets.token_hex(6)}"
        body = {
            "model": model,
            "action": action.value,
            "force": force,
            "dry_run": dry_run,
            "reason": reason,
            "request_id": request,
            "actor": by or user(),
        }
        surroundings = Context(here.models, here.settings.project, message_id=request, published=here.now())
        manual.parse(body, {}, surroundings)  # who would hear of a refusal once it is published?
        publish(here, body)
        hurry(here)
        print(f"asked, request {request}; follow it with: retrain runs {model}")


def publish(here: Session, body: Mapping[str, object]) -> None:
    """Publish a request for a run, as anybody may."""
    from gcp.bus import PubsubBus

    PubsubBus(here.settings.project, PATIENCE_SECONDS).publish(here.settings.manual_topic, json.dumps(body), {})


def hurry(here: Session) -> None:
    """Ask for a tick now. What was asked for is recorded already: without this one, the next tick does it."""
    from gcp.bus import PubsubBus

    try:
        PubsubBus(here.settings.project, PATIENCE_SECONDS).publish(
            here.settings.ticks_topic, '{"kind": "tick"}', {}
        )
    except RetrainingError as error:
        print(f"retrain: it waits for the next regular tick: {error}", file=sys.stderr)


def pause(model: Model, reason: Reason = "no reason given", by: By = "") -> None:
    """Start no more runs of a model until it is resumed. What runs already goes on.

    Example: retrain pause flights --reason "audit until Friday"
    """
    with session() as here:
        operate.pause(here.store, here.model(model).name, by or user(), reason, here.now())
        print(f"{model} is paused; end it with: retrain resume {model}")


def resume(model: Model, reason: Reason = "no reason given", by: By = "") -> None:
    """End a pause, and let a held rollout go on from the split that is there.

    Example: retrain resume flights
    """
    with session() as here:
        done = operate.resume(here.store, here.model(model), by or user(), reason, here.now())
        print(f"{model}: {'; '.join(done)}")


def rollback(model: Model, reason: Reason = "no reason given", by: By = "") -> None:
    """Take back the challenger of an open rollout, or return to the version before the champion.

    Example: retrain rollback flights --reason "complaints from the desk"
    """
    with session() as here:
        print(f"{model}: {operate.roll_back(here.store, here.model(model), by or user(), reason, here.now())}")
        hurry(here)


def approve(run: RunId, by: By = "") -> None:
    """Say yes to a candidate that waits for a person.

    Example: retrain approve flights-20260504-120000-1a2b
    """
    with session() as here:
        operate.approve(here.store, run, by or user(), here.now())
        print(f"{run} is approved")


def cancel(run: RunId, by: By = "") -> None:
    """Stop a run before its rollout; its jobs are cancelled.

    Example: retrain cancel flights-20260504-120000-1a2b
    """
    with session() as here:
        operate.cancel(here.store, run, by or user(), here.now())
        print(f"{run} is being cancelled")
