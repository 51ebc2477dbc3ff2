"""``python -m local.stack.endpoints``: an endpoint for each model, which logs every request.

Spoken over plain REST: importing Vertex AI's client would take longer than everything else that is created.
"""

import os
import sys
import time
from collections.abc import Mapping
from typing import Any

import requests

from local.stack.resources import ROOT
from retraining.modelfile import load_models
from retraining.modelspec import ModelSpec
from retraining.settings import Settings

_CALL_SECONDS = 30.0
_CREATE_SECONDS = 60.0


class EndpointRefused(Exception):
    """Vertex AI did not create an endpoint; the text holds its answer."""


def create_endpoints(settings: Settings, models: Mapping[str, ModelSpec], address: str) -> None:
    """Each model's endpoint, once, found again by its display name, at ``address`` (http://host:port).

    Raises EndpointRefused.
    """
    url = f"{address}/v1/projects/{settings.project}/locations/{settings.region}/endpoints"
    known = {one["displayName"] for one in _listed(url)}
    for spec in models.values():
        if spec.endpoint not in known:
            _await(address, _answer("POST", url, _endpoint(settings, spec)))
            known.add(spec.endpoint)


def _endpoint(settings: Settings, spec: ModelSpec) -> dict[str, Any]:
    return {
        "displayName": spec.endpoint,
        "labels": {"model": spec.name},
        "predictRequestResponseLoggingConfig": {
            "enabled": True,
            "samplingRate": spec.log.sampling_rate,
            "bigqueryDestination": {"outputUri": f"bq://{settings.project}.{spec.endpoint_log(settings.dataset)}"},
        },
    }


def _listed(url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    token = ""
    while True:
        page = _answer("GET", f"{url}?pageToken={token}")
        found += page.get("endpoints", [])
        token = page.get("nextPageToken", "")
        if not token:
            return found


def _await(address: str, operation: dict[str, Any]) -> None:
    deadline = time.monotonic() + _CREATE_SECONDS
    while not operation.get("done"):
        if time.monotonic() > deadline:
            raise EndpointRefused(f"{operation['name']}: expected it done within {_CREATE_SECONDS:.0f} s")
        time.sleep(0.05)
        operation = _answer("GET", f"{address}/v1/{operation['name']}")
    if "error" in operation:
        raise EndpointRefused(f"{operation['name']}: {operation['error']}")


def _answer(method: str, url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = requests.request(method, url, json=body, timeout=_CALL_SECONDS)
    if not answer.ok:
        raise EndpointRefused(f"{method} {url}: {answer.status_code} {answer.text[:500]}")
    content: dict[str, Any] = answer.json()
    return content


def main() -> int:
    """Create the endpoints of the settings' models; 0 when all are there."""
    settings = Settings.from_env(os.environ)
    try:
        create_endpoints(settings, load_models(ROOT / settings.models), os.environ["RETRAIN_VERTEX_REST"])
    except EndpointRefused as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
