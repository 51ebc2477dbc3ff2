"""Cloud Scheduler: it is time.

Scheduler says neither its job's name nor the slot, so the body names the schedule, and the slot is the minute in
which the message was published. The name must be there: without it a person's request would pass for a schedule.
"""

from collections.abc import Mapping

from retraining.messages.context import Context, Ignored, Parsed
from retraining.messages.fields import closed, matching, one_of, text
from retraining.triggers import Ask, Kind, Trigger, schedule_key

EXAMPLE = '{"model": "flights", "schedule": "monthly"}'
FIELDS = ("model", "schedule", "action", "kind")


def parse(payload: object, attributes: Mapping[str, str], context: Context) -> Parsed:
    """One schedule trigger. Raises BadMessage, also for a field that is none of ours."""
    asked = closed(payload, attributes, FIELDS, EXAMPLE)
    one_of(asked, "kind", ("schedule",), "schedule")
    spec = context.model(text(asked, "model"))
    name = matching(asked, "schedule", r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}")
    planned = spec.triggers.schedule
    if planned is None:
        return Ignored(f"model {spec.name} has no schedule", model=spec.name)
    action = one_of(asked, "action", tuple(ask.value for ask in Ask), planned.action)
    slot = context.published.replace(second=0, microsecond=0)
    trigger = Trigger(
        model=spec.name,
        kind=Kind.SCHEDULE,
        key=schedule_key(name, slot),
        at=slot,
        reason=f"schedule {name} at {slot:%Y-%m-%d %H:%M} UTC",
        ask=Ask(action),
        message_id=context.message_id,
        details={"schedule": name},
    )
    return [trigger]
