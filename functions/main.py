"""The entry points. Each names what it serves; ``request.respond`` does the same for all."""

import functions_framework
from flask import Request, Response

from functions import entries
from functions.request import respond
from functions.wiring import world


@functions_framework.http
def on_data(request: Request) -> Response:
    """Rows arrived in a source table, or it is time to look."""
    return respond(request, entries.ON_DATA, world)


@functions_framework.http
def on_drift(request: Request) -> Response:
    """Drift was found, by our monitor or by Google's."""
    return respond(request, entries.ON_DRIFT, world)


@functions_framework.http
def on_schedule(request: Request) -> Response:
    """It is time for a run of a model."""
    return respond(request, entries.ON_SCHEDULE, world)


@functions_framework.http
def on_manual(request: Request) -> Response:
    """A person asks for a run."""
    return respond(request, entries.ON_MANUAL, world)


@functions_framework.http
def on_monitor(request: Request) -> Response:
    """It is time to count and judge the logged requests."""
    return respond(request, entries.ON_MONITOR, world)


@functions_framework.http
def on_tick(request: Request) -> Response:
    """It is time to move runs on, or a job may have ended."""
    return respond(request, entries.ON_TICK, world)


@functions_framework.http
def on_candidate(request: Request) -> Response:
    """A candidate may take traffic, or it is time to move rollouts on."""
    return respond(request, entries.ON_CANDIDATE, world)
