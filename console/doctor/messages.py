"""Topics, subscriptions, dead letters and Scheduler jobs: does every message find its function?"""

import json
from collections.abc import Mapping

from console.doctor.finding import Finding
from console.doctor.wanted import Wanted
from gcp.installed import Function, Job, Subscription, Topic


def topics(wanted: Wanted, found: Mapping[str, Topic]) -> list[Finding]:
    """Every topic is there and, in the cloud, keeps messages long enough and in the region."""
    findings = []
    for name in wanted.resources.topics:
        topic = found.get(name)
        if topic is None:
            text = f"topic {name}: expected it to exist; what is published to it is lost"
            findings.append(Finding("topics", "error", text, wanted.again))
            continue
        seconds = wanted.resources.delivery.retention_s
        if wanted.cloud and topic.retention_s != seconds:
            text = f"topic {name}: expected messages kept {seconds} s, got {_said(topic.retention_s)}"
            mend = f"gcloud pubsub topics update {name} --project={wanted.settings.project}"
            findings.append(Finding("topics", "warning", text, f"{mend} --message-retention-duration={seconds}s"))
        if wanted.cloud and topic.regions != (wanted.settings.region,):
            text = (
                f"topic {name}: expected messages stored in {wanted.settings.region} only, "
                f"got {', '.join(topic.regions) or 'anywhere'}"
            )
            mend = f"gcloud pubsub topics update {name} --project={wanted.settings.project}"
            mend += f" --message-storage-policy-allowed-regions={wanted.settings.region}"
            findings.append(Finding("topics", "warning", text, mend))
    return findings


def subscriptions(
    wanted: Wanted, found: Mapping[str, Subscription], functions: Mapping[str, Function]
) -> list[Finding]:
    """Every subscription is there and delivers as it must. ``functions`` are the deployed ones, by name."""
    findings = []
    for name, plan in wanted.resources.subscriptions.items():
        one = found.get(name)
        if one is None:
            text = f"subscription {name}: expected it to exist; {plan.function} hears nothing of {plan.topic}"
            findings.append(Finding("subscriptions", "error", text, wanted.again))
            continue
        address = _address(wanted, plan.function, functions)
        for field, expected, got in _differences(wanted, one, plan.topic, address):
            text = f"subscription {name}: {field}: expected {_said(expected)}, got {_said(got)}"
            findings.append(Finding("subscriptions", "error", text, _mend(wanted, name, field)))
    return findings


def dead_letters(wanted: Wanted, found: Mapping[str, Subscription], backlog: int) -> list[Finding]:
    """Dead letters are kept, and there are none: ``backlog`` messages wait in their subscription."""
    delivery = wanted.resources.delivery
    name = delivery.dead_letter_subscription
    one = found.get(name)
    if one is None:
        text = f"subscription {name}: expected it to exist; dead letters are dropped without it"
        return [Finding("dead letters", "error", text, wanted.again)]
    findings = []
    if one.topic != delivery.dead_letter_topic:
        text = f"subscription {name}: topic: expected {delivery.dead_letter_topic}, got {one.topic}"
        findings.append(Finding("dead letters", "error", text, _replace(wanted, name)))
    if wanted.cloud and one.expires_s is not None:
        text = f"subscription {name}: expected it never to expire, got {one.expires_s:.0f} s without use"
        findings.append(Finding("dead letters", "error", text, _never(wanted, name)))
    if backlog:
        text = f"subscription {name}: expected nothing in it, got {backlog} messages or more that no function took"
        look = f"gcloud pubsub subscriptions pull {name} --project={wanted.settings.project} --limit=10"
        mend = f"{look} --format=json" if wanted.cloud else "retrain local logs functions"
        findings.append(Finding("dead letters", "warning", text, mend))
    return findings


def jobs(wanted: Wanted, found: Mapping[str, Job]) -> list[Finding]:
    """Every Scheduler job is there, runs at its time with its message, and none is left of a model that is gone."""
    findings = []
    for name, plan in wanted.jobs.items():
        job = found.get(name)
        if job is None:
            text = f"Scheduler job {name}: expected it to exist, at {plan.cron!r}"
            findings.append(Finding("jobs", "error", text, wanted.again))
            continue
        pairs = (
            ("cron", plan.cron, job.cron),
            ("time zone", plan.time_zone, job.time_zone),
            ("topic", plan.topic, job.topic),
            ("message", plan.body, job.body),
        )
        for field, expected, got in pairs:
            if expected != got:
                text = f"Scheduler job {name}: {field}: expected {_said(expected)}, got {_said(got)}"
                findings.append(Finding("jobs", "error", text, wanted.again))
        if job.paused:
            text = f"Scheduler job {name}: expected it to run, it is paused"
            findings.append(Finding("jobs", "error", text, _resume(wanted, name)))
    known = set(wanted.resources.model_jobs)
    for name in sorted(set(found) - set(wanted.jobs)):
        if name.partition("-")[0] in known:
            text = f"Scheduler job {name}: expected none, there is no such model"
            findings.append(Finding("jobs", "warning", text, wanted.again))
    return findings


def _differences(
    wanted: Wanted, one: Subscription, topic: str, address: str | None
) -> list[tuple[str, object, object]]:
    delivery = wanted.resources.delivery
    pairs: list[tuple[str, object, object]] = [
        ("topic", topic, one.topic),
        ("dead letters", delivery.dead_letter_topic, one.dead_letter_topic or None),
        ("attempts", delivery.max_attempts, one.max_attempts),
        ("shortest wait", float(delivery.min_backoff_s), one.min_backoff_s or None),
        ("longest wait", float(delivery.max_backoff_s), one.max_backoff_s or None),
        ("time to acknowledge", delivery.ack_deadline_s, one.ack_deadline_s),
    ]
    if address is not None:
        pairs.insert(1, ("address", address, one.endpoint or None))
    if wanted.cloud:
        pairs += [
            ("account", wanted.email("push"), one.account or None),
            ("retention", float(delivery.retention_s), one.retention_s),
            ("expiry", None, one.expires_s),
        ]
        if address is not None:
            pairs.append(("audience", address, one.audience or None))
    return [(field, expected, got) for field, expected, got in pairs if expected != got]


def _address(wanted: Wanted, function: str, functions: Mapping[str, Function]) -> str | None:
    """Where the function listens; None when that is not known (another check says why)."""
    if not wanted.cloud:
        return f"{wanted.functions}/{function}" if wanted.functions else None
    found = functions.get(wanted.service(function))
    return found.uri if found else None


def _mend(wanted: Wanted, name: str, field: str) -> str:
    if field == "topic":
        return _replace(wanted, name)
    return _never(wanted, name) if field == "expiry" else wanted.again


def _replace(wanted: Wanted, name: str) -> str:
    if not wanted.cloud:
        return "retrain local down && retrain local up --fresh"
    return f"gcloud pubsub subscriptions delete {name} --project={wanted.settings.project} && {wanted.again}"


def _never(wanted: Wanted, name: str) -> str:
    project = wanted.settings.project
    return f"gcloud pubsub subscriptions update {name} --project={project} --expiration-period=never"


def _resume(wanted: Wanted, name: str) -> str:
    if wanted.cloud:
        return f"gcloud scheduler jobs resume {name} {wanted.at}"
    path = f"projects/{wanted.settings.project}/locations/{wanted.settings.region}/jobs/{name}"
    return f'curl --fail --silent --request POST "$RETRAIN_SCHEDULER_REST/v1/{path}:resume"'


def _said(value: object) -> str:
    return "none" if value is None else json.dumps(value) if isinstance(value, dict) else str(value)
