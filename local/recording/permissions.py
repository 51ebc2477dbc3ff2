"""From recorded calls to the permissions that each account uses, in the words of terraform/permissions.yaml."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from local.recording import bigquery, rpcs, storage
from local.recording.calls import Call
from local.recording.needs import Need, UnknownCall
from retraining.settings import Settings

_NEEDS = {"storage": storage.needs, "bigquery": bigquery.needs, "vertex": rpcs.needs, "pubsub": rpcs.needs}


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
