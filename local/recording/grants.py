"""What each account is granted: terraform/permissions.yaml, which Terraform reads too."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from local.recording.permissions import Use, uncovered
from local.stack.resources import ROOT
from retraining.errors import BadConfig

FILE = ROOT / "terraform" / "permissions.yaml"

LIST = "storage.objects.list"
BUCKETS = ("state", "artifacts")

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,40}$")]
Place = Annotated[
    str, Field(pattern=r"^(project|state|artifacts|dataset|sources|topic/[a-z][a-z0-9-]*|account/[a-z][a-z0-9_]*)$")
]
Folder = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
Permission = Annotated[str, Field(pattern=r"^[a-z]+\.[A-Za-z]+\.[A-Za-z]+$")]


class Grant(BaseModel):
    """Some permissions on one thing; of a bucket, below some folders."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    where: Place
    under: tuple[Folder, ...] = ()
    may: Annotated[tuple[Permission, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.under and self.where not in BUCKETS:
            raise ValueError(f"under: expected only on {' or '.join(BUCKETS)}, got it on {self.where}")
        if LIST in self.may and len(self.may) > 1:
            raise ValueError(f"may: expected {LIST} alone, because its condition is on a prefix, got {self.may}")
        if self.where in BUCKETS and not self.under and self.may != (LIST,):
            raise ValueError(f"under: expected folders, since only {LIST} may be granted on a whole bucket")
        return self


Grants = Mapping[str, Mapping[str, Grant]]  # account → name of the grant → grant

_FORM: TypeAdapter[dict[str, dict[str, Grant]]] = TypeAdapter(dict[Name, dict[Name, Grant]])


def load_grants(path: Path = FILE) -> Grants:
    """Read the file. Raises BadConfig naming field and mistake."""
    raw: Any = yaml.safe_load(path.read_text())
    try:
        return _FORM.validate_python(raw)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise BadConfig(f"{path.name}: " + "; ".join(problems)) from error


def granted(grants: Grants) -> dict[Use, str]:
    """Every permission that is granted, by account, thing and folder, with the name of its grant."""
    return {
        Use(account, permission, grant.where, folder): name
        for account, own in grants.items()
        for name, grant in own.items()
        for permission in grant.may
        for folder in grant.under or ("",)
    }


def lacking(used: Iterable[Use], grants: Iterable[Use]) -> list[Use]:
    """What is used and not granted."""
    return sorted(uncovered(used, set(grants)))


def idle(grants: Iterable[Use], used: Iterable[Use]) -> list[Use]:
    """What is granted and not used: a grant below a folder by calls there, one on a whole bucket by calls that need
    the whole of it."""
    return sorted(set(grants) - set(used))
