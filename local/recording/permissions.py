"""From recorded calls to the permissions that each account uses, in the words of terraform/permissions.yaml."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace

from local.recording import bigquery, monitoring, rpcs, storage
from local.recording.calls import Call
from local.recording.needs import Need, UnknownCall
from retraining.settings import Settings

_NEEDS = {
    "storage": storage.needs,
    "bigquery": bigquery.needs,
    "vertex": rpcs.needs,
    "pubsub": rpcs.needs,
    "monitoring": monitoring.needs,
}


@dataclass(frozen=True, order=True)
class Use:
    """An account and a permission: on what (``on`` of a grant), and below which record folder, empty for none."""

    account: str
    permission: str
    on: str
    folder: str = ""

    def __str__(self) -> str:
        below = f" below {self.folder}/" if self.folder else ""
        return f"{self.account}: {self.permission} on {self.on}{below}"


def uncovered(uses: Iterable[Use], grants: Set[Use]) -> list[Use]:
    """The uses that no grant covers. One on a whole bucket covers every folder."""
    return [use for use in uses if use not in grants and replace(use, folder="") not in grants]


@dataclass(frozen=True)
class Installation:
    """What the names in the calls mean."""

    settings: Settings
    sources: frozenset[str]  # datasets of the models' tables

    def use(self, account: str, need: Need) -> Use:
        """The need in the words of a grant. Raises UnknownCall for something that is none of the system's."""
        on, folder = self._place(need)
        return Use(account, need.permission, on, folder)

    def _place(self, need: Need) -> tuple[str, str]:
        match need.kind:
            case "project":
                return "project", ""
            case "bucket" | "object":
                bucket, _, path = need.name.partition("/")
                return self._named("bucket", bucket, self._buckets), path.partition("/")[0]
            case "dataset":
                known = {self.settings.dataset: "dataset"} | dict.fromkeys(self.sources, "sources")
                return self._named("dataset", need.name, known), ""
            case "topic":
                return f"topic/{need.name.rsplit('/', 1)[-1]}", ""
            case "account":
                return self._named("account", need.name, self._accounts), ""

    @property
    def _buckets(self) -> dict[str, str]:
        return {self.settings.state_bucket: "state", self.settings.artifact_bucket: "artifacts"}

    @property
    def _accounts(self) -> dict[str, str]:
        own = self.settings
        named = {own.trainer_account: "trainer", own.evaluator_account: "evaluator", own.server_account: "server"}
        return {address: f"account/{name}" for address, name in named.items()}

    @staticmethod
    def _named(kind: str, name: str, known: Mapping[str, str]) -> str:
        if name not in known:
            raise UnknownCall(f"{kind} {name!r}: expected one of {', '.join(sorted(known))}")
        return known[name]


def needs(call: Call) -> tuple[Need, ...]:
    """The permissions that a call needs. Raises UnknownCall."""
    return _NEEDS[call.service](call)


def used(calls: Iterable[Call], installation: Installation) -> dict[Use, Call]:
    """Every permission that the calls use, each with the first call that does. Raises UnknownCall."""
    found: dict[Use, Call] = {}
    for call in calls:
        for need in needs(call):
            found.setdefault(installation.use(call.account, need), call)
    return found


@dataclass(frozen=True)
class Gate:
    """Says of a call, as IAM would, whether the account may make it."""

    installation: Installation
    grants: frozenset[Use]

    def refusal(self, call: Call) -> str:
        """What the account lacks, in words; empty when it may. A call that nobody knows is let through: whoever
        reads the record hears of it."""
        try:
            wanted = [self.installation.use(call.account, need) for need in needs(call)]
        except UnknownCall:
            return ""
        return ", ".join(str(use) for use in uncovered(wanted, self.grants))
