"""Where incidents are kept: the open or last one of a model, and each that has closed, for ever."""

from functools import partial

from monitoring.records import Watch, watch_path
from retraining import names
from retraining.errors import Exists
from retraining.incidents import Incident
from retraining.intake import Effect, direct
from retraining.ports import Store


def closed_path(model: str, incident_id: str) -> str:
    """A closed incident. Create-only."""
    return f"incidents/{model}/{incident_id}.json"


def keep(store: Store, incident: Incident, effect: Effect = direct) -> None:
    """Keep a closed incident for ever; keeping it twice changes nothing. Raises ValueError for an open one."""
    if incident.closed is None:
        raise ValueError(f"incident {incident.incident_id}: expected a closed one, got one that is open")
    path = closed_path(incident.model, incident.incident_id)
    if store.read(path) is None:
        try:
            effect("keep incident", partial(store.create, path, incident.to_json()))
        except Exists:
            return  # another tick was faster; both tell the same


def incidents(store: Store, model: str, limit: int = 100) -> list[Incident]:
    """The newest incidents of a model, newest first, an open one included."""
    found: dict[str, Incident] = {}
    if stored := store.read(watch_path(model)):  # the monitor's own memory is never behind
        watched = Watch.from_json(stored.body).incident
        found |= {watched.incident_id: watched} if watched else {}
    for path in reversed(store.list(f"incidents/{model}/")[-limit:]):
        if stored := store.read(path):
            one = Incident.from_json(stored.body)
            found.setdefault(one.incident_id, one)
    if stored := store.read(names.incident_path(model)):
        current = Incident.from_json(stored.body)
        found.setdefault(current.incident_id, current)
    return sorted(found.values(), key=lambda one: one.opened, reverse=True)[:limit]
