"""What one stack is started with, kept beside its state so that the next start is the same."""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gcp.clock import write_clock
from local.stack.layout import Layout, read_json, write_json
from retraining.errors import BadConfig
from retraining.settings import Settings

PROJECT = "local-project"
IMAGE = "retrain-trainer:local"
STAGING_BUCKET = "retrain-staging"


@dataclass(frozen=True)
class Options:
    """Everything about a stack that somebody may choose."""

    clock: str = ""  # START*SPEED, for example 2013-01-01T00:00:00Z*2000; empty: the system's clock
    ports: dict[str, int] = field(default_factory=dict)  # of servers that must listen on certain ports
    models: str = "models"  # folder with the model files
    crons: dict[str, str] = field(default_factory=dict)  # other times for Scheduler jobs (tick, monitor, watermark)
    settings: dict[str, str] = field(default_factory=dict)  # other values for fields of Settings
    env: dict[str, str] = field(default_factory=dict)  # more variables for every server

    def write(self, path: Path) -> None:
        """Keep them at ``path``."""
        write_json(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> "Options":
        """What was kept at ``path``; the defaults when nothing was."""
        raw: dict[str, Any] = read_json(path) or {}
        return cls(**raw)

    def start_clock(self, layout: Layout) -> None:
        """Set the stack's clock, when it has one of its own. Raises BadConfig."""
        if self.clock:
            write_clock(layout.clock, *parse_clock(self.clock))


def parse_clock(text: str) -> tuple[datetime, float]:
    """``START*SPEED`` → when it begins, and how many seconds pass in each real one. Raises BadConfig."""
    start, star, speed = text.partition("*")
    try:
        moment, factor = datetime.fromisoformat(start), float(speed) if star else 1.0
    except ValueError as error:
        raise BadConfig(f"clock: expected START*SPEED such as 2013-01-01T00:00:00Z*2000, got {text!r}") from error
    if not 0 <= factor < 1e7:
        raise BadConfig(f"clock: expected a speed from 0 to ten million, got {factor}")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC), factor


def settings(options: Options, layout: Layout, vertex_api: str, monitoring_api: str = "") -> Settings:
    """The settings of an installation on this machine; ``vertex_api`` is the local Vertex AI's host:port, and
    ``monitoring_api`` the address at which it tells how it answered."""
    values = {
        "project": PROJECT,
        "region": "us-central1",
        "state_bucket": "retrain-state",
        "artifact_bucket": "retrain-artifacts",
        "dataset": "retraining",
        "models": options.models,
        "trainer_image": IMAGE,
        "vertex_api": vertex_api,
        "monitoring_api": monitoring_api,
        # A clock that was set once stays: the records of this state carry its times.
        "clock": f"file:{layout.clock}" if options.clock or layout.clock.exists() else "",
        **options.settings,
    }
    return Settings.from_env({f"RETRAIN_{name.upper()}": value for name, value in values.items()})
