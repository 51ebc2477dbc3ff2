"""What one release makes of what another wrote: older, newer, and with fields that it does not know."""

import json
from typing import Any

import pytest

from retraining.errors import BadConfig, BadRecord, NewerRecord, Temporary
from retraining.migrations import Format
from retraining.modelfile import parse_model
from retraining.modelspec import ModelSpec
from retraining.record import Record
from retraining.records import JobRef, Run, RunState
from tests.monitoring.test_handler import SPEC, Installation
from tests.unit.build import FLIGHTS, NOW, evaluation, run, trigger


def _named(raw: dict[str, Any]) -> dict[str, Any]:
    return {**raw, "owner": raw["name"].title()}


def _listed(raw: dict[str, Any]) -> dict[str, Any]:
    return {**{key: value for key, value in raw.items() if key != "name"}, "names": [raw["name"]]}


class Thing(Record):
    """A record in its third form."""

    format = Format("thing", (_named, _listed))

    names: tuple[str, ...]
    owner: str


@pytest.mark.parametrize(
    "raw",
    [
        {"name": "bolt"},
        {"version": 1, "name": "bolt"},
        {"version": 2, "name": "bolt", "owner": "Bolt"},
        {"version": 3, "names": ["bolt"], "owner": "Bolt"},
    ],
)
def test_every_earlier_version_reads_as_today(raw: dict[str, Any]) -> None:
    """A record without a version is of version 1; each takes the steps that it lacks."""
    assert Thing.from_json(json.dumps(raw)) == Thing(names=("bolt",), owner="Bolt")


def test_what_is_written_names_todays_version() -> None:
    """At the first level, once: values inside are parts of their record."""
    written = json.loads(Thing(names=("bolt",), owner="Ann").to_json())
    body = run(causes=(trigger(),)).to_json()

    assert written == {"version": 3, "names": ["bolt"], "owner": "Ann"}
    assert body.count('"version"') == 1


def test_a_newer_record_is_left_alone() -> None:
    """Another attempt may succeed: that of the newer release."""
    with pytest.raises(NewerRecord, match="thing: version: expected at most 3, got 4") as raised:
        Thing.from_json('{"version": 4, "nothing": "that we know"}')

    assert isinstance(raised.value, Temporary)


@pytest.mark.parametrize("version", ['"2"', "0", "-1", "true", "1.0", "null"])
def test_a_version_is_a_whole_number_from_one(version: str) -> None:
    """Anything else was written by nobody."""
    with pytest.raises(BadRecord, match="thing: version: expected a whole number from 1, got"):
        Thing.from_json(f'{{"version": {version}, "name": "bolt"}}')


def test_a_record_that_cannot_be_brought_up_says_at_which_step() -> None:
    """The second step needs a name."""
    with pytest.raises(
        BadRecord, match="expected a record of version 2, got one that cannot be brought to version 3"
    ):
        Thing.from_json('{"version": 2, "owner": "Bolt"}')


def test_unknown_fields_survive_a_change() -> None:
    """At the first level, in values, in lists of values and in the verdicts of jobs."""
    ref = JobRef(kind="train", attempt=1, intended=NOW)
    body = json.loads(run(jobs=(ref,), evaluation=evaluation()).to_json())
    body["zone"] = {"name": "b", "since": 3}
    body["jobs"][0]["zone"] = "b"
    body["causes"][0]["zone"] = ["b"]
    body["evaluation"]["difference"]["zone"] = None
    read = Run.from_json(json.dumps(body))
    job = read.job("train")
    assert job is not None
    after = read.with_job(job.but(name="jobs/1")).move(RunState.FAILED, "it failed", NOW).but(nonce="n2")
    written = json.loads(after.to_json())

    assert written["zone"] == {"name": "b", "since": 3}
    assert (written["jobs"][0]["zone"], written["jobs"][0]["name"]) == ("b", "jobs/1")
    assert written["causes"][0]["zone"] == ["b"]
    assert written["evaluation"]["difference"]["zone"] is None


def test_a_chunk_of_verdicts_keeps_what_it_does_not_know() -> None:
    """The monitor adds a verdict to a month that a newer release has begun."""
    one = Installation()
    one.ordinary(2)
    [path] = one.store.list(f"monitor/{SPEC.name}/")
    stored = one.store.read(path)
    assert stored is not None
    body = {**json.loads(stored.body), "zone": "b"}
    one.store.replace(path, json.dumps(body), stored.version)
    one.ordinary(1)
    after = one.store.read(path)
    assert after is not None

    assert json.loads(after.body)["zone"] == "b"
    assert len(json.loads(after.body)["lines"]) == len(body["lines"]) + 1


@pytest.mark.parametrize("field", ["state", "history.0.state", "decision.action"])
def test_an_unknown_choice_is_a_newer_releases(field: str) -> None:
    """A state that this release does not know is nothing it may act on, and no damage."""
    body = json.loads(run().move(RunState.WAITING, "opened", NOW).to_json())
    body["decision"] = {"action": "train", "code": "c", "text": "t", "at": NOW.isoformat()}
    place: Any = body
    *path, last = (int(part) if part.isdecimal() else part for part in field.split("."))
    for part in path:
        place = place[part]
    place[last] = "resting"

    with pytest.raises(NewerRecord, match=f"Run: {field}: .*got 'resting'"):
        Run.from_json(json.dumps(body))


def test_damage_beside_an_unknown_choice_is_damage() -> None:
    """No release will read it."""
    body = {**json.loads(run().to_json()), "state": "resting", "opened": "yesterday"}

    with pytest.raises(BadRecord):
        Run.from_json(json.dumps(body))


FILE = FLIGHTS.model_dump_json(by_alias=True)


def test_a_model_file_may_name_its_version() -> None:
    """It says the same with and without: the digest, which runs keep, does not change."""
    named = parse_model(json.dumps({"version": 1, **json.loads(FILE)}), "flights.yaml")

    assert named == FLIGHTS
    assert named.digest == FLIGHTS.digest


def test_a_newer_model_file_is_refused_in_one_clear_line() -> None:
    """Whatever else in it is unknown here."""
    with pytest.raises(BadConfig) as raised:
        parse_model("version: 7\nname: flights\nflavour: sweet\n", "flights.yaml")

    assert str(raised.value) == "flights.yaml: version: expected at most 1, got 7: upgrade the functions first"


@pytest.mark.parametrize("version", ["x", "0", "true", "1.5"])
def test_a_model_files_version_is_a_whole_number(version: str) -> None:
    """The line names the field."""
    with pytest.raises(BadConfig, match=r"^flights.yaml: version: expected a whole number from 1, got [^\n]*$"):
        parse_model(f"version: {version}\nname: flights\n", "flights.yaml")


def test_the_job_reads_the_model_file_of_its_run() -> None:
    """The run's copy is JSON without the first version, which images of every release read."""
    assert "version" not in json.loads(FILE)
    assert ModelSpec.model_validate_json(FILE) == FLIGHTS
