"""``models check``: what a person is told about model files."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from console.main import app

MODELS = Path(__file__).parents[2] / "models"
RUNNER = CliRunner(env={"COLUMNS": "200"})


def test_the_model_files_of_this_repository_are_sound() -> None:
    """Each is a line with its triggers and what a run may cost."""
    result = RUNNER.invoke(app, ["models", "check", str(MODELS)])

    assert result.exit_code == 0
    assert "flights" in result.output
    assert "schedule, data, drift, manual" in result.output


def test_a_mistake_is_named_with_file_and_field(tmp_path: Path) -> None:
    """And ends with 2."""
    text = (MODELS / "flights.yaml").read_text()
    (tmp_path / "flights.yaml").write_text(text.replace("name: flights", "name: 7", 1))
    result = RUNNER.invoke(app, ["models", "check", str(tmp_path)])

    assert result.exit_code == 2
    assert "flights.yaml" in result.stderr
    assert "name" in result.stderr


def test_a_run_that_the_budget_could_never_allow_is_a_mistake(tmp_path: Path) -> None:
    """Otherwise every trigger would be skipped, for ever."""
    text = (MODELS / "flights.yaml").read_text()
    (tmp_path / "flights.yaml").write_text(text.replace("per_run: 5", "per_run: 0.01"))
    result = RUNNER.invoke(app, ["models", "check", str(tmp_path)])

    assert result.exit_code == 2
    assert "policy.budget.per_run: expected at least" in result.stderr


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """One line, no traceback."""
    result = RUNNER.invoke(app, ["models", "check", str(tmp_path / "none")])

    assert result.exit_code == 2
    assert str(tmp_path / "none") in result.stderr


@pytest.mark.parametrize("words", [("models", "check"), ("models", "--help")])
def test_no_installation_is_needed(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """The check runs before anything is deployed."""
    monkeypatch.chdir(MODELS.parent)
    monkeypatch.delenv("RETRAIN_PROJECT", raising=False)

    assert RUNNER.invoke(app, list(words)).exit_code == 0
