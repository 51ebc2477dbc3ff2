"""A service of Google's is away for a while: later, and nothing lost."""

from dataclasses import replace
from typing import Any

import pytest

from retraining.errors import RetrainingError, Temporary
from retraining.records import RunState
from tests.engine.cloud import Cloud


class Outage:
    """A port that does not answer while ``cloud.away`` is set."""

    def __init__(self, cloud: Cloud, port: Any) -> None:
        self._cloud, self._port = cloud, port

    def __getattr__(self, name: str) -> Any:
        if getattr(self._cloud, "away", False):
            raise Temporary(f"{name}: no answer")
        return getattr(self._port, name)


PORTS = ["store", "jobs", "warehouse", "artifacts", "bus", "endpoints", "registry", "operations"]


@pytest.mark.parametrize("service", PORTS)
@pytest.mark.parametrize("first", range(1, 25, 4))
def test_an_outage_delays_and_loses_nothing(service: str, first: int) -> None:
    """Whenever it begins, two hours without the service change only when things happen."""
    cloud = Cloud()
    cloud.promoted()
    for world in ("runs", "rollouts"):
        if hasattr(getattr(cloud, world), service):
            port = Outage(cloud, getattr(getattr(cloud, world), service))
            setattr(cloud, world, replace(getattr(cloud, world), **{service: port}))
    cloud.trigger(key="fact")
    for tick in range(200):
        cloud.away = first <= tick < first + 1  # type: ignore[attr-defined]
        try:
            cloud.tick()
        except Temporary:
            continue  # the message comes again
        if not cloud.store.list("active/"):
            break

    assert [run.state for run in cloud.all_runs] == [RunState.PROMOTED, RunState.PROMOTED]


def test_a_trigger_that_cannot_be_written_is_not_acknowledged() -> None:
    """Pub/Sub keeps the message then."""
    cloud = Cloud()
    cloud.intake = replace(cloud.intake, store=Outage(cloud, cloud.store))
    cloud.away = True  # type: ignore[attr-defined]

    with pytest.raises(RetrainingError):
        cloud.trigger()
