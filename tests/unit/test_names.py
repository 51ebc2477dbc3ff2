"""Names, settings and the clock."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcp.clock import Scale, clock, write_clock
from retraining import names
from retraining.errors import BadConfig
from retraining.settings import Settings
from tests.unit.build import NOW

ENV = {
    "RETRAIN_PROJECT": "my-project",
    "RETRAIN_REGION": "us-central1",
    "RETRAIN_STATE_BUCKET": "state",
    "RETRAIN_ARTIFACT_BUCKET": "artifacts",
    "RETRAIN_DATASET": "retraining",
}


@given(st.text(max_size=300))
def test_a_slug_is_safe_in_a_path(text: str) -> None:
    """Whatever a message says."""
    assert re.fullmatch(r"[a-z0-9-]{1,60}", names.slug(text))


@given(st.text(max_size=80), st.text(max_size=80))
def test_different_keys_have_different_slugs(one: str, other: str) -> None:
    """Or two facts would be taken for one."""
    assert (names.slug(one) == names.slug(other)) == (one == other)


@given(st.text(min_size=1, max_size=60), st.integers(1, 10_000))
def test_a_deployed_id_is_what_vertex_ai_allows(run: str, sequence: int) -> None:
    """One to ten digits."""
    assert re.fullmatch(r"[1-9][0-9]{9}", names.deployed_id(run, sequence))


def test_two_rollouts_of_one_run_have_different_ids() -> None:
    """A model that comes back is a new deployment."""
    assert names.deployed_id("flights-1", 1) != names.deployed_id("flights-1", 2)


def test_settings_survive_the_environment() -> None:
    """What is written to the environment is read back."""
    settings = Settings.from_env(ENV)

    assert Settings.from_env(settings.to_env()) == settings


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"RETRAIN_PROJECT": "X"}, "RETRAIN_PROJECT: expected a project id"),
        ({"RETRAIN_REGION": "moon"}, "RETRAIN_REGION: expected a region"),
        ({"RETRAIN_DATASET": "a;b"}, "RETRAIN_DATASET: expected a dataset"),
    ],
)
def test_a_wrong_setting_is_named(change: dict[str, str], said: str) -> None:
    """By its variable."""
    with pytest.raises(BadConfig, match=said):
        Settings.from_env(ENV | change)


def test_a_missing_setting_is_named() -> None:
    """By its variable."""
    with pytest.raises(BadConfig, match="RETRAIN_STATE_BUCKET: expected a value"):
        Settings.from_env({k: v for k, v in ENV.items() if k != "RETRAIN_STATE_BUCKET"})


def test_a_fast_clock_runs_fast() -> None:
    """Ten seconds at 3600 are ten hours."""
    scale = Scale(NOW, 3600.0, 1000.0)

    assert scale.at(1010.0) == NOW + timedelta(hours=10)


def test_a_clock_survives_its_text() -> None:
    """Every process reads the same line."""
    scale = Scale(NOW, 86400.0, 1234.5)

    assert Scale.parse(str(scale)) == scale


def test_a_clock_file_changes_the_time_of_running_processes(tmp_path: Path) -> None:
    """The rehearsal slows its clock while jobs train."""
    path = tmp_path / "clock"
    write_clock(path, NOW, 0.0)
    read = clock(f"file:{path}")
    before = read()
    write_clock(path, NOW + timedelta(days=1), 0.0)

    assert read() - before == timedelta(days=1)


@pytest.mark.parametrize("text", ["soon", "2026-01-01T00:00:00Z", "yesterday*2@5"])
def test_a_wrong_clock_is_refused(text: str) -> None:
    """At start, not at the first tick."""
    with pytest.raises(BadConfig, match="RETRAIN_CLOCK"):
        clock(text)


def test_without_a_setting_the_clock_is_the_systems() -> None:
    """As in the cloud."""
    assert abs(clock("")() - datetime.now(UTC)) < timedelta(seconds=5)
