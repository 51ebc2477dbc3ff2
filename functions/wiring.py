"""The one place that builds things: environment in, ``World`` out, once per process.

Only the record store is built at once, since every entry point writes. Other clients are imported and built on
first use, so that taking in a trigger never pays for BigQuery or Vertex AI.
"""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from functions.ticks import Engines
from functions.world import World
from gcp.clock import clock
from gcp.storage import connect
from gcp.store import GcsStore
from retraining.errors import BadConfig
from retraining.intake import Intake
from retraining.modelfile import load_models
from retraining.settings import Settings

_ROOT = Path(__file__).parent.parent


@cache
def world() -> World:
    """The world of this process. Raises BadConfig, which no message can cure and no message is to blame for."""
    return build(os.environ)


def build(environ: Mapping[str, str]) -> World:
    """A world from environment variables. Raises BadConfig naming what is wrong."""
    settings = Settings.from_env(environ)
    folder = _ROOT / settings.models
    if not folder.is_dir():
        raise BadConfig(f"RETRAIN_MODELS: expected a folder with model files, got {settings.models!r}")
    store = GcsStore(connect(settings.project), settings.state_bucket)
    intake = Intake(load_models(folder), store, clock(settings.clock))

    engines = Engines(settings, intake)
    return World(
        settings=settings,
        intake=intake,
        warehouse=engines.warehouse,
        run_tick=engines.run_tick,
        candidate_tick=engines.candidate_tick,
        monitor_tick=engines.monitor_tick,
    )
