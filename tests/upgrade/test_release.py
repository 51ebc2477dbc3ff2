"""What a release calls itself: one version, in one place."""

import re
import tomllib
from pathlib import Path

from typer.testing import CliRunner

from console.main import app

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_the_command_says_the_projects_version() -> None:
    """Without settings, and without a command."""
    result = CliRunner().invoke(app, ["--version"], env={})

    assert (result.exit_code, result.output) == (0, f"retrain {VERSION}\n")


def test_the_changelog_knows_the_version() -> None:
    """The newest release in it is the one that the project says it is; what comes next is collected above."""
    found = re.findall(
        r"^## \[(.+?)\](?: - (\d{4}-\d{2}-\d{2}))?$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )

    assert found[0] == ("Unreleased", "")
    assert found[1][0] == VERSION
    assert all(date for _, date in found[1:])
