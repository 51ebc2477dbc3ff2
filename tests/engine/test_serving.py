"""A rollout beside the numbers of Cloud Monitoring: what they stop, what they hold, and what their absence does."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pytest

from retraining.errors import Refused, Temporary
from retraining.modelspec import Limits
from retraining.operations import Health
from retraining.records import RunState
from retraining.rollouts import Phase
from tests.engine.cloud import Cloud

WELL, FAILING, DEAD = (0.001, 1.0), (0.2, 1.0), (0.9, 1.0)  # share of errors, and of the requests that are counted


@dataclass
class Scripted:
    """Metrics that answer by the endpoint's split, each model with the errors that a test gives it."""

    cloud: Cloud
    challenger: tuple[float, float] = WELL
    champion: tuple[float, float] = WELL
    error: Exception | None = None
    asked: list[str] = field(default_factory=list)

    def health(self, endpoint: str, since: datetime, until: datetime) -> dict[str, Health]:
        """See Metrics: ten thousand requests, whatever the window."""
        self.asked.append(endpoint)
        if self.error is not None:
            raise self.error
        record, found = self.cloud.rollout, {}
        for serving, (errors, counted) in ((record.challenger, self.challenger), (record.champion, self.champion)):
            if serving:
                n = int(self.cloud.split.get(serving.deployed_id, 0) * 100 * counted)
                found[serving.deployed_id] = Health(n, int(n * errors))
        return found


def measured(cloud: Cloud, **script: Any) -> Scripted:
    """The cloud with metrics, a champion and a new candidate."""
    cloud.promoted()
    metrics = Scripted(cloud, **script)
    cloud.rollouts = replace(cloud.rollouts, metrics=metrics)
    cloud.trigger()
    return metrics


def limit(cloud: Cloud, **limits: Any) -> None:
    """Give the model limits."""
    spec = cloud.rollouts.models["flights"]
    rollout = spec.rollout.model_copy(update={"limits": Limits(**limits)})
    models = {"flights": spec.model_copy(update={"rollout": rollout})}
    cloud.rollouts = replace(cloud.rollouts, models=models)


@pytest.fixture
def cloud() -> Cloud:
    """An empty cloud."""
    return Cloud()


def test_a_challenger_that_serves_well_is_promoted(cloud: Cloud) -> None:
    metrics = measured(cloud)
    cloud.settle()

    assert cloud.all_runs[-1].state is RunState.PROMOTED
    assert metrics.asked[0] == "projects/local/locations/us-central1/endpoints/1"


def test_a_challenger_that_fails_more_often_is_rolled_back(cloud: Cloud) -> None:
    """Its losses are fine: what fails is in no log."""
    measured(cloud, challenger=FAILING)
    cloud.settle()

    assert cloud.all_runs[-1].state is RunState.ROLLED_BACK
    assert "it fails more often than the champion" in cloud.rollout.reason


def test_a_challenger_that_breaks_a_limit_is_rolled_back(cloud: Cloud) -> None:
    measured(cloud, challenger=DEAD)
    limit(cloud, max_error_share=0.5)
    cloud.settle()

    assert cloud.all_runs[-1].state is RunState.ROLLED_BACK
    assert "the limit is 50.00%" in cloud.rollout.reason


@pytest.mark.parametrize("error", [Temporary("503"), Refused("403 no right")])
def test_without_numbers_the_log_decides(cloud: Cloud, error: Exception) -> None:
    """A failure of Cloud Monitoring is no verdict."""
    measured(cloud, error=error)
    cloud.settle()

    assert cloud.all_runs[-1].state is RunState.PROMOTED


def test_with_limits_and_without_numbers_nobody_is_promoted(cloud: Cloud) -> None:
    """Nobody can say that they hold."""
    measured(cloud, error=Temporary("503"))
    limit(cloud, max_error_share=0.5)
    cloud.settle(ticks=200)

    assert cloud.all_runs[-1].state is RunState.ROLLED_BACK
    assert "limits are set, and no numbers of it have come" in cloud.rollout.reason


def test_a_split_that_is_not_kept_holds_the_step(cloud: Cloud) -> None:
    """It stays where it is until the deadline, and says why."""
    measured(cloud, champion=(0.001, 0.5))
    phases: set[tuple[Phase, int]] = set()
    for _ in range(120):
        cloud.tick()
        record = cloud.rollout
        phases.add((record.phase, record.step))
    steps = {step for phase, step in phases if phase is Phase.STEP}

    assert steps == {0}
    assert (Phase.FULL, 3) not in phases
    assert "routing or logging is broken" in cloud.rollout.reason


def test_a_broken_champion_does_not_block_a_good_challenger(cloud: Cloud) -> None:
    """And somebody is told."""
    measured(cloud, champion=DEAD)
    limit(cloud, max_error_share=0.5)
    cloud.settle()

    assert cloud.all_runs[-1].state is RunState.PROMOTED
    assert any("flights: the champion itself breaks a limit" in line for line in cloud.reports)
