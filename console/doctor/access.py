"""Who may do what: real policies and roles against ``terraform/permissions.yaml``, both ways."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from console.doctor import permissions
from console.doctor.finding import Finding
from console.doctor.wanted import APIS, Wanted
from gcp.installed import Binding, Sink

Kind = Literal["project", "bucket", "dataset", "topic", "account", "service"]
EVERYBODY = frozenset({"allUsers", "allAuthenticatedUsers"})
_AGENTS = {  # Google's own accounts that act for a project, by who publishes in resources.yaml
    "scheduler": "gcp-sa-cloudscheduler",
    "transfers": "gcp-sa-bigquerydatatransfer",
    "incidents": "gcp-sa-monitoring-notification",
    "pubsub": "gcp-sa-pubsub",
}
NEEDED = {  # what a person needs to see everything here
    "aiplatform.endpoints.list": "endpoints",
    "artifactregistry.dockerimages.get": "the image",
    "bigquery.datasets.get": "tables",
    "bigquery.jobs.create": "labels",
    "cloudfunctions.functions.list": "functions",
    "cloudscheduler.jobs.list": "Scheduler jobs",
    "iam.roles.list": "roles",
    "iam.serviceAccounts.getIamPolicy": "grants on accounts",
    "logging.logMetrics.list": "metrics",
    "monitoring.alertPolicies.list": "alarms",
    "pubsub.subscriptions.list": "subscriptions",
    "pubsub.topics.getIamPolicy": "publishers",
    "resourcemanager.projects.getIamPolicy": "grants in the project",
    "run.services.getIamPolicy": "who may call the functions",
    "serviceusage.quotas.get": "quotas",
    "storage.buckets.get": "buckets",
    "storage.buckets.getIamPolicy": "grants on buckets",
}


@dataclass(frozen=True, order=True)
class Place:
    """Something that has a policy of its own."""

    kind: Kind
    name: str


def apis(wanted: Wanted, enabled: frozenset[str]) -> list[Finding]:
    """Every service that the installation uses is switched on."""
    return [
        Finding(
            "APIs",
            "error",
            f"{name}.googleapis.com: expected it enabled",
            f"gcloud services enable {name}.googleapis.com --project={wanted.settings.project}",
        )
        for name in APIS
        if f"{name}.googleapis.com" not in enabled
    ]


def accounts(wanted: Wanted, found: Mapping[str, bool]) -> list[Finding]:
    """Every service account is there and switched on."""
    findings = []
    for email in wanted.accounts.values():
        if email not in found:
            text = f"account {email}: expected it to exist"
            findings.append(Finding("accounts", "error", text, wanted.again))
        elif not found[email]:
            mend = f"gcloud iam service-accounts enable {email} --project={wanted.settings.project}"
            findings.append(Finding("accounts", "error", f"account {email}: expected it enabled", mend))
    return findings


def roles(wanted: Wanted, found: Mapping[str, frozenset[str]]) -> list[Finding]:
    """Each grant's role permits what the file says, no less and no more; none is left of a grant that is gone."""
    findings = []
    project = wanted.settings.project
    for grant in wanted.grants:
        name = _role(wanted, grant)
        who = f"{grant.account}: role {grant.role}"
        if name not in found:
            findings.append(Finding("roles", "error", f"{who}: expected it to exist", wanted.again))
            continue
        update = f"gcloud iam roles update {grant.role} --project={project}"
        if missing := sorted(grant.may - found[name]):
            text = f"{who}: missing {', '.join(missing)}"
            findings.append(Finding("roles", "error", text, f"{update} --add-permissions={','.join(missing)}"))
        if surplus := sorted(found[name] - grant.may):
            text = f"{who}: surplus {', '.join(surplus)}"
            findings.append(Finding("roles", "error", text, f"{update} --remove-permissions={','.join(surplus)}"))
    known = {_role(wanted, grant) for grant in wanted.grants}
    for name in sorted(set(found) - known):
        short = name.rpartition("/")[2]
        if short.startswith("retrain_"):
            mend = f"gcloud iam roles delete {short} --project={project}"
            findings.append(
                Finding("roles", "warning", f"role {short}: expected none, no grant has this name", mend)
            )
    return findings


def expected(wanted: Wanted, number: str, sinks: Mapping[str, Sink]) -> dict[Place, frozenset[Binding]]:
    """Who must have which role where. ``number`` is the project's, ``sinks`` those that the project has."""
    project = wanted.settings.project
    made: dict[Place, set[Binding]] = {Place("project", project): set()}
    made |= {Place("bucket", name): set() for name in wanted.buckets}
    made |= {Place("dataset", name): set() for name in (wanted.settings.dataset, *_sources(wanted))}
    made |= {Place("topic", name): set() for name in wanted.resources.topics}
    made |= {Place("account", name): set() for name in wanted.accounts.values()}
    made |= {Place("service", wanted.service(name)): set() for name in wanted.resources.functions}
    for grant in wanted.grants:
        for place in _places(wanted, grant):
            bound = permissions.condition(grant, place.name)
            made[place] |= {
                Binding(_role(wanted, grant), who, bound) for who in wanted.members(grant.account) or ()
            }
    for topic, settings in wanted.resources.topics.items():
        made[Place("topic", topic)] |= {
            Binding("roles/pubsub.publisher", _agent(number, kind))
            for kind in settings.publishers
            if kind in _AGENTS
        }
        made[Place("topic", topic)] |= {
            Binding("roles/pubsub.publisher", sink.writer)
            for name, sink in sinks.items()
            if name.startswith("retrain-") and sink.destination.endswith(f"/topics/{topic}")
        }
    push, build = wanted.email("push"), f"serviceAccount:{wanted.email('build')}"
    signer = Binding("roles/iam.serviceAccountOpenIdTokenCreator", _agent(number, "pubsub"))
    made[Place("account", push)].add(signer)
    for name in wanted.resources.functions:
        made[Place("service", wanted.service(name))] = {Binding("roles/run.invoker", f"serviceAccount:{push}")}
    made[Place("project", project)].add(Binding("roles/logging.logWriter", build))
    made[Place("bucket", f"{project}-retrain-source")].add(Binding("roles/storage.objectViewer", build))
    return {place: frozenset(bindings) for place, bindings in made.items()}


def policies(
    wanted: Wanted, must: Mapping[Place, frozenset[Binding]], found: Mapping[Place, Iterable[Binding]]
) -> list[Finding]:
    """Each place gives what it must, and nothing more to accounts of ours, to everybody, or to call functions."""
    findings = []
    for place, bindings in sorted(found.items()):
        check = "invokers" if place.kind == "service" else "permissions"
        is_there = {_plain(one) for one in bindings}
        needed = {_plain(one) for one in must[place]}
        for one in sorted(needed - is_there, key=str):
            text = f"{place.kind} {place.name}: {_who(one)}: missing {_short(one.role)}{_when(one)}"
            findings.append(Finding(check, "error", text, wanted.again))
        for one in sorted(is_there - needed, key=str):
            if _odd(wanted, place, one):
                text = f"{place.kind} {place.name}: {_who(one)}: surplus {_short(one.role)}{_when(one)}"
                findings.append(Finding(check, "error", text, _remove(wanted, place, one)))
    return findings


def silent_sinks(wanted: Wanted, sinks: Mapping[str, Sink]) -> list[Finding]:
    """A log sink leads to each topic that has one as its publisher, and none is left of a topic that has not."""
    return [
        Finding(
            "sinks",
            "error",
            f"topic {topic}: expected a log sink retrain-… that writes to it, got none",
            wanted.again,
        )
        for topic, settings in wanted.resources.topics.items()
        if "sink" in settings.publishers
        and not any(
            name.startswith("retrain-") and one.destination.endswith(f"/topics/{topic}")
            for name, one in sinks.items()
        )
    ]


def caller(wanted: Wanted, may: frozenset[str]) -> list[Finding]:
    """Whoever runs this can see everything that is looked at."""
    missing = sorted(set(NEEDED) - may)
    if not missing:
        return []
    text = f"you: missing {', '.join(missing)}: {', '.join(NEEDED[one] for one in missing)} cannot be looked at"
    member = '--member="user:$(gcloud config get-value account)"'
    add = f"gcloud projects add-iam-policy-binding {wanted.settings.project} {member} --condition=None"
    return [
        Finding("caller", "warning", text, f"{add} --role=roles/viewer && {add} --role=roles/iam.securityReviewer")
    ]


def _places(wanted: Wanted, grant: permissions.Grant) -> list[Place]:
    match grant.kind:
        case "project":
            return [Place("project", wanted.settings.project)]
        case "state":
            return [Place("bucket", wanted.settings.state_bucket)]
        case "artifacts":
            return [Place("bucket", wanted.settings.artifact_bucket)]
        case "dataset":
            return [Place("dataset", wanted.settings.dataset)]
        case "sources":
            return [Place("dataset", name) for name in _sources(wanted)]
        case "topic":
            return [Place("topic", grant.target)]
        case "account":
            return [Place("account", wanted.email(grant.target))]


def _sources(wanted: Wanted) -> list[str]:
    return sorted({spec.source.table.partition(".")[0] for spec in wanted.models.values()})


def _role(wanted: Wanted, grant: permissions.Grant) -> str:
    return f"projects/{wanted.settings.project}/roles/{grant.role}"


def _agent(number: str, kind: str) -> str:
    return f"serviceAccount:service-{number}@{_AGENTS[kind]}.iam.gserviceaccount.com"


def _odd(wanted: Wanted, place: Place, one: Binding) -> bool:
    if one.member in EVERYBODY or (place.kind == "service" and one.role == "roles/run.invoker"):
        return True
    if one.member.removeprefix("deleted:").partition("?")[0].removeprefix("serviceAccount:") in set(
        wanted.accounts.values()
    ):
        return True
    # What a custom role of ours gives, it gives to whom the file names. Operators may not be known here.
    match = re.fullmatch(rf"projects/{re.escape(wanted.settings.project)}/roles/retrain_(.+)", one.role)
    return bool(match) and not (wanted.operators is None and match is not None and match[1].startswith("operator_"))


def _plain(one: Binding) -> Binding:
    return Binding(one.role, one.member, " ".join(one.condition.split()))


def _who(one: Binding) -> str:
    return one.member.removeprefix("serviceAccount:")


def _short(role: str) -> str:
    return role.rpartition("/")[2] if role.startswith("projects/") else role


def _when(one: Binding) -> str:
    return f" where {one.condition}" if one.condition else ""


def _remove(wanted: Wanted, place: Place, one: Binding) -> str:
    project, region = wanted.settings.project, wanted.settings.region
    words = f"remove-iam-policy-binding {{}} --member='{one.member}' --role={one.role}"
    match place.kind:
        case "project":
            return f"gcloud projects {words.format(project)} --all"
        case "bucket":
            return f"gcloud storage buckets {words.format('gs://' + place.name)} --all"
        case "topic":
            return f"gcloud pubsub topics {words.format(place.name)} --project={project}"
        case "account":
            return f"gcloud iam service-accounts {words.format(place.name)} --project={project}"
        case "service":
            return f"gcloud run services {words.format(place.name)} --project={project} --region={region}"
        case "dataset":
            revoke = f'REVOKE `{one.role}` ON SCHEMA `{project}.{place.name}` FROM "{one.member}"'
            return f"bq --project_id={project} query --use_legacy_sql=false '{revoke}'"
