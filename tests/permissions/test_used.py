"""What is used is granted, and what is granted is used: no more, no less."""

import pytest

from local.recording.grants import Grants, idle, lacking
from local.recording.needs import UnknownCall
from local.recording.permissions import Use, used
from local.recording.system import JOBS, PEOPLE
from local.stack.resources import load_resources
from tests.permissions.conftest import Recorded

pytestmark = pytest.mark.timeout(900)  # the first test plays the scenario, on a machine that may be busy


def test_every_call_is_one_that_somebody_has_thought_of(recorded: Recorded) -> None:
    """A new method or statement must be given its permissions in local/recording first."""
    unknown = []
    for call in recorded.calls:
        try:
            used([call], recorded.installation)
        except UnknownCall as error:
            unknown.append(f"{call.account}: {error}")

    assert not unknown, "\n".join(dict.fromkeys(unknown))


def test_every_permission_that_is_used_is_granted(recorded: Recorded, allowed: dict[Use, str]) -> None:
    """Otherwise the code has begun to need something that Terraform does not give."""
    missing = [f"{use}, for {recorded.used[use]}" for use in lacking(recorded.used, allowed)]

    assert not missing, "terraform/permissions.yaml does not grant\n" + "\n".join(missing)


def test_every_permission_that_is_granted_is_used(recorded: Recorded, allowed: dict[Use, str]) -> None:
    """Otherwise Terraform gives more than the code needs."""
    extra = [f"{use}, by grant {allowed[use]}" for use in idle(allowed, recorded.used)]

    assert not extra, "nothing used what terraform/permissions.yaml grants\n" + "\n".join(extra)


def test_every_account_was_seen(recorded: Recorded, grants: Grants) -> None:
    """An account without calls would make the other tests hold for nothing."""
    accounts = {*load_resources().functions, *JOBS.values(), PEOPLE}

    assert {call.account for call in recorded.calls} == accounts == set(grants)
