"""The workflows are sound by their schemas and by a security audit, and both builders do the same things."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.delivery.sets import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
BUILDS = sorted((ROOT / "cloudbuild").glob("*.yaml"))
SCRIPTS = sorted((ROOT / "tools" / "delivery").glob("*.sh"))
TOOLS = Path(sys.executable).parent
CHECKS = ("check", "test", "prove", "terraform-check", "package", "audit", "sbom")


def schema(kind: str, *files: Path) -> int:
    """The exit code of a check against a schema that comes with the tool."""
    command = [str(TOOLS / "check-jsonschema"), "--builtin-schema", f"vendor.{kind}", *map(str, files)]
    return subprocess.run(command, capture_output=True, check=False).returncode


def audit(*files: Path) -> "subprocess.CompletedProcess[str]":
    """A security audit that asks nobody."""
    command = [str(TOOLS / "zizmor"), "--offline", "--no-progress", *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def load(file: Path) -> dict[str, Any]:
    """A workflow; ``on`` is a word of YAML and comes as True."""
    found: dict[str, Any] = yaml.safe_load(file.read_text())
    return found


def jobs(name: str) -> dict[str, Any]:
    """The jobs of a workflow."""
    found: dict[str, Any] = load(ROOT / ".github" / "workflows" / name)["jobs"]
    return found


def test_there_are_workflows_and_builds() -> None:
    """Or the tests below prove nothing."""
    assert {file.name for file in WORKFLOWS} == {"check.yml", "deliver.yml", "environment.yml"}
    assert {file.name for file in BUILDS} == {"check.yaml", "deliver.yaml", "image.yaml"}


def test_workflows_and_builds_follow_their_schemas() -> None:
    """As GitHub and Google publish them."""
    assert schema("github-workflows", *WORKFLOWS) == 0
    assert schema("cloudbuild", *BUILDS) == 0


def test_a_broken_workflow_is_noticed(tmp_path: Path) -> None:
    """By the same check."""
    broken = tmp_path / "check.yml"
    broken.write_text(WORKFLOWS[0].read_text().replace("runs-on:", "run-on:"))

    assert schema("github-workflows", broken) != 0


def test_a_broken_build_is_noticed(tmp_path: Path) -> None:
    """By the same check."""
    broken = tmp_path / "check.yaml"
    broken.write_text(BUILDS[0].read_text().replace("steps:", "stages:"))

    assert schema("cloudbuild", broken) != 0


def test_the_audit_finds_nothing() -> None:
    """No injection, no stolen credentials, no loose rights, nothing unpinned."""
    done = audit(ROOT / ".github")

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('--base "$BASE"', '--base "${{ github.event.pull_request.title }}"'),
        ("@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0", "@v5"),
        ("permissions:\n  contents: read", "permissions: write-all"),
        ("pull_request:", "pull_request_target:"),
    ],
    ids=["injection", "unpinned", "rights", "foreign code"],
)
def test_the_audit_would_find_it(tmp_path: Path, before: str, after: str) -> None:
    """What people do wrong most."""
    text = (ROOT / ".github" / "workflows" / "check.yml").read_text()
    harmed = tmp_path / ".github" / "workflows" / "check.yml"
    harmed.parent.mkdir(parents=True)
    harmed.write_text(text.replace(before, after))
    done = audit(harmed)

    assert before in text
    assert done.returncode > 10, done.stdout


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_actions_are_pinned_and_say_their_version(file: Path) -> None:
    """A tag can be moved by whoever owns it."""
    used = re.findall(r"uses: (?!\./)(\S+)(.*)", file.read_text())
    wrong = [
        name + rest
        for name, rest in used
        if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", name + rest)
    ]

    assert wrong == []


def test_one_action_has_one_version() -> None:
    """In all workflows."""
    used = {pin for file in WORKFLOWS for pin in re.findall(r"uses: (?!\./)(\S+)", file.read_text())}

    assert len({pin.partition("@")[0] for pin in used}) == len(used)


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_jobs_end_and_have_few_rights(file: Path) -> None:
    """Only a delivery has an identity, and none has a key."""
    found = load(file)
    ends = [name for name, job in found["jobs"].items() if "uses" not in job and "timeout-minutes" not in job]

    assert ends == []
    assert found["permissions"] in ({}, {"contents": "read"})
    assert ("id-token" in file.read_text()) == (file.name != "check.yml")
    assert "secrets." not in file.read_text()
    assert "credentials_json" not in file.read_text()


def test_production_comes_after_pre_production() -> None:
    """With the image that was tried there, under the environment's own rules of review."""
    found = jobs("deliver.yml")
    step = jobs("environment.yml")["deliver"]

    assert found["pre-production"]["needs"] == "check"
    assert found["production"]["needs"] == "pre-production"
    assert found["production"]["with"] == {
        "environment": "production",
        "image": "${{ needs.pre-production.outputs.image }}",
    }
    assert step["environment"] == "${{ inputs.environment }}"
    assert step["concurrency"]["cancel-in-progress"] is False


def scripts(text: str) -> list[str]:
    """The scripts and targets that a text calls, in its order."""
    return re.findall(r"tools/delivery/(\w+)\.sh|(?<=make )(package)|(?<=args: \[)(package)", text)


def called(text: str) -> list[str]:
    """Their names."""
    return ["".join(names) for names in scripts(text)]


def test_both_builders_deliver_the_same_way() -> None:
    """Smoke test before the record; without the record, production does not follow."""
    actions = called((ROOT / ".github" / "workflows" / "environment.yml").read_text())
    build = called((ROOT / "cloudbuild" / "deliver.yaml").read_text())

    assert actions == ["plan", "image", "package", "apply", "publish", "smoke", "record"]
    assert build == ["after", *actions]


def test_both_builders_check_the_same() -> None:
    """Before a merge."""
    actions, build = (
        sorted(re.findall(r"make ([a-z-]+)|args: \[(test|prove)\]", text))
        for text in (
            (ROOT / ".github" / "workflows" / "check.yml").read_text(),
            (ROOT / "cloudbuild" / "check.yaml").read_text().split("steps:")[1].replace("neither make nor", ""),
        )
    )

    assert {"".join(words) for words in actions} == {"".join(words) for words in build}
    assert {"".join(words) for words in actions} == set(CHECKS)


@pytest.mark.parametrize("target", CHECKS)
def test_the_targets_exist(target: str) -> None:
    """make would know what to do."""
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_sound(script: Path) -> None:
    """They can be run, they stop at the first fault, and the shell can read them."""
    done = subprocess.run(["sh", "-n", script], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert script.stat().st_mode & 0o111
    assert script.read_text().startswith("#!/bin/sh\n")
    assert "\nset -eu\n" in script.read_text()


def test_builds_name_substitutions_that_exist() -> None:
    """Cloud Build's own, or those that are declared."""
    text = (ROOT / "cloudbuild" / "deliver.yaml").read_text()
    declared = set(yaml.safe_load(text)["substitutions"]) | {"COMMIT_SHA"}
    used = set(re.findall(r"(?<!\$)\$\{?([A-Z_]+)\}?", text.split("steps:")[1].split("\nsubstitutions:")[0]))

    assert used == declared
