"""What is told of an incident: lines of the audit, and the message that asks for a run."""

import json
from collections.abc import Iterable
from datetime import datetime

from monitoring.incident import Event
from monitoring.records import Notice
from retraining.incidents import Incident


def audits(incident: Incident | None, events: Iterable[Event]) -> list[Notice]:
    """A line of the audit for each event. A closed incident goes along whole: the next may open meanwhile."""
    told = []
    for event in events:
        about = event.incident or incident
        if about is not None:
            notice = audit(event.what, about, event.reason)
            told.append(notice.but(body=about.to_json()) if event.what == "incident closed" else notice)
    return told


def audit(what: str, incident: Incident, reason: str) -> Notice:
    """A line of the audit about the incident."""
    return Notice(
        kind="audit",
        what=what,
        details={"incident": incident.incident_id, "kind": incident.kind, "reason": reason},
    )


def publications(incident: Incident | None, end: datetime) -> list[Notice]:
    """The message that asks for a run because of the incident, as of a window that ended at ``end``; none when the
    incident is closed or asks for something else."""
    if incident is None or incident.closed is not None or incident.kind != "drift":
        return []
    if incident.do not in (None, "retrain"):
        return []
    body = {
        "kind": "drift-incident",
        "model": incident.model,
        "incident_id": incident.incident_id,
        "incident_kind": incident.kind,
        "window_end": end.isoformat(),
        "features": {name: round(effect, 4) for name, effect in incident.features.items()},
        "do": "retrain",
        "why": incident.why,
    }
    return [Notice(kind="publish", body=json.dumps(body))]
