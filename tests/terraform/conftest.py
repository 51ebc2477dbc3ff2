"""Plans of the whole configuration, as JSON, made by the real terraform with the provider that is in reach."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tools.terraform import provider

Plan = dict[str, Any]
VALUES = {
    "project": "acme-models",
    "environment": "test",
    "region": "europe-west1",
    "operators": '["group:operators@example.com"]',
    "trainer_image": f"europe-west1-docker.pkg.dev/acme-models/retrain/trainer@sha256:{'a' * 64}",
}


@pytest.fixture(scope="session")
def terraform() -> provider.Provider:
    """Terraform with a provider."""
    found = provider.find(os.environ)
    if found is None:
        pytest.skip("terraform is not here, or no provider for it is in reach")
    return found


@pytest.fixture(scope="session")
def plan(terraform: provider.Provider, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path, bytes], Plan]:
    """Plan an installation of the models in a folder, with an archive of these bytes."""

    def make(models: Path, archive: bytes = b"functions") -> Plan:
        folder = provider.copy(tmp_path_factory.mktemp("plan") / "terraform")
        (folder / "local_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
        (folder / "functions.zip").write_bytes(archive)
        values = VALUES | {"models_folder": str(models), "archive": "functions.zip"}
        arguments = [part for name, value in values.items() for part in ("-var", f"{name}={value}")]
        done = terraform.run(folder, ["init"], ["plan", "-out=made", *arguments], ["show", "-json", "made"])
        assert done.returncode == 0, done.stdout + done.stderr
        found: Plan = json.loads(
            next(line for line in done.stdout.splitlines() if line.startswith('{"format_version'))
        )
        return found

    return make


def resources(plan: Plan) -> dict[str, dict[str, Any]]:
    """Address → planned values."""
    changes = plan["resource_changes"]
    return {one["address"]: one["change"]["after"] for one in changes if one["change"]["actions"] == ["create"]}
