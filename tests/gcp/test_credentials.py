"""A machine without Google credentials: the adapters say so in our words, before any call."""

import subprocess
import sys
from pathlib import Path

import pytest

NOBODY = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "NO_GCE_CHECK": "true"}
CLIENTS = {
    "Cloud Storage": "from gcp.storage import connect; connect('p')",
    "BigQuery": "from gcp.bigquery import connect; connect('p')",
    "Vertex AI": (
        "from gcp.jobs import VertexJobs; from retraining.settings import Settings; "
        "VertexJobs(Settings('proj', 'us-central1', 's', 'a', 'd'))"
    ),
}


@pytest.mark.parametrize("service", CLIENTS)
def test_missing_credentials_are_a_clear_refusal(service: str) -> None:
    """Not a traceback of the library's own kind, which nothing of ours would catch."""
    script = f"""
from retraining.errors import Refused
try:
    {CLIENTS[service]}
except Refused as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[2], env=NOBODY, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout.startswith(f"connecting to {service} was refused: DefaultCredentialsError: ")
