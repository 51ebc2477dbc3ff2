"""The documented rules that protobuf itself does not check: required fields, labels, names and ids."""

import re
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from local.servers.rpc import RpcError, invalid

_PARENT = re.compile(r"projects/([^/]+)/locations/([^/]+)")
_MAX_LABELS = 64
_MAX_LABEL_LENGTH = 64
_MAX_DISPLAY_NAME = 128


def required(message: Any, *paths: str) -> None:
    """Refuse a message in which a field of ``paths`` (dotted) is unset or empty."""
    for path in paths:
        value = message
        for part in path.split("."):
            value = getattr(value, part)
        if not (value.ByteSize() if hasattr(value, "ByteSize") else value):
            raise missing_field(path)


def missing_field(path: str) -> RpcError:
    """The refusal of a request without ``path``."""
    return invalid(f"Required field is not set: {path}.")


def display_name(text: str, path: str) -> None:
    """A display name is required and has at most 128 characters."""
    if not text:
        raise missing_field(path)
    if len(text) > _MAX_DISPLAY_NAME:
        raise invalid(f"{path}: expected at most {_MAX_DISPLAY_NAME} characters, got {len(text)}.")


def labels(pairs: Any) -> None:
    """At most 64 characters of lower-case letters, digits, ``_`` and ``-`` each; keys begin with a letter."""
    if len(pairs) > _MAX_LABELS:
        raise invalid(f"labels: expected at most {_MAX_LABELS}, got {len(pairs)}.")
    for key, value in pairs.items():
        if not key or not key[0].isalpha() or not _label_text(key):
            raise _bad_label("key", key)
        if not _label_text(value):
            raise _bad_label("value", value)


def _label_text(text: str) -> bool:
    return len(text) <= _MAX_LABEL_LENGTH and all(
        c in "_-" or c.isnumeric() or (c.isalpha() and not c.isupper()) for c in text
    )


def _bad_label(part: str, text: str) -> RpcError:
    return invalid(
        f"Invalid label {part} {text!r}: expected at most {_MAX_LABEL_LENGTH} characters, only lower-case letters, "
        "digits, underscores and dashes; keys begin with a letter."
    )


def matches(pattern: str, text: str, what: str) -> None:
    """Refuse ``text`` unless ``pattern`` covers all of it."""
    if not re.fullmatch(pattern, text):
        raise invalid(f"{what}: expected {pattern}, got {text!r}.")


def gcs_uri(uri: str, path: str) -> None:
    """Refuse what is not ``gs://BUCKET[/OBJECT]``."""
    if not re.fullmatch(r"gs://[a-z0-9._-]+(/.*)?", uri):
        raise invalid(f"{path}: expected a Cloud Storage URI gs://BUCKET/PATH, got {uri!r}.")


def update_paths(mask: Any, allowed: frozenset[str], kind: str) -> list[str]:
    """The paths of an update mask. It is required and may name only what may change."""
    if not mask.paths:
        raise missing_field("update_mask")
    for path in mask.paths:
        if path.partition(".")[0] not in allowed:
            raise invalid(f"update_mask: {path!r} of {kind} cannot be updated; expected one of {sorted(allowed)}.")
    return list(mask.paths)


def merge(paths: list[str], source: Any, target: Any) -> None:
    """Copy the fields ``paths`` from ``source``; a field that is empty there becomes empty."""
    whole = [path for path in paths if "." not in path]
    for path in whole:
        target.ClearField(path)
    partial = type(source)()
    partial.CopyFrom(source)
    for field in source.DESCRIPTOR.fields:
        if field.name not in whole:
            partial.ClearField(field.name)
    target.MergeFrom(partial)
    _merge_nested([path for path in paths if "." in path], source, target)


def _merge_nested(paths: list[str], source: Any, target: Any) -> None:
    if paths:
        FieldMask(paths=paths).MergeMessage(source, target, True, True)


def split_parent(name: str) -> tuple[str, str]:
    """(project, location) of a resource name. Raises INVALID_ARGUMENT."""
    match = _PARENT.match(name)
    if match is None:
        raise invalid(f"Resource name {name!r} is malformed: expected projects/PROJECT/locations/LOCATION/...")
    return match[1], match[2]


def last(name: str) -> str:
    """The ID at the end of a resource name."""
    return name.rpartition("/")[2]


def location_of(name: str) -> str:
    """``projects/P/locations/R`` of a resource name."""
    project, location = split_parent(name)
    return f"projects/{project}/locations/{location}"
