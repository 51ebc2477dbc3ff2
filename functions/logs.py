"""One line of JSON for each thing worth knowing, as Cloud Logging reads it from standard output.

Lines carry names, keys and reasons, never a message's body and never a request's headers.
"""

import json
import re
import sys
import traceback
from typing import Literal

from retraining.messages.fields import brief

Severity = Literal["INFO", "NOTICE", "WARNING", "ERROR"]

_LIMIT = 600
_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def log(severity: Severity, message: str, **fields: str) -> None:
    """Write one line. Empty fields are left out, long ones cut, and what no terminal should see becomes a space."""
    line: dict[str, str] = {"severity": severity, "message": brief(message, _LIMIT)}
    for name, value in fields.items():
        if value:
            line[_KEYS.get(name, name)] = value if name == "stack" else brief(value, _LIMIT)
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


_KEYS = {"trace": "logging.googleapis.com/trace", "stack": "stack_trace"}


def stack(error: BaseException) -> str:
    """Where ``error`` was raised: files, lines and functions, without the values in its text."""
    frames = traceback.extract_tb(error.__traceback__)
    return "\n".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-20:])


def trace_name(parent: object, project: str) -> str:
    """The trace's resource name for a W3C ``traceparent``; empty when there is none."""
    match = _PARENT.fullmatch(parent) if isinstance(parent, str) else None
    return f"projects/{project}/traces/{match[1]}" if match else ""
