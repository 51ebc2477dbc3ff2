"""The entry points. Each names what it serves; ``message.receive`` does the same for all."""

import functions_framework
from cloudevents.abstract import CloudEvent

from functions import entries
from functions.message import receive
from functions.wiring import world


@functions_framework.cloud_event
def on_data(event: CloudEvent) -> None:
    """Rows arrived in a source table, or it is time to look."""
    receive(event, entries.ON_DATA, world())


@functions_framework.cloud_event
def on_drift(event: CloudEvent) -> None:
    """Drift was found, by our monitor or by Google's."""
    receive(event, entries.ON_DRIFT, world())


@functions_framework.cloud_event
def on_schedule(event: CloudEvent) -> None:
    """It is time for a run of a model."""
    receive(event, entries.ON_SCHEDULE, world())


@functions_framework.cloud_event
def on_manual(event: CloudEvent) -> None:
    """A person asks for a run."""
    receive(event, entries.ON_MANUAL, world())


@functions_framework.cloud_event
def on_monitor(event: CloudEvent) -> None:
    """It is time to count and judge the logged requests."""
    receive(event, entries.ON_MONITOR, world())


@functions_framework.cloud_event
def on_tick(event: CloudEvent) -> None:
    """It is time to move runs on, or a job may have ended."""
    receive(event, entries.ON_TICK, world())


@functions_framework.cloud_event
def on_candidate(event: CloudEvent) -> None:
    """A candidate may take traffic, or it is time to move rollouts on."""
    receive(event, entries.ON_CANDIDATE, world())
