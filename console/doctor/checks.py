"""Every check with what it reads: what cannot be read is said, and stops no other check."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from console.doctor import access, configured, messages, serving, storage, tables, watching
from console.doctor.finding import Finding, Report, Skipped
from console.doctor.wanted import Wanted
from gcp.google_rest import GoogleRest
from gcp.installation import Installation
from gcp.installed import Binding, Function, Sink, Subscription
from retraining.errors import RetrainingError
from retraining.ports import Clock, Store
from retraining.state import read_rollout

ONE_MACHINE = "asks a service of Google's that one machine does not have"
_AT_ONCE = 8  # checks; each waits for answers most of its time
Seen = Iterable[Finding | Skipped]


@dataclass(frozen=True)
class Visit:
    """Everything that a look at an installation needs. ``google`` None: one machine."""

    wanted: Wanted
    here: Installation
    google: GoogleRest | None
    store: Store
    now: Clock
    region: str | None = None  # what the values file of the environment says
    probe: bool = False

    # Read once for several checks -----------------------------------------------------------

    @cached_property
    def subscriptions(self) -> dict[str, Subscription]:
        """By name."""
        return self.here.subscriptions()

    @cached_property
    def functions(self) -> dict[str, Function]:
        """Deployed functions by name; none without Google."""
        return self.google.functions() if self.google else {}

    @cached_property
    def sinks(self) -> dict[str, Sink]:
        """Log sinks by name."""
        return self.far.sinks()

    @property
    def far(self) -> GoogleRest:
        """Google's other services. Raises Away without."""
        if self.google is None:
            raise Away(ONE_MACHINE)
        return self.google


class Away(RetrainingError):
    """There is no such service here; the text says why."""


def look(visit: Visit) -> Report:
    """Do every check. What raises is skipped, with the reason."""
    looked: list[str] = []
    findings: list[Finding] = []
    skipped: list[Skipped] = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        done = list(pool.map(lambda name: _done(visit, name), CHECKS))
    for name, seen in zip(CHECKS, done, strict=True):
        skipped += [one for one in seen if isinstance(one, Skipped)]
        findings += [one for one in seen if isinstance(one, Finding)]
        if not seen or any(isinstance(one, Finding) for one in seen):
            looked.append(name)
    findings.sort(key=lambda one: one.severity)  # errors first; otherwise in the order of the checks
    return Report(tuple(looked), tuple(findings), tuple(skipped))


def _done(visit: Visit, name: str) -> list[Finding | Skipped]:
    try:
        return list(CHECKS[name](visit))
    except RetrainingError as error:
        return [Skipped(name, str(error))]


def _settings(visit: Visit) -> Seen:
    return configured.settings(visit.wanted, visit.region)


def _clock(visit: Visit) -> Seen:
    return watching.clock(datetime.now(UTC), visit.far.server_time())


def _topics(visit: Visit) -> Seen:
    return messages.topics(visit.wanted, visit.here.topics())


def _subscriptions(visit: Visit) -> Seen:
    try:
        deployed = visit.functions
    except RetrainingError:
        deployed = {}  # the check of the functions says why
    return messages.subscriptions(visit.wanted, visit.subscriptions, deployed)


def _dead_letters(visit: Visit) -> Seen:
    name = visit.wanted.resources.delivery.dead_letter_subscription
    backlog = visit.here.backlog(name) if name in visit.subscriptions else 0
    return messages.dead_letters(visit.wanted, visit.subscriptions, backlog)


def _buckets(visit: Visit) -> Seen:
    return storage.buckets(visit.wanted, {name: visit.here.bucket(name) for name in visit.wanted.buckets})


def _probe(visit: Visit) -> Seen:
    if not visit.probe:
        raise Away("writes an object into each bucket of records: ask for it with --probe")
    settings = visit.wanted.settings
    names = (settings.state_bucket, settings.artifact_bucket)
    return storage.probes(visit.wanted, {name: visit.here.probe(name) for name in names})


def _dataset(visit: Visit) -> Seen:
    names = {visit.wanted.settings.dataset}
    names |= {spec.source.table.partition(".")[0] for spec in visit.wanted.models.values()}
    return tables.dataset(visit.wanted, {name: visit.here.dataset(name) for name in sorted(names)})


def _tables(visit: Visit) -> Seen:
    dataset = visit.wanted.settings.dataset
    return tables.tables(
        visit.wanted, {name: visit.here.table(f"{dataset}.{name}") for name in visit.wanted.tables}
    )


def _sources(visit: Visit) -> Seen:
    for spec in visit.wanted.models.values():
        try:
            yield from tables.source(visit.wanted, spec, visit.here.table(spec.source.table))
        except RetrainingError as error:
            yield Skipped(f"sources of {spec.name}", str(error))


def _labels(visit: Visit) -> Seen:
    now = visit.now()
    for spec in visit.wanted.models.values():
        try:
            if visit.here.table(spec.source.table) is None:
                continue  # the check of the sources says so
            seen = visit.here.labels(spec, now - spec.training.window, now)
        except RetrainingError as error:
            yield Skipped(f"labels of {spec.name}", str(error))
        else:
            yield from tables.labels(visit.wanted, spec, seen, now)


def _endpoints(visit: Visit) -> Seen:
    records = {
        spec.endpoint: read_rollout(visit.store, spec.endpoint, spec.name)[0]
        for spec in visit.wanted.models.values()
    }
    return serving.endpoints(visit.wanted, visit.here.endpoints(), records)


def _functions(visit: Visit) -> Seen:
    visit.far  # noqa: B018 - without Google there are none to look at
    return serving.functions(visit.wanted, visit.functions)


def _image(visit: Visit) -> Seen:
    google = visit.far
    parts = serving.image_parts(visit.wanted.settings.trainer_image)
    return serving.image(visit.wanted, None if parts is None else google.has_image(*parts))


def _policies(visit: Visit) -> Seen:
    google = visit.far
    must = access.expected(visit.wanted, google.project_number(), visit.sinks)
    found: dict[access.Place, Iterable[Binding]] = {}
    for place in must:
        try:
            found[place] = _policy(google, place)
        except RetrainingError as error:
            yield Skipped(f"permissions of {place.kind} {place.name}", str(error))
    yield from access.policies(visit.wanted, must, found)


def _policy(google: GoogleRest, place: access.Place) -> Iterable[Binding]:
    match place.kind:
        case "project":
            return google.project_policy()
        case "bucket":
            return google.bucket_policy(place.name)
        case "dataset":
            return google.dataset_policy(place.name)
        case "topic":
            return google.topic_policy(place.name)
        case "account":
            return google.account_policy(place.name)
        case "service":
            return google.service_policy(place.name)


CHECKS: dict[str, Callable[[Visit], Seen]] = {
    "settings": _settings,
    "clock": _clock,
    "APIs": lambda visit: access.apis(visit.wanted, visit.far.enabled_apis()),
    "caller": lambda visit: access.caller(visit.wanted, visit.far.may(sorted(access.NEEDED))),
    "topics": _topics,
    "subscriptions": _subscriptions,
    "dead letters": _dead_letters,
    "jobs": lambda visit: messages.jobs(visit.wanted, visit.here.jobs()),
    "buckets": _buckets,
    "probe": _probe,
    "dataset": _dataset,
    "tables": _tables,
    "sources": _sources,
    "labels": _labels,
    "functions": _functions,
    "endpoints": _endpoints,
    "image": _image,
    "accounts": lambda visit: access.accounts(visit.wanted, visit.far.accounts()),
    "roles": lambda visit: access.roles(visit.wanted, visit.far.custom_roles()),
    "permissions": _policies,
    "sinks": lambda visit: access.silent_sinks(visit.wanted, visit.sinks),
    "metrics": lambda visit: watching.metrics(visit.wanted, visit.far.metrics()),
    "alarms": lambda visit: watching.alarms(visit.wanted, visit.far.alarms()),
    "quotas": lambda visit: watching.quotas(visit.wanted, visit.far.quotas("aiplatform.googleapis.com")),
}
