"""Google's errors in our words, in one place; the cause stays attached for the log.

Three families arrive here. Over gRPC a refusal is InvalidArgument or FailedPrecondition, over REST it is their
parent BadRequest. An unreachable server is ``requests.ConnectionError``, which is no Google error at all. And a
call that was repeated until its patience ended is RetryError, whatever the last answer was.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import requests
from google.api_core import exceptions as google
from google.auth import exceptions as auth

from retraining.errors import Conflict, Exists, Refused, RetrainingError, Temporary

# Over REST a server that is asked too often may answer 403; the reason in its body tells it from a missing right.
_BUSY_REASONS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "jobRateLimitExceeded", "backendError"})
_UNREACHABLE = (requests.RequestException, google.RetryError, ConnectionError, TimeoutError)


@contextmanager
def translated(action: str, precondition: type[RetrainingError] = Refused) -> Iterator[None]:
    """Raise Temporary, Refused, Conflict or Exists in place of what Google's clients raise.

    ``action`` says what was tried. ``precondition`` is what FAILED_PRECONDITION means here: Google answers it both
    for what can never work and for a state that will pass.
    """
    try:
        yield
    except (google.GoogleAPICallError, auth.GoogleAuthError, *_UNREACHABLE) as error:
        kind = _kind(error, precondition)
        verb = "was refused" if kind is Refused else "failed"
        raise kind(f"{action} {verb}: {_text(error)}") from error


def _kind(error: Exception, precondition: type[RetrainingError]) -> type[RetrainingError]:
    if isinstance(error, google.AlreadyExists):
        return Exists
    if isinstance(error, google.FailedPrecondition):
        return precondition
    if isinstance(error, google.Conflict | google.PreconditionFailed):  # ABORTED is a Conflict, too
        return Conflict
    if isinstance(error, google.Forbidden) and _reasons(error) & _BUSY_REASONS:
        return Temporary
    if isinstance(error, google.TooManyRequests | google.Cancelled):
        return Temporary
    if isinstance(error, google.ClientError):
        return Refused
    if isinstance(error, google.MethodNotImplemented):
        return Refused
    if isinstance(error, auth.GoogleAuthError) and not isinstance(error, auth.TransportError):
        return Temporary if error.retryable else Refused
    return Temporary


def _reasons(error: google.GoogleAPICallError) -> set[str]:
    return {str(item.get("reason", "")) for item in error.errors if isinstance(item, dict)}


def _text(error: Exception) -> str:
    """The server's own sentence, without the client's preface."""
    if isinstance(error, google.RetryError) and error.cause is not None:
        return f"{type(error.cause).__name__}: {error.cause}"
    if isinstance(error, google.GoogleAPICallError):
        return str(error.message)
    return f"{type(error).__name__}: {error}"
