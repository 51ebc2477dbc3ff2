"""Every setting of an installation, read once from a mapping that is passed in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

from retraining.errors import BadConfig


@dataclass(frozen=True)
class Settings:
    """Where this installation lives. The environment variable of a field is ``RETRAIN_`` and its name in capitals.

    The addresses at the end are empty in the cloud; on one machine they point the same clients at local servers
    (Pub/Sub, Storage and BigQuery have addresses of their own, which Google's clients read themselves).
    """

    project: str  # project id
    region: str  # of jobs, models and endpoints, for example us-central1
    state_bucket: str  # records: claims, runs, rollouts, audit
    artifact_bucket: str  # snapshots, models, reports
    dataset: str  # BigQuery dataset of this system's own tables
    models: str = "models"  # folder with the model files
    modules: str = ""  # current: model files and jobs' code follow the bucket; empty: as packaged
    trainer_image: str = ""  # image of the container that trains, evaluates and serves
    trainer_account: str = ""  # service account of training and tuning jobs
    evaluator_account: str = ""  # service account of evaluation jobs
    server_account: str = ""  # service account of deployed models
    candidates_topic: str = "candidates"  # winners are published here
    drift_topic: str = "drift"  # incidents of drift are published here
    ticks_topic: str = "ticks"  # Scheduler's ticks and hints that a job ended
    manual_topic: str = "retrain-requests"  # what people publish
    own_principals: str = ""  # comma-separated accounts whose writes never trigger a run
    vertex_api: str = ""  # host:port of Vertex AI over gRPC without TLS; empty: Google's
    monitoring_api: str = ""  # http://host:port of Cloud Monitoring without credentials; empty: Google's
    clock: str = ""  # see gcp/clock.py; empty: the system's clock

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read ``RETRAIN_*`` from ``environ``. Raises BadConfig naming the variable."""
        values: dict[str, str] = {}
        for field in fields(cls):
            variable = f"RETRAIN_{field.name.upper()}"
            if variable in environ:
                values[field.name] = environ[variable]
            elif field.default is not field.default_factory and isinstance(field.default, str):
                continue
            else:
                raise BadConfig(f"{variable}: expected a value, got none")
        settings = cls(**values)
        settings._check()
        return settings

    def _check(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9-]{3,62}", self.project):
            raise BadConfig(f"RETRAIN_PROJECT: expected a project id, got {self.project!r}")
        if not re.fullmatch(r"[a-z]+-[a-z]+[0-9]", self.region):
            raise BadConfig(f"RETRAIN_REGION: expected a region such as us-central1, got {self.region!r}")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.dataset):
            raise BadConfig(f"RETRAIN_DATASET: expected a dataset name, got {self.dataset!r}")
        if self.modules not in ("", "current"):
            raise BadConfig(f"RETRAIN_MODULES: expected current or nothing, got {self.modules!r}")

    def to_env(self) -> dict[str, str]:
        """The variables that ``from_env`` would read these settings from."""
        return {f"RETRAIN_{f.name.upper()}": str(getattr(self, f.name)) for f in fields(self)}

    @property
    def principals(self) -> frozenset[str]:
        """Accounts whose writes never trigger a run."""
        return frozenset(p.strip() for p in self.own_principals.split(",") if p.strip())
