"""A rolling upgrade: for a while today's release and the next one work on the same records."""

import json
from typing import Any

import pytest

from retraining.errors import NewerRecord
from retraining.state import read_run
from tests.upgrade.freeze import folders
from tests.upgrade.journeys import JOURNEYS, end
from tests.upgrade.releases import LATER, MORE, Fleet, Kinds

NAMES = sorted(JOURNEYS)
WORLDS = folders()[-1] / "worlds"


def expected(name: str) -> Any:
    """How the work ends when one release does all of it."""
    return json.loads((WORLDS / f"{name}.json").read_text())["end"]


def roll(name: str, kinds: Kinds, order: str) -> Fleet:
    """Today's release works up to the journey's stop; then both, in this order."""
    journey = JOURNEYS[name]
    fleet = Fleet(journey.stand(), kinds)
    fleet.tick("n", "n")  # the first instance of the next release is up
    journey.after(fleet.cloud)
    fleet.settle(order)
    return fleet


def counted(fleet: Fleet, kinds: Kinds) -> dict[str, int]:
    """Path → writes of the next release, as the records themselves say."""
    found = {path: fleet.records.read(path) for kind in kinds for path in fleet.records.list(f"{kind}/")}
    counts = {path: json.loads(stored.body).get("writes", 0) for path, stored in found.items() if stored}
    return {path: count for path, count in counts.items() if count}


def written(fleet: Fleet, kinds: Kinds) -> dict[str, int]:
    """Path → writes of the next release, as its store counted them."""
    return {path: count for path, count in fleet.next.written.items() if path.split("/")[0] in kinds}


@pytest.mark.parametrize("name", NAMES[::3])
def test_an_added_field_survives_the_older_release(name: str) -> None:
    """Both releases move the same records in turn; what the next one noted is there, and the end is the same."""
    fleet = roll(name, MORE, "tn")

    assert end(fleet.cloud) == expected(name)
    assert counted(fleet, MORE) == written(fleet, MORE)


def test_the_older_release_did_write_over_added_fields() -> None:
    """Or the test above proves little."""
    fleet = roll("waiting", MORE, "tn")

    assert sum("writes" in record for record in fleet.today.over) > 10


@pytest.mark.parametrize("order", ["tn", "ttn", "ttttttnn", "tnn"])
@pytest.mark.parametrize("name", ["waiting", "step", "rolling_back"])
def test_the_order_of_the_releases_does_not_matter(name: str, order: str) -> None:
    """Whoever gets the tick does the next thing, once."""
    fleet = roll(name, MORE, order)

    assert end(fleet.cloud) == expected(name)
    assert counted(fleet, MORE) == written(fleet, MORE)


@pytest.mark.parametrize("name", NAMES[1::3])
def test_a_later_version_is_left_to_the_next_release(name: str) -> None:
    """Today's release writes over no record that it does not understand, and the end is the same."""
    fleet = roll(name, LATER, "tn")

    assert end(fleet.cloud) == expected(name)
    assert counted(fleet, LATER) == written(fleet, LATER)
    assert {record["version"] for record in fleet.today.over} <= {1}


@pytest.mark.parametrize("name", ["training", "step"])
@pytest.mark.parametrize("kind", sorted(LATER))
def test_each_kind_may_get_a_later_version_alone(kind: str, name: str) -> None:
    """What today's release still understands, it goes on with."""
    kinds = {kind: LATER[kind]}
    fleet = roll(name, kinds, "tn")
    later = [record for record in fleet.today.over if "currency" in record]

    assert end(fleet.cloud) == expected(name)
    assert counted(fleet, kinds) == written(fleet, kinds)
    assert later == []


def test_the_older_release_says_what_it_leaves_and_to_whom() -> None:
    """In every tick, by run and by endpoint; nothing is lost meanwhile."""
    fleet = roll("step", LATER, "tn")
    said = [line for line in fleet.cloud.reports if "NewerRecord" in line]

    assert any(line.startswith("flights-2026") for line in said)
    assert any(line.startswith("flights: postponed: NewerRecord: rollout: version:") for line in said)
    assert all("expected at most 1, got 2: left to the newer release that wrote it" in line for line in said)


def test_a_fact_is_taken_in_while_the_releases_change() -> None:
    """Today's release parks it though it may not read the model's records; the next one runs it."""
    fleet = Fleet(JOURNEYS["promoted"].stand(), LATER)
    fleet.settle("n")
    fleet.cloud.trigger(key="another-fact", at=fleet.cloud.now)  # of whichever release
    for _ in range(3):
        fleet.tick("t", "t")
    waits = fleet.records.list("inbox/")
    fleet.settle("tn")

    assert waits == ["inbox/flights/another-fact.json"]
    assert [cause.key for cause in fleet.cloud.all_runs[-1].causes] == ["another-fact"]


def test_going_back_leaves_what_the_next_release_began() -> None:
    """After a breaking change the older release alone does nothing, right or wrong; the next one goes on."""
    fleet = Fleet(JOURNEYS["training"].stand(), LATER)
    fleet.tick("n", "n")
    run = fleet.records.list("active/")[0].removeprefix("active/").removesuffix(".json")
    before = fleet.records.read(f"runs/{run}.json")
    for _ in range(20):
        fleet.tick("t", "t")
    after = fleet.records.read(f"runs/{run}.json")
    with pytest.raises(NewerRecord):
        read_run(fleet.records, run)
    fleet.settle("n")

    assert after == before
    assert end(fleet.cloud) == expected("training")


def test_going_back_after_an_added_field_goes_on() -> None:
    """The older release alone ends the work, and the field stays for when the next one returns."""
    fleet = Fleet(JOURNEYS["training"].stand(), MORE)
    fleet.tick("n", "n")
    noted = counted(fleet, MORE)
    fleet.settle("t")

    assert end(fleet.cloud) == expected("training")
    assert noted
    assert counted(fleet, MORE) == noted
