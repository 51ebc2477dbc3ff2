"""Which provider the checks can use: Google's own, or a stand-in that knows its schema and needs no network.

A stand-in is a folder with a Python module ``tfstub`` that answers Terraform's plugin protocol, named by
``TERRAFORM_PROVIDER_STUB`` or found as ``tools/tfstub`` in a folder beside this checkout.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
VARIABLE = "TERRAFORM_PROVIDER_STUB"


@dataclass(frozen=True)
class Provider:
    """How to run terraform so that it finds a provider. ``stub`` is None for Google's own."""

    stub: Path | None

    @property
    def about(self) -> str:
        """What this is, in words."""
        return f"a stand-in for the provider ({self.stub})" if self.stub else "Google's provider"

    def run(self, folder: Path, *commands: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        """Run terraform commands in ``folder``, each one as its arguments; stops at the first that fails."""
        line = " && ".join(" ".join(["terraform", *map(quoted, command)]) for command in commands)
        command, environ = ["bash", "-c", line], environment()
        if self.stub is not None:
            python = [uv(), "run", "--quiet", "--no-project", "--python", sys.executable]
            command = [
                *python,
                "--with-requirements",
                str(self.stub / "requirements.txt"),
                "python",
                "-m",
                "tfstub",
                "--",
            ]
            command += ["bash", "-c", line]
            environ["PYTHONPATH"] = str(self.stub)
        return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)


def quoted(word: str) -> str:
    """A word for the shell."""
    return "'" + word.replace("'", "'\\''") + "'"


def uv() -> str:
    """The uv of this environment."""
    return str(Path(sys.executable).parent / "uv")


def environment() -> dict[str, str]:
    """Terraform's own, without questions and colours."""
    return {
        **os.environ,
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
        "TF_CLI_ARGS": "-no-color",
        "CHECKPOINT_DISABLE": "1",
    }


def find_stub(environ: Mapping[str, str], beside: Path = ROOT.parent) -> Path | None:
    """The stand-in, or None. Raises FileNotFoundError when the variable names none."""
    named = environ.get(VARIABLE)
    if named:
        if not (Path(named) / "tfstub").is_dir():
            raise FileNotFoundError(f"{VARIABLE}: expected a folder with a module tfstub, got {named}")
        return Path(named).resolve()
    return next((path.parent for path in sorted(beside.glob("*/tools/tfstub/tfstub"))), None)


def find(environ: Mapping[str, str]) -> Provider | None:
    """The provider to use: a stand-in where there is one, else Google's when the registry can be reached."""
    if shutil.which("terraform") is None:
        return None
    stub = find_stub(environ)
    if stub is not None:
        return Provider(stub)
    with tempfile.TemporaryDirectory() as folder:
        copied = copy(Path(folder) / "terraform")
        reached = Provider(None).run(copied, ["init", "-backend=false"])
    return Provider(None) if reached.returncode == 0 else None


def copy(to: Path) -> Path:
    """The Terraform code and what it reads, copied so that nothing is written beside it; returns its folder."""
    ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*")
    shutil.copytree(ROOT / "terraform", to, ignore=ignored)
    shutil.copytree(ROOT / "models", to.parent / "models", dirs_exist_ok=True)
    (to.parent / "retraining").mkdir(exist_ok=True)
    shutil.copy(ROOT / "retraining" / "settings.py", to.parent / "retraining")
    return to
