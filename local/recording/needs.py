"""The permission that a call needs, and on what."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["project", "bucket", "object", "dataset", "topic", "account"]


class UnknownCall(Exception):
    """A call of which nobody has said what it needs; the text names it and where to say it."""


@dataclass(frozen=True)
class Need:
    """One permission on one thing, by the names that the services use.

    ``name`` is a bucket, ``bucket/object`` (of a list: ``bucket/prefix``), a dataset, a topic's full name or an
    account's address; empty for a project.
    """

    permission: str
    kind: Kind
    name: str = ""
