"""What is told of an incident, and what is kept quiet."""

import json

import pytest

from monitoring.incident import Event
from monitoring.telling import audits, publications
from retraining.incidents import Do, Incident
from tests.unit.build import DAY, NOW

OPEN = Incident(
    incident_id="flights-1",
    model="flights",
    kind="drift",
    opened=NOW,
    features={"distance": 0.4},
    windows=(NOW,),
    baseline_id="run",
    do="retrain",
    why="the traffic moved",
)


def test_an_incident_that_asks_for_a_run_is_published() -> None:
    """With what moved, and why."""
    [notice] = publications(OPEN, NOW)
    body = json.loads(notice.body)

    assert (body["incident_id"], body["do"], body["why"]) == ("flights-1", "retrain", "the traffic moved")


@pytest.mark.parametrize("do", ["nothing", "look at the feed"])
def test_an_incident_that_asks_for_something_else_is_not(do: Do) -> None:
    """A run would train what nobody asked for."""
    assert publications(OPEN.but(do=do), NOW) == []


def test_a_closed_incident_goes_along_whole() -> None:
    """The next one may open in the same look, and take its place in the record."""
    closed = OPEN.but(closed=NOW + DAY)
    opened = OPEN.but(incident_id="flights-2")
    events = [Event("incident closed", "three ordinary windows", closed), Event("incident opened", "again", opened)]
    first, second = audits(opened, events)

    assert Incident.from_json(first.body) == closed
    assert (second.details["incident"], second.body) == ("flights-2", "")
