"""Where messages go that cannot be understood: put aside once, for people to look at, and never delivered again."""

import contextlib
import hashlib
import json

from functions.envelope import Envelope, shown
from functions.world import World
from retraining import names
from retraining.errors import Exists, Temporary


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
        "attributes": shown(envelope.attributes)[:1024],
    }
    try:
        with contextlib.suppress(Exists):
            world.intake.store.create(path, json.dumps(record))
    except Exception as fault:
        raise Temporary(f"quarantine {path} could not be written: {type(fault).__name__}") from fault
    return path
