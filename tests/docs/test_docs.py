"""The documents say what is true: commands exist, settings and entry points are named, links lead somewhere."""

import re
import shlex
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from console.main import app
from functions import main
from retraining.modelfile import load_models
from retraining.modelspec import ModelSpec
from retraining.settings import Settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)
INLINE = re.compile(r"`((?:retrain|make) [a-z][^`]*)`")


def commands(document: Path) -> list[str]:
    """Every retrain and make command of a document, without comments and prompts."""
    text = document.read_text()
    lines = [line.split("#")[0].strip() for block in SHELL.findall(text) for line in block.splitlines()]
    lines += INLINE.findall(text)
    inner = [found for line in lines for found in re.findall(r"\$\((?:\S*/)?(retrain [^)]*)\)", line)]
    plain = [line.removeprefix(".venv/bin/") for line in lines]
    return [line for line in [*plain, *inner] if line.startswith(("retrain ", "make "))]


GROUPS = {group.name for group in app.registered_groups}
ALL = sorted({(document.name, command) for document in DOCUMENTS for command in commands(document)})


@pytest.mark.parametrize(("document", "command"), [pair for pair in ALL if pair[1].startswith("retrain ")])
def test_a_documented_command_exists(document: str, command: str) -> None:
    """Its words lead to a command that knows its options."""
    words = shlex.split(command)[1:]
    path = [word for word in words if re.fullmatch(r"[a-z-]+", word) and not word.startswith("-")]
    known = [*path[:2], "--help"] if path[0] in GROUPS else [path[0], "--help"]
    result = CliRunner().invoke(app, known, env={"COLUMNS": "200", "TERM": "dumb"})

    assert result.exit_code == 0, f"{document}: {command}: {result.output}"
    assert all(word in result.output for word in words if word.startswith("--")), f"{document}: {command}"


@pytest.mark.parametrize(("document", "command"), [pair for pair in ALL if pair[1].startswith("make ")])
def test_a_documented_target_exists(document: str, command: str) -> None:
    """make would know what to do."""
    done = subprocess.run(["make", "-n", *shlex.split(command)[1:]], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, f"{document}: {command}: {done.stderr}"


def test_documents_have_commands() -> None:
    """Or the tests above prove nothing."""
    assert len(ALL) > 15


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    """Every relative link is a file."""
    links = re.findall(r"\]\(([^)#]+)\)", document.read_text())
    missing = [link for link in links if "://" not in link and not (document.parent / link).exists()]

    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_named_files_exist(document: Path) -> None:
    """Every path in back-ticks that looks like one of ours is there."""
    named = re.findall(
        r"`((?:retraining|gcp|functions|monitoring|trainer|local|console|tests|terraform)/[\w./-]+)`",
        document.read_text(),
    )
    missing = [path for path in named if not (ROOT / path).exists()]

    assert missing == []


def test_every_setting_is_documented() -> None:
    """By the variable that sets it."""
    text = (ROOT / "docs" / "deploy.md").read_text()
    missing = [f.name for f in fields(Settings) if f"RETRAIN_{f.name.upper()}`" not in text]

    assert missing == []


def test_every_entry_point_is_documented_and_fed() -> None:
    """In the deployment guide, and by a subscription."""
    points = {name for name in vars(main) if name.startswith("on_")}
    text = (ROOT / "docs" / "deploy.md").read_text()
    resources = yaml.safe_load((ROOT / "terraform" / "resources.yaml").read_text())
    fed = {one["function"] for one in resources["subscriptions"].values()}

    assert points == fed
    assert [name for name in sorted(points) if f"`{name}`" not in text] == []


def test_every_section_of_a_model_file_is_documented() -> None:
    """By its name."""
    text = (ROOT / "docs" / "model-file.md").read_text()
    missing = [name for name in ModelSpec.model_fields if name not in text]

    assert missing == []


def test_every_model_file_is_sound() -> None:
    """Those that ship, and the rehearsal's."""
    assert set(load_models(ROOT / "models")) == {"bikes", "flights"}
    assert set(load_models(ROOT / "local" / "rehearsal" / "models")) == {"flights"}
