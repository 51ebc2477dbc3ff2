"""The entry points as ``functions/main.py`` has them, over a world that the proof of hostile messages gives.

A source file for ``functions_framework.create_app``. What differs from the deployed file is where records go.
"""

import functions_framework
from flask import Request, Response

from functions import entries
from functions.request import respond
from tests.prove.witness import PLACE


@functions_framework.http
def on_data(request: Request) -> Response:
    """See functions.main."""
    return respond(request, entries.ON_DATA, PLACE.world)


@functions_framework.http
def on_drift(request: Request) -> Response:
    """See functions.main."""
    return respond(request, entries.ON_DRIFT, PLACE.world)


@functions_framework.http
def on_schedule(request: Request) -> Response:
    """See functions.main."""
    return respond(request, entries.ON_SCHEDULE, PLACE.world)


@functions_framework.http
def on_manual(request: Request) -> Response:
    """See functions.main."""
    return respond(request, entries.ON_MANUAL, PLACE.world)


@functions_framework.http
def on_monitor(request: Request) -> Response:
    """See functions.main."""
    return respond(request, entries.ON_MONITOR, PLACE.world)


@functions_framework.http
def on_tick(request: Request) -> Response:
    """See functions.main."""
    return respond(request, entries.ON_TICK, PLACE.world)


@functions_framework.http
def on_candidate(request: Request) -> Response:
    """See functions.main."""
    return respond(request, entries.ON_CANDIDATE, PLACE.world)
