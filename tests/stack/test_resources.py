"""The file that Terraform and the local stack share."""

from pathlib import Path

import pytest
import yaml

from local.stack.resources import FILE, ROOT, Resources, load_resources
from retraining.errors import BadConfig
from retraining.modelfile import load_models

ENTRY_POINTS = {"on_data", "on_drift", "on_schedule", "on_manual", "on_monitor", "on_tick", "on_candidate"}


@pytest.fixture(scope="module")
def resources() -> Resources:
    return load_resources()


def test_every_entry_point_listens_to_a_topic(resources: Resources) -> None:
    assert set(resources.functions) == ENTRY_POINTS


def test_a_tick_moves_runs_and_rollouts(resources: Resources) -> None:
    reached = {one.function for one in resources.subscriptions.values() if one.topic == "ticks"}

    assert reached == {"on_tick", "on_candidate"}


def test_each_model_with_a_schedule_has_a_job_at_its_own_time(resources: Resources) -> None:
    jobs = resources.all_jobs(load_models(ROOT / "models"))

    assert jobs["schedule-flights"].cron == "0 3 1 * *"
    assert jobs["schedule-flights"].body == {"schedule": "main", "model": "flights", "action": "auto"}


def test_each_model_has_a_watermark_job(resources: Resources) -> None:
    jobs = resources.all_jobs(load_models(ROOT / "models"))

    assert jobs["watermark-bikes"].body == {"kind": "watermark", "model": "bikes"}


def test_a_rehearsal_may_tick_more_often(resources: Resources) -> None:
    faster = resources.with_crons({"tick": "* * * * *", "schedule": "0 0 * * *"})

    assert faster.jobs["tick"].cron == "* * * * *"
    assert faster.all_jobs(load_models(ROOT / "models"))["schedule-bikes"].cron == "0 0 * * *"
    assert faster.jobs["monitor"] == resources.jobs["monitor"]


def test_a_cron_for_an_unknown_job_names_those_there_are(resources: Resources) -> None:
    with pytest.raises(
        BadConfig, match=r"cron of 'tock': expected one of \['monitor', 'schedule', 'tick', 'watermark'\]"
    ):
        resources.with_crons({"tock": "* * * * *"})


def test_a_cron_of_four_fields_is_refused(resources: Resources) -> None:
    with pytest.raises(BadConfig, match="expected five cron fields"):
        resources.with_crons({"tick": "* * * *"})


def test_local_values_do_not_reach_the_cloud(resources: Resources) -> None:
    cloud = yaml.safe_load(FILE.read_text())["delivery"]

    assert (cloud["min_backoff_s"], cloud["max_backoff_s"]) == (10, 600)
    assert resources.delivery.min_backoff_s < cloud["min_backoff_s"]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        pytest.param(
            "topic: drift,", "topic: drift-alerts,", "expected 'drift-alerts'", id="topic that is not there"
        ),
        pytest.param(
            "function: on_drift", "function: drift", "subscriptions.on-drift.function", id="no entry point"
        ),
        pytest.param("max_attempts: 20", "max_attempts: 2", "delivery.max_attempts", id="too few attempts"),
        pytest.param("jobs:\n  tick:", "jobs:\n  extra: 1\n  tick:", "jobs.extra", id="no job"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    text = FILE.read_text()
    assert old in text
    changed = tmp_path / "resources.yaml"
    changed.write_text(text.replace(old, new, 1))

    with pytest.raises(BadConfig, match=complaint):
        load_resources(changed)
