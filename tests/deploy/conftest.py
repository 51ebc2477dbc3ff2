"""A checkout of its own, a cloud of files behind scripts named gcloud and bq, Terraform's state in a bucket."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers import gcs_server
from tools.terraform import provider

ROOT = Path(__file__).parents[2]
VALUES = """
environment  = "trial"
project      = "acme-models"
region       = "europe-west1"
alert_emails = ["a@acme.com"]
operators    = [
  "group:operators@acme.com", # everybody
]
trainer_image = "europe-west1-docker.pkg.dev/example-models/retrain/trainer@sha256:{zeros}"
"""


@dataclass(frozen=True)
class World:
    """Where everything lies, and the provider that Terraform finds."""

    root: Path
    cloud: Path
    storage: str
    terraform: provider.Provider

    def retrain(self, *words: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
        """Run the command with ``typed`` on its input."""
        assert self.terraform.stub is not None
        command = [provider.uv(), "run", "--quiet", "--no-project", "--python", sys.executable]
        command += [
            "--with-requirements",
            str(self.terraform.stub / "requirements.txt"),
            "python",
            "-m",
            "tfstub",
            "--",
        ]
        command += [sys.executable, "-m", "console.main", *words, "--root", str(self.root)]
        environ = {key: value for key, value in provider.environment().items() if not key.startswith("RETRAIN_")}
        environ |= {
            "PATH": f"{self.cloud / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": f"{self.terraform.stub}:{ROOT}",
            "CLOUD": str(self.cloud),
            "STORAGE": self.storage,
            "GOOGLE_APPLICATION_CREDENTIALS": str(self.cloud / "none.json"),
            "COLUMNS": "200",
        }
        shell = " ".join(shlex.quote(word) for word in command)
        return subprocess.run(
            ["bash", "-c", shell], cwd=ROOT, env=environ, capture_output=True, text=True, input=typed, timeout=120
        )

    @property
    def calls(self) -> list[str]:
        """What gcloud and bq were asked, in order."""
        file = self.cloud / "calls"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A checkout with an environment named trial, and nothing installed."""
    found = provider.find(os.environ)
    if found is None or found.stub is None:
        pytest.skip("a rehearsal needs terraform and a stand-in for its provider; see tools/terraform/provider.py")
    root, cloud = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("cloud")
    provider.copy(root / "terraform")
    for folder in ("functions", "retraining", "trainer"):
        shutil.copytree(ROOT / folder, root / folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copy(ROOT / "requirements.txt", root)
    (cloud / "bin").mkdir()
    for name in ("gcloud", "bq"):
        shutil.copy(Path(__file__).parent / "gcloud", cloud / "bin" / name)
    with gcs_server() as storage:
        environments = root / "terraform" / "environments"
        (environments / "trial.tfvars").write_text(VALUES.format(zeros="0" * 64))
        (environments / "trial.gcs.tfbackend").write_text(
            f'bucket = "acme-terraform"\nprefix = "retrain"\naccess_token = "x"\n'
            f'storage_custom_endpoint = "{storage}/storage/v1/"\n'
        )
        yield World(root, cloud, storage, found)
