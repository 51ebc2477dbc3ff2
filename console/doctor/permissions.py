"""``terraform/permissions.yaml`` as grants: who may do what, where. The one place that reads the file's form."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import yaml

from retraining.errors import BadConfig

Kind = Literal["project", "state", "artifacts", "dataset", "sources", "topic", "account"]
KINDS = frozenset({"project", "state", "artifacts", "dataset", "sources", "topic", "account"})


@dataclass(frozen=True)
class Grant:
    """What ``account`` may do on one kind of thing; ``target`` names the topic or account, else it is empty."""

    account: str
    name: str
    kind: Kind
    target: str
    under: tuple[str, ...]
    may: frozenset[str]

    @property
    def role(self) -> str:
        """The id of the custom role that Terraform makes of it."""
        return f"retrain_{self.account}_{self.name}"


def load(path: Path) -> tuple[Grant, ...]:
    """Every grant of the file. Raises BadConfig naming the grant."""
    raw = yaml.safe_load(path.read_text())
    return tuple(
        _grant(account, name, grant) for account, grants in raw.items() for name, grant in (grants or {}).items()
    )


def condition(grant: Grant, bucket: str) -> str:
    """Under which condition the grant holds on ``bucket``, in the words that Terraform uses; empty: always."""
    if not grant.under or grant.kind not in ("state", "artifacts"):
        return ""
    if "storage.objects.list" in grant.may:
        asked = 'api.getAttribute("storage.googleapis.com/objectListPrefix", "")'
        return " || ".join(f'{asked}.startsWith("{folder}/")' for folder in grant.under)
    objects = f"projects/_/buckets/{bucket}/objects"
    return " || ".join(f'resource.name.startsWith("{objects}/{folder}/")' for folder in grant.under)


def _grant(account: str, name: str, grant: Mapping[Any, Any]) -> Grant:
    # YAML 1.1 reads the key "on" as true.
    where = next((grant[key] for key in ("where", "on", True) if key in grant), None)
    kind, _, target = str(where).partition("/")
    if kind not in KINDS:
        raise BadConfig(f"permissions.yaml: {account}.{name}: expected one of {sorted(KINDS)}, got {where!r}")
    return Grant(
        account, name, cast(Kind, kind), target, tuple(grant.get("under", ())), frozenset(grant.get("may", ()))
    )
