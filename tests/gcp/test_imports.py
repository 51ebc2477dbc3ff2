"""An adapter pays for its own client only: a cold start is time that somebody waits."""

import subprocess
import sys

import pytest

HEAVY = ("google.cloud.aiplatform_v1", "google.cloud.bigquery", "google.cloud.pubsub_v1", "google.cloud.storage")


def loaded_by(module: str) -> set[str]:
    """Which of the heavy clients a fresh process has loaded after importing ``module``."""
    code = f"import sys, {module}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("module", "clients"),
    [
        ("gcp.errors", set()),
        ("gcp.clock", set()),
        ("gcp.bus", set()),
        ("gcp.tables", set()),
        ("gcp.store", {"google.cloud.storage"}),
        ("gcp.artifacts", {"google.cloud.storage"}),
        ("gcp.warehouse", {"google.cloud.bigquery"}),
        ("gcp.jobs", {"google.cloud.aiplatform_v1"}),
    ],
)
def test_importing_an_adapter_loads_its_client_only(module: str, clients: set[str]) -> None:
    """No other client comes along."""
    assert loaded_by(module) == clients
