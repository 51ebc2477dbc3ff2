"""Cloud Monitoring: an alert policy opened or closed an incident.

Observed values and thresholds are prose and are not read. The model comes from a label that the policy carries.
"""

from collections.abc import Mapping

from retraining.errors import BadMessage
from retraining.messages.context import Context, Ignored, Parsed
from retraining.messages.fields import Fields, brief, fields, moment, part, text
from retraining.triggers import Kind, Trigger, drift_key

EXAMPLE = '{"version": "1.2", "incident": {"incident_id": "0.abc", "state": "open"}}'
DETECTOR = "cloud-monitoring"


def is_incident(payload: object) -> bool:
    """Whether the payload is a notification of Cloud Monitoring."""
    return isinstance(payload, dict) and "incident" in payload


def parse(payload: object, attributes: Mapping[str, str], context: Context) -> Parsed:
    """One drift trigger for an opened incident. Raises BadMessage."""
    del attributes
    envelope = fields(payload, EXAMPLE)
    incident = part(envelope, "incident")
    incident_id, state = text(incident, "incident_id"), text(incident, "state").lower()
    if text(envelope, "version", "").lower() == "test":
        return Ignored("the test button of a notification channel")
    if state not in ("open", "closed"):
        raise BadMessage(f"incident.state: expected open or closed, got {state!r:.60}")
    if not incident_id:
        raise BadMessage("incident.incident_id: expected the incident's id, got empty text")
    named = _model(incident)
    if state == "closed":
        return Ignored(f"incident {brief(incident_id, 60)} closed", "incident closed", named[:60])
    spec = context.model(named)
    if spec.triggers.drift is None:
        return Ignored(f"model {spec.name} does not ask for runs on drift", model=spec.name)
    at = moment(incident.get("started_at")) or context.published
    trigger = Trigger(
        model=spec.name,
        kind=Kind.DRIFT,
        key=drift_key(DETECTOR, incident_id),
        at=at,
        reason=f"alert {brief(_shown(incident, 'policy_name')) or brief(incident_id, 60)}",
        message_id=context.message_id,
        details={
            "incident": brief(incident_id, 60),
            "condition": brief(_shown(incident, "condition_name")),
            "summary": brief(_shown(incident, "summary")),
        },
    )
    return [trigger]


def _shown(incident: Fields, key: str) -> str:
    value = incident.get(key)
    return value if isinstance(value, str) else ""


def _model(incident: Fields) -> str:
    for labels in (
        part(incident, "policy_user_labels"),
        part(incident, "metric", "labels"),
        part(incident, "resource", "labels"),
    ):
        if "model" in labels:
            return text(labels, "model")
    raise BadMessage(
        "incident: expected a label model in policy_user_labels, metric.labels or resource.labels, got none"
    )
