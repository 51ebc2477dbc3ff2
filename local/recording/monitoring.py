"""Calls of Cloud Monitoring and the permissions they need.

https://cloud.google.com/monitoring/access-control lists them by method; they are held against the project.
"""

import re

from local.recording.calls import Call
from local.recording.needs import Need, UnknownCall

_SERIES = re.compile(r"/v3/projects/[^/]+/timeSeries")


def needs(call: Call) -> tuple[Need, ...]:
    """What a call of Cloud Monitoring needs. Raises UnknownCall."""
    if call.method == "GET" and _SERIES.fullmatch(call.path):
        return (Need("monitoring.timeSeries.list", "project"),)
    raise UnknownCall(f"{call}: expected a method that local/recording/monitoring.py knows")
