"""Terraform for one environment: the same folder, backend and values in every call."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from console.deploy.programs import Failed, Programs
from console.deploy.values import Values

OLDEST = (1, 9)
NO_IMAGE = "0" * 64
_LOCK = "-lock-timeout=5m"


@dataclass(frozen=True)
class Change:
    """What a plan does to one resource: create, update, delete or replace."""

    address: str
    action: str


@dataclass(frozen=True)
class Terraform:
    """Commands of Terraform in the folder ``terraform`` of the checkout."""

    programs: Programs
    values: Values

    def check(self) -> None:
        """Raises Failed when there is no Terraform, or one that is too old."""
        if not self.programs.has("terraform"):
            raise Failed("terraform: expected 1.9 or newer on PATH; see docs/deploy.md")
        version = str(json.loads(self.programs.read("terraform", "version", "-json"))["terraform_version"])
        if tuple(int(part) for part in version.split("-")[0].split(".")[:2]) < OLDEST:
            raise Failed(f"terraform: expected 1.9 or newer, got {version}")

    def init(self) -> None:
        """Use this environment's state, whatever was used before."""
        backend = f"-backend-config=environments/{self.values.backend_file.name}"
        self._change("init", "-input=false", "-reconfigure", backend)

    def state(self) -> list[str]:
        """Addresses of everything in the state."""
        return self._read("state", "list").split()

    def plan(self, image: str, *more: str) -> list[Change]:
        """Make a plan, kept for ``apply``; what it would change."""
        self._change("plan", "-input=false", _LOCK, f"-out={self._file}", *self._values(image), *more)
        return changes(json.loads(self._read("show", "-json", self._file)))

    def apply(self) -> None:
        """Do what was planned."""
        self._change("apply", "-input=false", _LOCK, self._file)

    def forget(self, *addresses: str) -> None:
        """Take resources out of the state; they stay as they are."""
        self._change("state", "rm", _LOCK, *addresses)

    def settings(self) -> dict[str, str]:
        """The settings that the installation has. Raises Failed before the first apply."""
        found: dict[str, str] = json.loads(self._read("output", "-json", "settings"))
        return found

    @property
    def _file(self) -> str:
        return f"../build/{self.values.name}.tfplan"

    def _values(self, image: str) -> list[str]:
        return [f"-var-file=environments/{self.values.file.name}", f"-var=trainer_image={image}"]

    def _read(self, *words: str) -> str:
        return self.programs.read("terraform", "-chdir=terraform", *words)

    def _change(self, *words: str) -> str:
        return self.programs.change("terraform", "-chdir=terraform", *words)


def changes(plan: Mapping[str, Any]) -> list[Change]:
    """What a plan, as ``terraform show -json`` prints it, would change, in its order."""
    found = []
    for one in plan.get("resource_changes", []):
        actions = one["change"]["actions"]
        if one["mode"] == "managed" and actions not in (["no-op"], ["read"]):
            found.append(Change(one["address"], "replace" if len(actions) == 2 else actions[0]))
    return found


def summary(found: list[Change]) -> list[str]:
    """The plan for people: how many of which kind; what is deleted or replaced one by one."""
    if not found:
        return ["Nothing to change."]
    counts = Counter((one.action, one.address.split(".")[0]) for one in found)
    lines = [f"  {action:8} {count:4}  {kind}" for (action, kind), count in sorted(counts.items())]
    lines += [f"  {one.action}: {one.address}" for one in found if one.action in ("delete", "replace")]
    return [f"{len(found)} changes:", *lines]
