"""A person asks for a run.

The message names a model and never defines anything: no image, table, SQL, path, budget or parameter may come this
way, and a field that is not in the list below is refused, not skipped.
"""

from collections.abc import Mapping

from retraining.errors import BadMessage
from retraining.messages.context import Context, Parsed
from retraining.messages.fields import brief, closed, flag, matching, one_of, text
from retraining.triggers import Ask, Kind, Trigger, manual_key

EXAMPLE = '{"model": "flights", "action": "train", "reason": "new airport"}'
FIELDS = ("model", "action", "force", "dry_run", "reason", "request_id", "actor")
_REQUEST = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
MAX_REASON = 500
MAX_ACTOR = 200


def parse(payload: object, attributes: Mapping[str, str], context: Context) -> Parsed:
    """One manual trigger; without a request_id its key is the message's id. Raises BadMessage."""
    asked = closed(payload, attributes, FIELDS, EXAMPLE)
    spec = context.model(text(asked, "model"))
    request = matching(asked, "request_id", _REQUEST, "") or context.message_id
    reason = _limited(text(asked, "reason", ""), "reason", MAX_REASON)
    trigger = Trigger(
        model=spec.name,
        kind=Kind.MANUAL,
        key=manual_key(request),
        at=context.published,
        reason=reason or "asked by message",
        ask=Ask(one_of(asked, "action", tuple(ask.value for ask in Ask), Ask.AUTO)),
        force=flag(asked, "force"),
        dry_run=flag(asked, "dry_run"),
        actor=_limited(text(asked, "actor", ""), "actor", MAX_ACTOR),
        message_id=context.message_id,
        details={"actor_is": "claimed by the message"} if "actor" in asked else {},
    )
    return [trigger]


def _limited(value: str, field: str, limit: int) -> str:
    if len(value) > limit:
        raise BadMessage(f"{field}: expected at most {limit} characters, got {len(value)}")
    return brief(value, limit)
