"""Where messages go that cannot be understood: put aside once, for people to look at, and never delivered again."""

import base64
import contextlib
import hashlib
import json
from typing import Any

from functions.envelope import Envelope, shown
from functions.world import World
from retraining import names
from retraining.errors import Exists, Temporary

_LONGEST_ATTRIBUTES = 1024  # characters


def put_aside(world: World, entry: str, envelope: Envelope, error: Exception) -> str:
    """Write one record for a message and return its path; the same message again changes nothing.

    Raises Temporary when the record cannot be written: then, and only then, the message must come again.
    """
    content = envelope.identity()
    path = names.quarantine_path(content)
    record = {
        "reason": str(error)[:1000],
        "error": type(error).__name__,
        "entry": entry,
        "message_id": envelope.message_id,
        "published": envelope.published.isoformat(),
        "at": world.intake.now().isoformat(),
        "sha256": hashlib.sha256(content).hexdigest(),
        "body": envelope.preview().decode(errors="replace"),
        "attributes": shown(envelope.attributes)[:_LONGEST_ATTRIBUTES],
        "again": _again(envelope),
    }
    try:
        with contextlib.suppress(Exists):
            world.intake.store.create(path, json.dumps(record))
    except Exception as fault:
        raise Temporary(f"quarantine {path} could not be written: {type(fault).__name__}") from fault
    return path


def _again(envelope: Envelope) -> dict[str, Any] | None:
    """The whole message, for one who wants to publish it again; None where only a part of it is kept."""
    body, attributes = envelope.whole(), envelope.attributes or {}
    if body is None or not isinstance(attributes, dict) or len(shown(attributes)) > _LONGEST_ATTRIBUTES:
        return None
    if not all(isinstance(text, str) and _is_whole(name + text) for name, text in attributes.items()):
        return None
    return {"data": base64.b64encode(body).decode(), "attributes": attributes}


def _is_whole(text: str) -> bool:
    """Whether no half character is in it, which Pub/Sub could not carry."""
    return not any("\ud800" <= sign <= "\udfff" for sign in text)
