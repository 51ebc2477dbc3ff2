"""Google's errors in our words."""

from typing import Any

import pytest
import requests
from google.api_core import exceptions as api_exceptions
from google.auth import exceptions as auth_exceptions

from gcp.errors import translated
from retraining.errors import Conflict, Exists, Refused, RetrainingError, Temporary

google: Any = api_exceptions  # their constructors carry no types
auth: Any = auth_exceptions

BUSY = [{"reason": "rateLimitExceeded"}]
DENIED = [{"reason": "accessDenied"}]


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (google.AlreadyExists("there"), Exists),
        (google.Conflict("there"), Conflict),
        (google.Aborted("moved"), Conflict),
        (google.PreconditionFailed("moved"), Conflict),
        (google.BadRequest("over REST"), Refused),
        (google.InvalidArgument("over gRPC"), Refused),
        (google.FailedPrecondition("not now"), Refused),
        (google.NotFound("nobody"), Refused),
        (google.Forbidden("no right", errors=DENIED), Refused),
        (google.PermissionDenied("no right"), Refused),
        (google.MethodNotImplemented("never"), Refused),
        (google.Forbidden("too often", errors=BUSY), Temporary),
        (google.TooManyRequests("too often"), Temporary),
        (google.ResourceExhausted("quota"), Temporary),
        (google.InternalServerError("oops"), Temporary),
        (google.ServiceUnavailable("away"), Temporary),
        (google.DeadlineExceeded("late"), Temporary),
        (google.Cancelled("cut"), Temporary),
        (google.Unknown("?"), Temporary),
        (google.RetryError("gave up", google.ServiceUnavailable("away")), Temporary),
        (auth.TransportError("unreachable"), Temporary),
        (auth.RefreshError("later", retryable=True), Temporary),
        (auth.DefaultCredentialsError("none"), Refused),
        (requests.ConnectionError("unreachable"), Temporary),
        (requests.Timeout("late"), Temporary),
        (ConnectionResetError("cut"), Temporary),
        (TimeoutError("late"), Temporary),
    ],
    ids=lambda value: f"{type(value).__name__}-{value}" if isinstance(value, Exception) else "",
)
def test_each_error_says_whether_another_attempt_helps(raised: Exception, expected: type[RetrainingError]) -> None:
    """The class is exact, the action is named and the cause is kept."""
    with pytest.raises(RetrainingError, match="reading the record") as caught, translated("reading the record"):
        raise raised

    assert type(caught.value) is expected
    assert caught.value.__cause__ is raised


def test_a_failed_precondition_may_mean_a_conflict() -> None:
    """Where it means that somebody else is at work, the caller says so."""
    with pytest.raises(Conflict), translated("moving traffic", precondition=Conflict):
        raise google.FailedPrecondition("another operation is in progress")


def test_our_own_errors_and_bugs_pass_unchanged() -> None:
    """Only outside errors are translated."""
    for error in (Refused("ours"), KeyError("a bug")):
        with pytest.raises(type(error)) as caught, translated("anything"):
            raise error

        assert caught.value is error
