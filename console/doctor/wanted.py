"""What an installation must have, from the files that Terraform and the local stack create it from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from console.deploy import values
from console.doctor import permissions
from local.stack.resources import FILE, Job, Resources, load_resources
from retraining import names
from retraining.modelspec import ModelSpec
from retraining.settings import Settings

TERRAFORM = FILE.parent
APIS = (
    "aiplatform",
    "artifactregistry",
    "bigquery",
    "cloudbuild",
    "cloudfunctions",
    "cloudresourcemanager",
    "cloudscheduler",
    "iam",
    "logging",
    "monitoring",
    "pubsub",
    "run",
    "storage",
)


@dataclass(frozen=True)
class Wanted:
    """One installation as it must be. ``functions`` is the address of the local functions, empty in the cloud."""

    settings: Settings
    models: Mapping[str, ModelSpec]
    resources: Resources
    grants: tuple[permissions.Grant, ...]
    tables: Mapping[str, Mapping[str, Any]]  # table of the system's own dataset → its file in terraform/tables
    environment: str  # the name of the values file, or a word to be replaced
    operators: tuple[str, ...] | None  # None: not known
    functions: str = ""

    @property
    def cloud(self) -> bool:
        """Whether this is Google's cloud and not one machine."""
        return not self.settings.vertex_api

    @property
    def again(self) -> str:
        """The command that creates what is missing and corrects what differs."""
        if self.cloud:
            return f"retrain deploy {self.environment}"
        own = "" if self.settings.models == "models" else f" --models {self.settings.models}"
        return f"retrain local down && retrain local up{own}"

    @property
    def env(self) -> str:
        """The command that gives this shell the settings of the installation."""
        return f'eval "$(retrain deploy env {self.environment})"' if self.cloud else 'eval "$(retrain local env)"'

    @property
    def at(self) -> str:
        """The words that lead gcloud to project and region."""
        return f"--project={self.settings.project} --location={self.settings.region}"

    @property
    def jobs(self) -> Mapping[str, Job]:
        """Every Scheduler job by name."""
        return self.resources.all_jobs(self.models)

    @property
    def buckets(self) -> tuple[str, ...]:
        """Names of the buckets; the archives' only in the cloud."""
        own = (self.settings.state_bucket, self.settings.artifact_bucket)
        return (*own, f"{self.settings.project}-retrain-source") if self.cloud else own

    @property
    def accounts(self) -> Mapping[str, str]:
        """Service accounts: the name in resources.yaml → the address."""
        kept = [*self.resources.functions, *self.resources.accounts]
        return {name: self.email(name) for name in kept}

    def email(self, account: str) -> str:
        """The address of an account by its name in resources.yaml."""
        return f"retrain-{account.replace('_', '-')}@{self.settings.project}.iam.gserviceaccount.com"

    def members(self, account: str) -> tuple[str, ...] | None:
        """Who an account of permissions.yaml is in a policy; None for operators that are not known."""
        return self.operators if account == "operator" else (f"serviceAccount:{self.email(account)}",)

    def service(self, function: str) -> str:
        """The name of a function, and of its Cloud Run service, by its entry point."""
        return function.replace("_", "-")


def wanted(
    settings: Settings, models: Mapping[str, ModelSpec], environ: Mapping[str, str], folder: Path = TERRAFORM
) -> Wanted:
    """What the files below ``folder`` ask for under these settings. Raises BadConfig."""
    known = values.of_project(folder, settings.project)
    made = Wanted(
        settings=settings,
        models=models,
        resources=_resources(folder, local=bool(settings.vertex_api)),
        grants=permissions.load(folder / "permissions.yaml"),
        tables={},
        environment=known.name if known else "ENVIRONMENT",
        operators=known.operators if known else None,
        functions=environ.get("RETRAIN_FUNCTIONS", "") if settings.vertex_api else "",
    )
    files = {path.stem: json.loads(path.read_text()) for path in sorted((folder / "tables").glob("*.json"))}
    log = files.pop("request_log")
    return replace(made, tables={**files, **{names.log_table(spec.endpoint): log for spec in models.values()}})


def _resources(folder: Path, local: bool) -> Resources:
    """resources.yaml with the values of one machine, or as the cloud has it."""
    if local:
        return load_resources(folder / "resources.yaml")
    raw = yaml.safe_load((folder / "resources.yaml").read_text())
    return Resources.model_validate({key: value for key, value in raw.items() if key != "local"})
