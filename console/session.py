"""What every command needs: settings, models, records and the time, or one clear line and an exit code."""

import getpass
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from retraining.errors import BadConfig, BadMessage, Conflict, RetrainingError, Temporary
from retraining.modelspec import ModelSpec
from retraining.ports import Store
from retraining.settings import Settings

NOTHING, BAD_INPUT, UNAVAILABLE = 1, 2, 3
PATIENCE_SECONDS = 5.0  # a person who waits would rather be told, and try again

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]
By = Annotated[str, typer.Option("--by", help="Who asks; recorded in the audit.", show_default="your user name")]
Reason = Annotated[str, typer.Option("--reason", help="Why, in one sentence; recorded in the audit.")]


@dataclass(frozen=True)
class Session:
    """One installation, as a command sees it."""

    settings: Settings
    models: Mapping[str, ModelSpec]
    store: Store
    now: Callable[[], datetime]

    def model(self, name: str) -> ModelSpec:
        """The model of this name; ends the command when there is none."""
        if name not in self.models:
            fail(f"model {name!r}: expected one of {', '.join(sorted(self.models))}", NOTHING)
        return self.models[name]


def user() -> str:
    """Who runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def fail(text: str, code: int) -> NoReturn:
    """One line on the error output, then the end."""
    print(f"retrain: {text}", file=sys.stderr)
    raise typer.Exit(code)


@contextmanager
def session() -> Iterator[Session]:
    """Open the installation that ``RETRAIN_*`` describes; errors of ours become one line and an exit code."""
    try:
        yield _open()
    except (BadConfig, BadMessage) as error:
        hint = '; for the local stack: eval "$(retrain local env)"' if "RETRAIN_" in str(error) else ""
        fail(f"{error}{hint}", BAD_INPUT)
    except (Temporary, Conflict) as error:
        fail(f"try again: {error}", UNAVAILABLE)
    except RetrainingError as error:
        fail(str(error), NOTHING)


def _open() -> Session:
    settings = Settings.from_env(os.environ)
    from gcp.clock import clock
    from gcp.storage import connect
    from gcp.store import GcsStore
    from retraining.modelfile import load_models

    models = load_models(Path(__file__).parent.parent / settings.models)
    store = GcsStore(connect(settings.project), settings.state_bucket, PATIENCE_SECONDS)
    return Session(settings, models, store, clock(settings.clock))


def show(as_json: bool, data: Any, render: Callable[[], object]) -> None:
    """JSON for programs, or what ``render`` prints."""
    if as_json:
        print(json.dumps(data, indent=1, default=str))
    else:
        render()
