"""``retrain local`` where nothing runs."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from console.main import app


def _run(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["local", *words, "--state", str(folder)])


@pytest.mark.parametrize("command", ["status", "env"])
def test_nothing_runs_is_said_with_the_way_to_start(tmp_path: Path, command: str) -> None:
    answer = _run(tmp_path, command)

    assert answer.exit_code == 1
    assert "nothing runs" in answer.output
    assert "retrain local up" in answer.output


def test_stopping_nothing_is_no_mistake(tmp_path: Path) -> None:
    answer = _run(tmp_path, "down")

    assert (answer.exit_code, answer.output) == (0, f"Nothing runs in {tmp_path}.\n")


def test_an_unknown_server_names_those_there_are(tmp_path: Path) -> None:
    answer = _run(tmp_path, "logs", "postbox")

    assert answer.exit_code == 1
    assert "expected one of supervisor; got 'postbox'" in answer.output


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        pytest.param(["--port", "bigquery"], "--port: expected NAME=NUMBER", id="port without number"),
        pytest.param(["--clock", "soon"], "clock: expected START*SPEED", id="no clock"),
        pytest.param(["--port", "postbox=20000"], "expected one of storage, bigquery", id="unknown server"),
        pytest.param(["--models", "nowhere"], "expected at least one model file", id="no models"),
    ],
)
def test_a_mistake_on_the_command_line_starts_nothing(tmp_path: Path, option: list[str], complaint: str) -> None:
    answer = _run(tmp_path, "up", *option)

    assert answer.exit_code == 1
    assert complaint in answer.output
    assert list((tmp_path / "logs").iterdir()) == []
