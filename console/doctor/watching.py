"""Metrics, alarms, quotas and the clock: would anybody hear of trouble, and is there room to run?"""

import re
from collections.abc import Mapping
from datetime import datetime

from console.doctor.finding import Finding
from console.doctor.wanted import Wanted
from gcp.installed import Alarm, Quota
from retraining.modelspec import Machine

CLOCK_SECONDS = 30.0
_SERVICE = "aiplatform.googleapis.com"


def metrics(wanted: Wanted, found: Mapping[str, str]) -> list[Finding]:
    """Every log-based metric is there and counts the lines that it is named after. ``found``: name → filter."""
    findings = []
    for name, metric in wanted.resources.metrics.items():
        text, full = found.get(f"retrain/{name}"), f"metric retrain/{name}"
        if text is None:
            findings.append(Finding("metrics", "error", f"{full}: expected it to exist", wanted.again))
            continue
        parts = [f'jsonPayload.message=~"{metric.message}"'] if metric.message else []
        parts += [f'"{wanted.service(metric.function)}"'] if metric.function else []
        parts += [f"severity>={metric.severity}"] if metric.severity else []
        if missing := [part for part in parts if part not in text]:
            what = f"{full}: filter: expected {' and '.join(missing)} in it, got {' '.join(text.split())}"
            findings.append(Finding("metrics", "error", what, wanted.again))
    return findings


def alarms(wanted: Wanted, found: Mapping[str, Alarm]) -> list[Finding]:
    """Every alarm is there and on, looks at its metric, and calls somebody."""
    findings = []
    for name, plan in wanted.resources.alarms.items():
        title = f"retrain: {name}"
        one = found.get(title)
        if one is None:
            text = f"alarm {title!r}: expected it to exist"
            findings.append(Finding("alarms", "error", text, wanted.again))
            continue
        if not one.enabled:
            findings.append(Finding("alarms", "error", f"alarm {title!r}: expected it on, it is off", wanted.again))
        metric = plan.google or f"logging.googleapis.com/user/retrain/{plan.metric}"
        if not any(f'"{metric}"' in part for part in one.filters):
            text = f"alarm {title!r}: expected it to look at {metric}, got {' '.join(one.filters) or 'nothing'}"
            findings.append(Finding("alarms", "error", text, wanted.again))
        if not one.channels:
            text = f"alarm {title!r}: expected somebody to be called, got nobody: set alert_emails"
            mend = f"$EDITOR terraform/environments/{wanted.environment}.tfvars && {wanted.again}"
            findings.append(Finding("alarms", "warning", text, mend))
    return findings


def clock(here: datetime, there: datetime) -> list[Finding]:
    """This machine's clock agrees with Google's: tokens and records carry its times."""
    apart = abs((here - there).total_seconds())
    if apart <= CLOCK_SECONDS:
        return []
    text = f"clock: expected at most {CLOCK_SECONDS:.0f} s from Google's, got {apart:.0f} s"
    return [Finding("clock", "error", text, "sudo timedatectl set-ntp true")]


def quotas(wanted: Wanted, found: Mapping[str, Quota]) -> list[Finding]:
    """The region has room for each model's largest job or rollout (else an error) and for all at once (a warning).

    Limits that Google does not name are not judged.
    """
    findings = []
    for metric, needs in needed(wanted).items():
        quota = found.get(metric)
        if quota is None or quota.limit < 0:
            continue
        largest, total = max(needs.values()), sum(needs.values())
        if quota.limit >= total:
            continue
        few = quota.limit < largest
        who = max(needs, key=lambda model: needs[model]) if few else "all models at once"
        text = f"quota {metric}: expected {largest if few else total} in {wanted.settings.region} for {who}"
        text += f", got {quota.limit}"
        mend = (
            f"gcloud beta quotas preferences create --service={_SERVICE} --project={wanted.settings.project} "
            f"--quota-id={quota.quota_id} --preferred-value={total} --dimensions=region={wanted.settings.region}"
        )
        findings.append(Finding("quotas", "error" if few else "warning", text, mend))
    return findings


def needed(wanted: Wanted) -> dict[str, dict[str, int]]:
    """Metric → model → what its largest job, or a rollout with both models deployed, takes."""
    found: dict[str, dict[str, int]] = {}
    for name, spec in wanted.models.items():
        jobs = [(spec.machines.training, 1), (spec.machines.evaluation, 1)]
        if spec.tuning:
            jobs.append((spec.machines.tuning, spec.tuning.parallel))
        uses = [("training", machine, times) for machine, times in jobs]
        uses.append(("serving", spec.machines.serving, 2))
        for use, machine, times in uses:
            for metric, amount in _amounts(use, machine).items():
                models = found.setdefault(metric, {})
                models[name] = max(models.get(name, 0), amount * times * machine.replicas)
    return found


def _amounts(use: str, machine: Machine) -> dict[str, int]:
    """Quota metric → how much one replica takes of it."""
    family, cores = machine.type.partition("-")[0], re.search(r"-(\d+)$", machine.type)
    amounts = {}
    if cores:
        part = "" if family in ("n1", "e2") else f"{family}_"
        amounts[f"{_SERVICE}/custom_model_{use}_{part}cpus"] = int(cores[1])
    if machine.accelerator and machine.accelerator_count:
        kind = machine.accelerator.lower().replace("_tesla_", "_")
        amounts[f"{_SERVICE}/custom_model_{use}_{kind}_gpus"] = machine.accelerator_count
    return amounts
