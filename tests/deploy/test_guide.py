"""The guide of the installation holds commands that exist, about resources and files that are there."""

import re
import shlex
import shutil
import subprocess

import pytest
from typer.testing import CliRunner

from console.doctor.checks import CHECKS
from console.main import app
from tests.deploy.conftest import ROOT

TEXT = (ROOT / "docs" / "deploy.md").read_text()
BLOCKS = re.findall(r"^ *```sh\n(.*?)^ *```", TEXT, re.DOTALL | re.MULTILINE)
LINES = [line.strip() for block in BLOCKS for line in block.splitlines() if line.strip()]
TF = "\n".join(path.read_text() for path in (ROOT / "terraform").glob("*.tf"))
PROGRAMS = {"make", "source", "gcloud", "retrain", "eval", "git", "cp", "terraform", "bq"}
TERRAFORM = {"init", "import", "state", "force-unlock"}


def of(program: str) -> list[str]:
    """The guide's commands of a program."""
    return [line for line in LINES if line.startswith(f"{program} ")]


def test_only_known_programs_are_used() -> None:
    """Those that the first section asks for."""
    assert {line.split()[0] for line in LINES} == PROGRAMS


@pytest.mark.parametrize("line", of("terraform"))
def test_terraform_commands_name_what_the_code_has(line: str) -> None:
    """Resources by their addresses, files by their paths."""
    words = shlex.split(line)
    addresses = [word for word in words if word.startswith("google_")]
    files = [word.partition("=")[2] for word in words if word.startswith(("-var-file=", "-backend-config="))]

    assert words[1] == "-chdir=terraform"
    assert words[2] in TERRAFORM
    assert all((ROOT / "terraform" / file).exists() for file in files)
    for address in addresses:
        kind, name = address.split("[")[0].split(".")
        assert f'resource "{kind}" "{name}"' in TF


def test_copied_files_exist() -> None:
    """A second environment is made of the first one's files."""
    sources = [shlex.split(line)[1] for line in of("cp")]

    assert len(sources) == 2
    assert all((ROOT / source).exists() for source in sources)


@pytest.mark.parametrize("line", [*of("retrain"), *re.findall(r"`(retrain [a-z][^`]*)`", TEXT)])
def test_retrain_commands_exist(line: str) -> None:
    """With the options that they are given."""
    words = shlex.split(line)[1:]
    path = words[:2] if words[0] in ("models", "local", "modules") else words[:1]
    result = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})

    assert result.exit_code == 0
    assert all(word in result.output for word in words if word.startswith("--"))


@pytest.mark.parametrize("line", of("gcloud"))
def test_gcloud_commands_exist(line: str) -> None:
    """As gcloud itself says in its help, where there is one."""
    if shutil.which("gcloud") is None:
        pytest.skip("gcloud is not installed")
    words = shlex.split(line)[1:]
    path = [word for word in words if re.fullmatch(r"[a-z-]+", word) and not word.startswith("-")]
    path = path[: next((place for place, word in enumerate(path) if word == "acme-models"), len(path))]
    done = subprocess.run(["gcloud", *path, "--help"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    told = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout)
    wide = {"--project", "--filter"}  # of every command

    assert done.returncode == 0, done.stderr
    for word in words:
        option = word.partition("=")[0]
        assert not word.startswith("--") or option in wide or option in told


def test_every_check_of_the_doctor_is_explained() -> None:
    """In the table of findings."""
    table = TEXT.split("## What the doctor finds")[1].split("##")[0]
    missing = [name for name in CHECKS if f"`{name}`" not in table]

    assert missing == []
    assert "`invokers`" in table
