"""What every installation has, read from the file that Terraform reads too."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from retraining.errors import BadConfig
from retraining.modelspec import Cron, ModelSpec

ROOT = Path(__file__).parents[2]
FILE = ROOT / "terraform" / "resources.yaml"

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{2,62}$")]
FunctionName = Annotated[str, Field(pattern=r"^on_[a-z]+$")]
Seconds = Annotated[int, Field(ge=1, le=604_800)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Topic(_Part):
    """What is published there, and by whom besides our own accounts."""

    about: str
    publishers: tuple[Literal["scheduler", "sink", "transfers", "incidents", "people", "pubsub"], ...]


class Function(_Part):
    """How much a function gets."""

    about: str
    memory_mib: Annotated[int, Field(ge=128, le=32_768)]
    timeout_s: Annotated[int, Field(ge=1, le=540)]
    max_instances: Annotated[int, Field(ge=1, le=1000)]
    concurrency: Annotated[int, Field(ge=1, le=1000)]


class Metric(_Part):
    """Log lines, counted, or the value of one of their fields."""

    about: str
    function: FunctionName | None = None
    message: str = ""
    severity: Literal["ERROR"] | None = None
    value: str | None = None


class Alarm(_Part):
    """When people are called, and what they are told."""

    metric: Name | None = None
    google: str | None = None
    subscription: Name | None = None
    above: float | None = None
    absent_s: Seconds | None = None
    say: str


class Account(_Part):
    """A service account besides those of the functions."""

    about: str


class Subscription(_Part):
    """A topic's messages go to a function."""

    topic: Name
    function: FunctionName


class Delivery(_Part):
    """How often and how long a message is tried, and where it goes then."""

    ack_deadline_s: Annotated[int, Field(ge=10, le=600)]
    min_backoff_s: Annotated[int, Field(ge=0, le=600)]
    max_backoff_s: Annotated[int, Field(ge=0, le=600)]
    max_attempts: Annotated[int, Field(ge=5, le=100)]
    retention_s: Seconds
    dead_letter_topic: Name
    dead_letter_subscription: Name


class Job(_Part):
    """A message that Scheduler publishes again and again."""

    cron: Cron
    topic: Name
    body: dict[str, str]
    time_zone: str = "Etc/UTC"


class ModelJob(_Part):
    """A job of each model, which adds the model's name to the body. Without a cron the model file says when."""

    cron: Cron | None = None
    topic: Name
    body: dict[str, str]


class Resources(_Part):
    """Topics, subscriptions, functions, accounts, Scheduler jobs, metrics and alarms."""

    topics: dict[Name, Topic]
    subscriptions: dict[Name, Subscription]
    functions: dict[FunctionName, Function]
    accounts: dict[Name, Account]
    delivery: Delivery
    jobs: dict[Name, Job]
    model_jobs: dict[Name, ModelJob]
    metrics: dict[Name, Metric]
    alarms: dict[Name, Alarm]

    def all_jobs(self, models: Mapping[str, ModelSpec]) -> dict[str, Job]:
        """Every Scheduler job by its name, with those of each model."""
        jobs = dict(self.jobs)
        for name, job in self.model_jobs.items():
            for model in models.values():
                if (own := _job_of(model, job)) is not None:
                    jobs[f"{name}-{model.name}"] = own
        return jobs

    def with_crons(self, crons: Mapping[str, str]) -> "Resources":
        """The same with other times for the named jobs. Raises BadConfig for a name or cron that is none."""
        raw = self.model_dump()
        for name, cron in crons.items():
            kind = next((kind for kind in ("jobs", "model_jobs") if name in raw[kind]), None)
            if kind is None:
                raise BadConfig(f"cron of {name!r}: expected one of {sorted({**self.jobs, **self.model_jobs})}")
            raw[kind][name]["cron"] = cron
        return _validated(raw)


def _job_of(model: ModelSpec, job: ModelJob) -> Job | None:
    body = {**job.body, "model": model.name}
    plan = model.triggers.schedule
    if "schedule" not in job.body:
        return Job(cron=job.cron, topic=job.topic, body=body) if job.cron else None
    if plan is None:
        return None
    cron, zone = (job.cron, "Etc/UTC") if job.cron else (plan.cron, plan.time_zone)
    return Job(cron=cron, topic=job.topic, body={**body, "action": plan.action}, time_zone=zone)


def load_resources(path: Path = FILE) -> Resources:
    """Read the file, with its ``local`` values in force. Raises BadConfig naming field and mistake."""
    raw = yaml.safe_load(path.read_text())
    for part, values in raw.pop("local", {}).items():
        raw[part] = {**raw[part], **values}
    return _validated(raw)


def _validated(raw: Mapping[str, Any]) -> Resources:
    try:
        resources = Resources.model_validate(raw)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise BadConfig(f"{FILE.name}: " + "; ".join(problems)) from error
    used = [resources.delivery.dead_letter_topic]
    for group in (resources.subscriptions, resources.jobs, resources.model_jobs):
        used += [one.topic for one in group.values()]
    if missing := sorted(set(used) - set(resources.topics)):
        raise BadConfig(f"{FILE.name}: topics: expected {missing[0]!r}, which is used, among them")
    if missing := sorted({one.metric for one in resources.alarms.values() if one.metric} - set(resources.metrics)):
        raise BadConfig(f"{FILE.name}: metrics: expected {missing[0]!r}, which an alarm names, among them")
    called = {one.function for one in resources.subscriptions.values()}
    if odd := sorted(called ^ set(resources.functions)):
        raise BadConfig(
            f"{FILE.name}: functions: expected those of the subscriptions; {odd[0]!r} is only in one of both"
        )
    return resources
