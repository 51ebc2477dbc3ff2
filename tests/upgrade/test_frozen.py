"""Records of every release that was ever frozen: they read, and work that they left open ends as it would have."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, create_model

from retraining import migrations
from retraining.migrations import Format
from retraining.modelfile import load_models
from retraining.record import Record
from retraining.records import RunState
from retraining.rollouts import Phase
from tests.upgrade.freeze import TABLES, folders, freeze, records, thaw
from tests.upgrade.journeys import JOURNEYS
from tests.upgrade.kinds import PLACES, difference, formats, reader, shape
from tests.upgrade.samples import drifting

FOLDERS = folders()
NEWEST = FOLDERS[-1]
FILES = [path for folder in FOLDERS for path in (*sorted(folder.glob("worlds/*.json")), folder / "samples.json")]
WORLDS = [path for path in FILES if path.parent.name == "worlds"]


def named(path: Path) -> str:
    """For example v1-held."""
    return "-".join(
        part for part in (*path.parts[-3:-1], path.stem) if re.fullmatch(r"v\d+", part) or part == path.stem
    )


def frozen(path: Path) -> dict[str, Any]:
    """What a file holds."""
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.mark.parametrize("path", FILES, ids=named)
def test_every_frozen_record_reads(path: Path) -> None:
    """And is written back with every field that it has, in its newest form."""
    for place, raw in frozen(path)["records"].items():
        kind = reader(place)
        if kind is None:
            continue
        assert kind.format is not None
        read = kind.from_json(json.dumps(raw))
        written = json.loads(read.to_json())

        assert kind.from_json(read.to_json()) == read, place
        assert written["version"] == kind.format.version, place
        assert raw.get("version", 1) < kind.format.version or raw.keys() <= written.keys(), place


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_first_version_may_stay_unsaid(path: Path) -> None:
    """As in the records that were written before there were versions."""
    for place, raw in frozen(path)["records"].items():
        kind = reader(place)
        if kind is None or raw["version"] != 1:
            continue
        bare = {key: value for key, value in raw.items() if key != "version"}

        assert kind.from_json(json.dumps(bare)) == kind.from_json(json.dumps(raw)), place


@pytest.mark.parametrize("path", WORLDS, ids=named)
def test_open_work_ends_as_it_would_have(path: Path) -> None:
    """The same verdicts, champion, number of jobs and money as in the release that began it."""
    world, journey = frozen(path), JOURNEYS[path.stem]
    cloud = journey.stand()
    thaw(world, cloud)

    assert journey.go_on(cloud) == world["end"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.name))
def test_an_open_incident_closes_after_quiet_days(folder: Path) -> None:
    """The monitor goes on with the record of an earlier release."""
    one = drifting()
    for place, raw in frozen(folder / "samples.json")["records"].items():
        if (stored := one.store.read(place)) is not None:
            one.store.replace(place, json.dumps(raw), stored.version)
    was_open = one.incident is not None and one.incident.closed is None
    one.ordinary(4)

    assert was_open
    assert one.incident is not None
    assert one.incident.closed is not None


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.name))
def test_every_frozen_model_file_reads(folder: Path) -> None:
    """Teams do not rewrite their files because we deliver."""
    assert load_models(folder / "models")


TABLE_FILES = [path for folder in FOLDERS for path in sorted((folder / "tables").glob("*.json"))]


@pytest.mark.parametrize("path", TABLE_FILES, ids=named)
def test_a_table_only_gains_columns_that_may_be_empty(path: Path) -> None:
    """BigQuery adds such columns to a table with rows, and both releases' statements name the columns they use."""
    before, after = (json.loads((folder / path.name).read_text()) for folder in (path.parent, TABLES))
    columns = {column["name"]: column for column in after["schema"]}
    kept = [columns.pop(column["name"], None) for column in before["schema"]]
    new = {column.get("mode", "NULLABLE") for column in columns.values()}

    assert [_stored(column) for column in kept] == [_stored(column) for column in before["schema"]]
    assert new <= {"NULLABLE", "REPEATED"}
    assert (after.get("partition"), after.get("cluster")) == (before.get("partition"), before.get("cluster"))


def _stored(column: dict[str, str] | None) -> dict[str, str]:
    return {key: value for key, value in (column or {}).items() if key != "description"}


def test_every_state_and_phase_is_frozen() -> None:
    """Of runs and of rollouts, each as it is found in a record that stands still."""
    found = [raw for path in NEWEST.glob("worlds/*.json") for raw in frozen(path)["records"].items()]
    states = {raw["state"] for place, raw in found if place.startswith("runs/")}
    phases = {raw["phase"] for place, raw in found if place.startswith("rollouts/")}

    assert states == set(RunState)
    assert phases == set(Phase)


def test_every_kind_is_frozen() -> None:
    """No format without a class, and no class without a frozen record."""
    known = {value.kind for value in vars(migrations).values() if isinstance(value, Format)}
    seen = {reader(place) for path in FILES if NEWEST in path.parents for place in frozen(path)["records"]}

    assert known == set(formats())
    assert seen - {None} == set(PLACES.values())


def _kinds(base: type[Record]) -> set[type[Record]]:
    return {base}.union(*(_kinds(kind) for kind in base.__subclasses__()))


def test_every_class_with_a_format_is_known_here() -> None:
    """But for those that read a part of another's record, whose names begin with an underscore."""
    ours = {kind for kind in _kinds(Record) if not kind.__module__.startswith("tests.")}
    stored = {kind for kind in ours if kind.format is not None and not kind.__name__.startswith("_")}

    assert stored == set(PLACES.values())


KINDS = sorted(formats().items())


@pytest.mark.parametrize(("kind", "today"), KINDS, ids=[kind for kind, _ in KINDS])
def test_a_shape_changes_by_addition_or_with_a_version(kind: str, today: tuple[int, type[BaseModel]]) -> None:
    """For anything else: raise the version in ``retraining/migrations.py`` by a step, and freeze a new folder with
    ``python -m tests.upgrade.freeze``.
    """
    version, cls = today
    before = frozen(NEWEST / "shapes.json")[kind]

    assert version == before["version"], f"freeze version {version} of {kind}"
    assert difference(before["shape"], shape(cls)) == []


class Before(BaseModel):
    """A shape."""

    name: str
    size: int = 0


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"name": (str, ...), "size": (int, 0), "note": (str, "")}, []),
        ({"name": (str, ...), "size": (int, 0), "inside": (Before | None, None)}, []),
        ({"name": (str, ...)}, [".size is gone"]),
        ({"name": (str, ...), "size": (float, 0)}, [".size was 'integer?', is 'number?'"]),
        ({"name": (str, ...), "size": (int, ...)}, [".size was 'integer?', is 'integer'"]),
        ({"name": (str, ...), "size": (int, 0), "note": (str, ...)}, [".note is new and has no default"]),
        ({"name": (str, ...), "size": (int, 0), "part": (Before, ...)}, [".part is new and has no default"]),
    ],
)
def test_what_counts_as_an_addition(changes: dict[str, Any], found: list[str]) -> None:
    """A new field with a default, whatever is in it. Nothing else."""
    assert difference(shape(Before), shape(create_model("After", **changes))) == found


def test_what_was_frozen_is_never_written_again() -> None:
    """It is what installations hold that were not upgraded since."""
    with pytest.raises(FileExistsError):
        freeze(NEWEST)


def test_a_thawed_world_holds_the_frozen_records_only() -> None:
    """Or the test above would go on with today's."""
    path = next(path for path in WORLDS if path.stem == "step")
    cloud = JOURNEYS["step"].stand()
    marked = json.loads(path.read_text())
    for raw in marked["records"].values():
        raw["mark"] = "frozen"
    thaw(marked, cloud)
    found = records(cloud)

    assert len(found) == len(marked["records"])
    assert {raw.get("mark") for raw in found.values()} == {"frozen"}
