"""How a clean checkout finds its Python, and what the continuous check runs."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON_313 = "#!/bin/sh\necho 3.13\n"
PYTHON_312 = "#!/bin/sh\necho 3.12\n"
SHIM = '#!/bin/sh\necho "pyenv: python3.13: command not found" >&2\nexit 127\n'


def _program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def _found(folder: Path, *path: Path, **env: str) -> str:
    """What the finder prints when only these folders and bash itself can be found."""
    variables = {
        "PATH": os.pathsep.join([*map(str, path), str(_bash(folder))]),
        "HOME": str(folder / "home"),
        **env,
    }
    run = subprocess.run(
        [ROOT / "tools" / "find-python.sh"], env=variables, capture_output=True, text=True, check=True, timeout=20
    )
    return run.stdout.strip()


def _bash(folder: Path) -> Path:
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    if not (tools / "bash").exists():
        (tools / "bash").symlink_to("/bin/bash")
    return tools


def test_python_by_its_full_name_comes_first(tmp_path: Path) -> None:
    wanted = _program(tmp_path / "bin" / "python3.13", PYTHON_313)
    _program(tmp_path / "bin" / "python3", PYTHON_313)

    assert _found(tmp_path, tmp_path / "bin") == str(wanted)


def test_python3_counts_when_it_is_3_13(tmp_path: Path) -> None:
    wanted = _program(tmp_path / "bin" / "python3", PYTHON_313)

    assert _found(tmp_path, tmp_path / "bin") == str(wanted)


def test_another_version_is_passed_over(tmp_path: Path) -> None:
    _program(tmp_path / "first" / "python3", PYTHON_312)
    wanted = _program(tmp_path / "second" / "python3", PYTHON_313)

    assert _found(tmp_path, tmp_path / "first", tmp_path / "second") == str(wanted)


def test_a_shim_that_does_not_answer_is_no_python(tmp_path: Path) -> None:
    _program(tmp_path / "shims" / "python3.13", SHIM)
    wanted = _program(tmp_path / "home" / ".pyenv" / "versions" / "3.13.1" / "bin" / "python", PYTHON_313)

    assert _found(tmp_path, tmp_path / "shims") == str(wanted)


def test_pyenv_is_found_where_its_variable_says(tmp_path: Path) -> None:
    wanted = _program(tmp_path / "a folder" / "versions" / "3.13.9" / "bin" / "python", PYTHON_313)

    assert _found(tmp_path, PYENV_ROOT=str(tmp_path / "a folder")) == str(wanted)


def test_nothing_is_said_where_there_is_none(tmp_path: Path) -> None:
    _program(tmp_path / "bin" / "python3", PYTHON_312)

    assert _found(tmp_path, tmp_path / "bin") == ""


@pytest.mark.parametrize("script", [".ci/run", "tools/setup.sh", "tools/find-python.sh"])
def test_every_script_is_sound_and_can_be_run(script: str) -> None:
    path = ROOT / script
    read = subprocess.run(["bash", "-n", path], capture_output=True, text=True, check=False)

    assert (read.returncode, read.stderr) == (0, "")
    assert os.access(path, os.X_OK)


def test_the_continuous_check_runs_tests_then_proofs_then_checks() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()

    checks = [line for line in lines if line.startswith("make")]
    assert checks == ["make test", "make prove", "make check", "make terraform-check", "make audit"]


@pytest.mark.parametrize(
    "target",
    [
        "demo",
        "test",
        "prove",
        "prove-deep",
        "check",
        "terraform-check",
        "audit",
        "sbom",
        "local",
        "package",
        "bench",
    ],
)
def test_every_target_sets_up_first(target: str) -> None:
    command = ["make", "--no-print-directory", "-n", target]
    plan = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=20)

    assert plan.stdout.splitlines()[0] == "tools/setup.sh"
