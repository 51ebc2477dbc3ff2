"""What a stack is started with."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gcp.clock import clock
from local.stack.layout import Layout
from local.stack.options import Options, parse_clock, settings
from local.stack.servers import PORTS, environment
from retraining.errors import BadConfig
from retraining.settings import Settings

PORT = dict(zip(PORTS, range(20_000, 20_000 + len(PORTS)), strict=True))


def test_options_are_read_as_they_were_written(tmp_path: Path) -> None:
    options = Options(clock="2013-01-01T00:00:00Z*2000", ports={"bigquery": 9050}, crons={"tick": "* * * * *"})
    options.write(tmp_path / "options.json")

    assert Options.read(tmp_path / "options.json") == options


def test_a_clock_without_a_speed_runs_as_fast_as_the_systems() -> None:
    assert parse_clock("2013-01-01T00:00:00Z") == (datetime(2013, 1, 1, tzinfo=UTC), 1.0)


@pytest.mark.parametrize("text", ["yesterday*3", "2013-01-01*fast", "2013-01-01T00:00:00Z*-1"])
def test_a_clock_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadConfig, match="clock: expected"):
        parse_clock(text)


def test_the_stacks_clock_begins_where_it_was_told(tmp_path: Path) -> None:
    layout, options = Layout.at(tmp_path), Options(clock="2013-06-01T00:00:00Z*1")
    options.start_clock(layout)
    now = clock(settings(options, layout, "127.0.0.1:1").clock)()

    assert 0 <= (now - datetime(2013, 6, 1, tzinfo=UTC)).total_seconds() < 5


def test_a_clock_once_set_stays_with_its_records(tmp_path: Path) -> None:
    layout = Layout.at(tmp_path)
    Options(clock="2013-06-01T00:00:00Z*1").start_clock(layout)

    assert settings(Options(), layout, "").clock == f"file:{tmp_path}/clock"


def test_the_environment_gives_the_settings_back(tmp_path: Path) -> None:
    options = Options(settings={"own_principals": "me@example.com"})
    env = environment(options, Layout.at(tmp_path), PORT)

    assert Settings.from_env(env).own_principals == "me@example.com"


def test_every_address_is_on_loopback(tmp_path: Path) -> None:
    env = environment(Options(), Layout.at(tmp_path), PORT)
    addresses = [value for value in env.values() if any(str(port) in value for port in PORT.values())]

    assert len(addresses) == 9
    assert all(address.removeprefix("http://").startswith("127.0.0.1:") for address in addresses)
