"""What an upload to Cloud Storage says of the object, without its content."""

import json
from collections.abc import Mapping


def description(body: bytes, content_type: str) -> bytes:
    """The JSON that describes the object, of an upload in one request or of the start of one in several."""
    if content_type.startswith("multipart/"):
        _, _, rest = body.partition(b"\r\n\r\n")
        return rest.partition(b"\r\n--")[0]
    return body if content_type.startswith("application/json") else b""


def object_name(query: Mapping[str, str], described: bytes) -> str:
    """The name of the uploaded object. Raises ValueError when nothing says it."""
    name = query.get("name") or (json.loads(described).get("name") if described else "")
    if not name:
        raise ValueError(
            f"upload: expected the object's name in the query or the description, got {described[:80]!r}"
        )
    return str(name)
