"""What every command does with settings that are missing and a Storage that does not answer."""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import typer

from console.main import app
from tests.console.conftest import Desk
from tests.servers import free_port

COMMANDS = (
    ("status",),
    ("runs",),
    ("explain", "flights"),
    ("events",),
    ("trigger", "flights"),
    ("pause", "flights"),
    ("resume", "flights"),
    ("rollback", "flights"),
    ("approve", "flights-1"),
    ("cancel", "flights-1"),
)
WITH_RECORDS = tuple(words for words in COMMANDS if words[0] != "trigger")  # which only publishes


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_a_missing_setting_ends_with_2(desk: Desk, words: tuple[str, ...]) -> None:
    """And says how to get settings."""
    result = desk.type(*words, RETRAIN_STATE_BUCKET=None)

    assert result.exit_code == 2
    assert result.stderr == (
        "retrain: RETRAIN_STATE_BUCKET: expected a value, got none; "
        'for the local stack: eval "$(retrain local env)"\n'
    )


def test_an_impossible_setting_ends_with_2(desk: Desk) -> None:
    """The line names the variable and what came."""
    result = desk.type("status", RETRAIN_REGION="Frankfurt")

    assert result.exit_code == 2
    assert "RETRAIN_REGION" in result.stderr
    assert "'Frankfurt'" in result.stderr


def test_an_unreachable_storage_ends_every_command_with_3(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All at once, each in a thread: each waits some seconds."""
    for name, value in desk.environ.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{free_port()}")
    with ThreadPoolExecutor(len(WITH_RECORDS)) as pool:
        codes = dict(zip(WITH_RECORDS, pool.map(_code, WITH_RECORDS), strict=True))
    lines = capsys.readouterr().err.splitlines()

    assert codes == dict.fromkeys(WITH_RECORDS, 3)
    assert len([line for line in lines if line.startswith("retrain: try again: ")]) == len(WITH_RECORDS)


def _code(words: tuple[str, ...]) -> int:
    run: Callable[..., object] = typer.main.get_command(app).main
    return int(str(run(list(words), standalone_mode=False)))


def test_a_missing_bucket_ends_with_1(desk: Desk) -> None:
    """Asking again would not help to write there."""
    result = desk.type("pause", "flights", RETRAIN_STATE_BUCKET="nowhere")

    assert result.exit_code == 1
    assert "models/flights.json" in result.stderr


def test_help_names_every_command_and_needs_no_settings(desk: Desk) -> None:
    """A newcomer's first step."""
    result = desk.type("--help", RETRAIN_PROJECT=None)

    assert result.exit_code == 0
    for words in (*COMMANDS, ("models",), ("local",), ("demo",)):
        assert words[0] in result.output


def test_the_help_loads_no_cloud_client() -> None:
    """It would make everybody wait."""
    check = "import sys, console.main; print([m for m in sys.modules if m.startswith('google.cloud.')])"
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True, env=dict(os.environ)
    )

    assert done.stdout == "[]\n"
