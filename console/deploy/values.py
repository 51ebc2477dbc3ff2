"""What ``terraform/environments/NAME.tfvars`` says, and whether somebody has put their own values in.

Only what these files hold is understood: one ``key = value`` each, where the value is a text, number, boolean, null
or a list of texts. Terraform reads the files itself; this is for messages before it starts.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retraining.errors import BadConfig

_ENTRY = re.compile(r"^(?P<key>[a-z_]+)[ \t]*=[ \t]*(?P<value>\[[^\]]*\]|\"[^\"\n]*\"|[^\s#\[{]+)", re.MULTILINE)
_EXAMPLE = re.compile(r"\bexample-models|@example\.com\b|sha256:0{64}$")


@dataclass(frozen=True)
class Values:
    """One environment: its Terraform variables and where its state lies."""

    name: str
    file: Path
    backend_file: Path
    variables: Mapping[str, Any]
    backend: Mapping[str, Any]

    @property
    def project(self) -> str:
        """The project id."""
        return str(self.variables["project"])

    @property
    def region(self) -> str:
        """The region."""
        return str(self.variables.get("region", "europe-west1"))

    @property
    def state_bucket(self) -> str:
        """The bucket of Terraform's state."""
        return str(self.backend["bucket"])

    @property
    def images(self) -> str:
        """The repository of images."""
        return f"{self.region}-docker.pkg.dev/{self.project}/retrain"

    @property
    def operators(self) -> tuple[str, ...]:
        """Who may use ``retrain``."""
        return tuple(self.variables.get("operators", ()))


def read(folder: Path, name: str) -> Values:
    """The environment ``name`` below ``folder`` (``terraform``). Raises BadConfig naming file and field."""
    file = folder / "environments" / f"{name}.tfvars"
    backend_file = folder / "environments" / f"{name}.gcs.tfbackend"
    if not file.exists():
        raise BadConfig(f"environment {name!r}: expected {file}; there are: {', '.join(names(folder)) or 'none'}")
    if not backend_file.exists():
        raise BadConfig(
            f"environment {name!r}: expected {backend_file} with bucket and prefix of Terraform's state"
        )
    variables, backend = _entries(file), _entries(backend_file)
    for key, entries, where in (
        ("project", variables, file),
        ("environment", variables, file),
        ("bucket", backend, backend_file),
    ):
        if not isinstance(entries.get(key), str) or not entries[key]:
            raise BadConfig(f'{where}: {key}: expected {key} = "...", got {entries.get(key)!r}')
    return Values(name, file, backend_file, variables, backend)


def names(folder: Path) -> list[str]:
    """Environments that have a values file."""
    return sorted(path.stem for path in (folder / "environments").glob("*.tfvars"))


def of_project(folder: Path, project: str) -> Values | None:
    """The environment whose project this is, or None."""
    for name in names(folder):
        try:
            found = read(folder, name)
        except BadConfig:
            continue
        if found.project == project:
            return found
    return None


def examples_left(values: Values, but: frozenset[str] = frozenset()) -> list[str]:
    """Fields that still hold what the example file says, one line each. ``but``: fields that will be replaced."""
    fields = [(values.file, key, value) for key, value in values.variables.items() if key not in but]
    fields += [(values.backend_file, key, value) for key, value in values.backend.items()]
    return [
        f"{where.name}: {key}: expected a value of your own, got the example {text!r}"
        for where, key, value in fields
        for text in (value if isinstance(value, list) else [value])
        if isinstance(text, str) and _EXAMPLE.search(text)
    ]


def _entries(file: Path) -> dict[str, Any]:
    text = re.sub(r"(?m)(^|\s)#.*$", "", file.read_text())
    found: dict[str, Any] = {}
    for match in _ENTRY.finditer(text):
        raw = re.sub(r",\s*\]", "]", match["value"])
        try:
            found[match["key"]] = json.loads(raw)
        except ValueError as error:
            wanted = "a text, a number, true, false, null or a list of texts"
            raise BadConfig(f"{file}: {match['key']}: expected {wanted}, got {raw!r}") from error
    return found
