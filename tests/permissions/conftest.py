"""The scenario, played once for all tests of this folder."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import pytest

from local.recording.calls import Call
from local.recording.grants import Grants, granted, load_grants
from local.recording.permissions import Installation, Use, used
from local.recording.system import RecordedSystem
from local.stack.options import PROJECT, Options
from tests.permissions.scenario import play
from tests.permissions.world import MODELS, World

NEVER = "0 0 29 2 *"  # Scheduler stays out: the scenario says when it is time


@dataclass(frozen=True)
class Recorded:
    """What was called, and what that takes."""

    calls: tuple[Call, ...]
    installation: Installation

    @cached_property
    def used(self) -> dict[Use, Call]:
        """Every permission with the first call that used it."""
        return used(self.calls, self.installation)


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory, allowed: dict[Use, str]) -> Recorded:
    """The calls of the whole scenario on real servers, which refuse what is not granted.

    With the variable PERMISSIONS=open nothing is refused: then one run tells of everything that is not granted.
    """
    accounts = {
        f"{name}_account": f"{name}@{PROJECT}.iam.gserviceaccount.com"
        for name in ("trainer", "evaluator", "server")
    }
    options = Options(
        clock=f"{datetime.now(UTC).isoformat()}*1",
        models=str(MODELS),
        crons=dict.fromkeys(("tick", "monitor", "watermark", "schedule"), NEVER),
        settings={**accounts, "modules": "current"},
    )
    grants = None if os.environ.get("PERMISSIONS") == "open" else allowed
    with RecordedSystem(tmp_path_factory.mktemp("recorded"), options, grants) as system:
        try:
            play(World(system))
        except AssertionError as error:
            if refused := "\n".join(dict.fromkeys(f"{call.refused}, for {call}" for call in system.log.refused)):
                raise AssertionError(f"terraform/permissions.yaml does not grant\n{refused}\n{error}") from error
            raise
        return Recorded(system.log.calls, system.installation)


@pytest.fixture(scope="session")
def grants() -> Grants:
    """What Terraform grants."""
    return load_grants()


@pytest.fixture(scope="session")
def allowed(grants: Grants) -> dict[Use, str]:
    """Every granted permission with the name of its grant."""
    return granted(grants)
