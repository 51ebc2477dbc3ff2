"""The one place that builds things: environment in, ``World`` out, once per process.

Only the record store is built at once, since every entry point writes. Other clients are imported and built on
first use, so that taking in a trigger never pays for BigQuery or Vertex AI. Where model files follow the bucket,
the pointer is looked at once for each message.
"""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from functions.following import Following
from functions.ticks import Engines
from functions.world import World
from gcp.clock import clock
from gcp.modules import Modules
from gcp.storage import connect
from gcp.store import GcsStore
from retraining.errors import BadConfig
from retraining.intake import Intake
from retraining.modelfile import load_models
from retraining.modelspec import ModelSpec
from retraining.settings import Settings

_ROOT = Path(__file__).parent.parent
_PATIENCE_SECONDS = 5.0  # for the pointer: models that were read before are good enough


def world() -> World:
    """The world of this process, with the models of this moment.

    Raises BadConfig, which no message can cure and no message is to blame for.
    """
    built = process_world()
    if isinstance(built.intake.models, Following):
        built.intake.models.refresh()
    return built


@cache
def process_world() -> World:
    """The world that this process builds once."""
    return build(os.environ)


def build(environ: Mapping[str, str]) -> World:
    """A world from environment variables. Raises BadConfig naming what is wrong."""
    settings = Settings.from_env(environ)
    folder = _ROOT / settings.models
    if not folder.is_dir():
        raise BadConfig(f"RETRAIN_MODELS: expected a folder with model files, got {settings.models!r}")
    storage = connect(settings.project)
    models: Mapping[str, ModelSpec] = load_models(folder)
    if settings.modules:
        models = Following(models, Modules(GcsStore(storage, settings.artifact_bucket, _PATIENCE_SECONDS)))
    intake = Intake(models, GcsStore(storage, settings.state_bucket), clock(settings.clock))

    engines = Engines(settings, intake)
    return World(
        settings=settings,
        intake=intake,
        warehouse=engines.warehouse,
        run_tick=engines.run_tick,
        candidate_tick=engines.candidate_tick,
        monitor_tick=engines.monitor_tick,
    )
