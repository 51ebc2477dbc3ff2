"""The scenario, played once for all tests of this folder."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from local.recording.calls import Call
from local.recording.grants import Grants, granted, load_grants
from local.recording.permissions import Installation, Use, used
from local.recording.system import RecordedSystem
from local.stack.options import PROJECT, Options
from tests.permissions.scenario import play
from tests.permissions.world import MODELS, SPEC, World


@dataclass(frozen=True)
class Recorded:
    """What was called, and what that takes."""

    calls: tuple[Call, ...]
    used: dict[Use, Call]


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """The calls of the whole scenario on real servers."""
    accounts = {
        f"{name}_account": f"{name}@{PROJECT}.iam.gserviceaccount.com"
        for name in ("trainer", "evaluator", "server")
    }
    options = Options(
        clock=f"{datetime.now(UTC).isoformat()}*1",
        models=str(MODELS),
        settings={**accounts, "modules": "current"},
    )
    began = time.monotonic()
    with RecordedSystem(tmp_path_factory.mktemp("recorded"), options) as system:
        print(f"ready after {time.monotonic() - began:.0f} s")
        play(World(system))
        calls, settings = system.log.calls, system.settings
    print(f"{len(calls)} calls in {time.monotonic() - began:.0f} s")
    sources = frozenset({SPEC.source.table.partition(".")[0]})
    return Recorded(calls, used(calls, Installation(settings, sources)))


@pytest.fixture(scope="session")
def grants() -> Grants:
    """What Terraform grants."""
    return load_grants()


@pytest.fixture(scope="session")
def allowed(grants: Grants) -> dict[Use, str]:
    """Every granted permission with the name of its grant."""
    return granted(grants)
