"""Functions that write down what they receive, as a deployed function would receive it."""

import json
import os
from pathlib import Path

import flask
import functions_framework


@functions_framework.http
def record(request: flask.Request) -> str:
    """Append the request's body to the file of the environment."""
    with Path(os.environ["RECORD"]).open("a") as file:
        file.write(json.dumps(request.get_json()) + "\n")
    return ""


@functions_framework.http
def refuse(request: flask.Request) -> str:
    """Fail the first two attempts of every message."""
    log = Path(os.environ["RECORD"] + "." + request.get_json()["message"]["messageId"])
    tries = len(log.read_text()) if log.exists() else 0
    log.write_text("x" * (tries + 1))
    if tries < 2:
        raise RuntimeError("not yet")
    return record(request)
