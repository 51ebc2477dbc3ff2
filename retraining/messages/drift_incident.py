"""Our own incidents of drift, as the monitor publishes them."""

from collections.abc import Mapping

from retraining.messages.context import Context, Ignored, Parsed
from retraining.messages.fields import brief, fields, instant, matching, one_of, part, text
from retraining.triggers import Kind, Trigger, drift_key

EXAMPLE = (
    '{"kind": "drift-incident", "model": "flights", "incident_id": "...", "window_end": "2026-01-31T00:00:00Z"}'
)
_ID = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}"
_SHOWN = 20


def is_incident(payload: object) -> bool:
    """Whether the payload is an incident of our monitor."""
    return isinstance(payload, dict) and payload.get("kind") == "drift-incident"


def parse(payload: object, attributes: Mapping[str, str], context: Context) -> Parsed:
    """One drift trigger, or none for an incident of broken data. Raises BadMessage."""
    del attributes
    body = fields(payload, EXAMPLE)
    spec = context.model(text(body, "model"))
    incident = matching(body, "incident_id", _ID)
    end = instant(body, "window_end")
    moved = part(body, "features")
    if one_of(body, "incident_kind", ("drift", "data"), "drift") == "data":
        return Ignored("a data incident asks for a look at the feed, not for a run", "data incident", spec.name)
    if one_of(body, "do", ("retrain", "look at the feed", "nothing"), "retrain") != "retrain":
        why = brief(text(body, "why", ""), 300)
        return Ignored(f"incident {incident} asks for {brief(text(body, 'do'))}: {why}", "drift noted", spec.name)
    if spec.triggers.drift is None:
        return Ignored(f"model {spec.name} does not ask for runs on drift", model=spec.name)
    effects = {brief(name, 60): f"{size:.3g}" for name, size in list(moved.items())[:_SHOWN] if _is_number(size)}
    trigger = Trigger(
        model=spec.name,
        kind=Kind.DRIFT,
        key=drift_key(incident, f"{end:%Y-%m-%dT%H:%MZ}"),
        at=end,
        reason=f"drift in {', '.join(effects) or 'the logged requests'}",
        message_id=context.message_id,
        details={"incident": incident, **{f"effect {name}": size for name, size in effects.items()}},
    )
    return [trigger]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
