"""The rules of model version aliases: their form, and that each names one version."""

import re
from collections.abc import Sequence

from local.servers.rpc import invalid

DEFAULT = "default"
_FORM = r"[a-z][a-zA-Z0-9-]{0,126}[a-z0-9-]"


def check(alias: str) -> None:
    """Refuse what is no alias. Raises INVALID_ARGUMENT."""
    if not re.fullmatch(_FORM, alias):
        raise invalid(f"Invalid version alias {alias!r}: expected {_FORM}.")


def split_changes(changes: Sequence[str]) -> tuple[list[str], list[str]]:
    """(added, removed) of a merge request, where a leading ``-`` removes. Raises INVALID_ARGUMENT."""
    added = [change for change in changes if not change.startswith("-")]
    removed = [change[1:] for change in changes if change.startswith("-")]
    for alias in [*added, *removed]:
        check(alias)
    if DEFAULT in removed:
        raise invalid("The alias 'default' cannot be removed: give it to another version instead.")
    if both := sorted(set(added) & set(removed)):
        raise invalid(f"The aliases {both} are both added and removed.")
    return added, removed
