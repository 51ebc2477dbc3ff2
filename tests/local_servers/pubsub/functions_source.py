"""Functions that write down what they receive, as a deployed function would receive it."""

import json
import os
from pathlib import Path

import functions_framework
from cloudevents.http import CloudEvent


@functions_framework.cloud_event
def record(event: CloudEvent) -> None:
    """Append the event's attributes and data to the file of the environment."""
    line = json.dumps({"attributes": dict(event.get_attributes()), "data": event.data})
    with Path(os.environ["RECORD"]).open("a") as file:
        file.write(line + "\n")


@functions_framework.cloud_event
def refuse(event: CloudEvent) -> None:
    """Fail the first two attempts of every message."""
    log = Path(os.environ["RECORD"] + "." + event["id"])
    tries = len(log.read_text()) if log.exists() else 0
    log.write_text("x" * (tries + 1))
    if tries < 2:
        raise RuntimeError("not yet")
    record(event)
