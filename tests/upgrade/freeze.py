"""Freezes the records of today's release: ``python -m tests.upgrade.freeze`` makes the next folder here.

A folder holds worlds (every record of a world that stands still, and how its work ended), samples of the records
that no such world has, the model files, the tables' columns, and the shape of every kind. Folders are never written
again: they are what installations hold that were never upgraded since.
"""

import json
import re
import shutil
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from retraining.names import deployed_id
from tests.engine.cloud import Cloud
from tests.upgrade.journeys import JOURNEYS, Journey
from tests.upgrade.kinds import formats, shape
from tests.upgrade.samples import samples

HERE = Path(__file__).parent
MODELS = HERE.parents[1] / "models"
TABLES = HERE.parents[1] / "terraform" / "tables"
OPEN = (
    "inbox/",
    "claims/",
    "active/",
    "runs/",
    "models/",
    "budget/",
    "rollouts/",
    "outcomes/",
    "candidates/",
    "rolling/",
)
REPORTS = ("gs://artifacts/runs/{run}/report/manifest.json", "gs://artifacts/evaluations/{run}.json")
RUN = re.compile(r"flights-\d{8}-\d{6}-[0-9a-f]{4}")


def records(cloud: Cloud) -> dict[str, Any]:
    """Path or address → JSON of everything that lies in the world's buckets, the audit but for its end left out."""
    found = {path: cloud.store.read(path) for prefix in OPEN for path in cloud.store.list(prefix)}
    found |= {path: cloud.store.read(path) for path in cloud.store.list("events/")[-1:]}
    bodies = {path: json.loads(stored.body) for path, stored in found.items() if stored}
    for run in sorted(set(RUN.findall(json.dumps(bodies)))):
        for place in REPORTS:
            if (body := cloud.artifacts.read(place.format(run=run))) is not None:
                bodies[place.format(run=run)] = json.loads(body)
    return bodies


def world(journey: Journey) -> dict[str, Any]:
    """A world that stands still, and how it ended."""
    cloud = journey.stand()
    frozen = {"now": cloud.now.isoformat(), "records": records(cloud)}
    return {**frozen, "end": journey.go_on(cloud)}


def folders() -> list[Path]:
    """Every frozen release, oldest first."""
    found = [path for path in HERE.glob("v*") if re.fullmatch(r"v\d+", path.name)]
    return sorted(found, key=lambda path: int(path.name[1:]))


def write(path: Path, value: dict[str, Any]) -> None:
    """JSON with one record a line, so that a look at it tells something."""
    lines = []
    for key, inner in value.items():
        if key == "records":
            inside = ",\n".join(
                f"  {json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in inner.items()
            )
            lines.append(f' "records": {{\n{inside}\n }}')
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(inner)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def freeze(folder: Path) -> None:
    """Write a folder. Raises FileExistsError when it is there: what was frozen stays."""
    folder.mkdir()
    for name, journey in JOURNEYS.items():
        write(folder / "worlds" / f"{name}.json", world(journey))
    write(folder / "samples.json", {"records": samples()})
    shapes = {kind: {"version": version, "shape": shape(cls)} for kind, (version, cls) in formats().items()}
    (folder / "shapes.json").write_text(json.dumps(shapes, indent=1, sort_keys=True) + "\n")
    for kept, pattern in ((MODELS, "*.yaml"), (TABLES, "*.json")):
        (folder / kept.name).mkdir()
        for path in sorted(kept.glob(pattern)):
            shutil.copy(path, folder / kept.name / path.name)


def thaw(frozen: dict[str, Any], cloud: Cloud) -> None:
    """Put frozen records in place of the world's own.

    Ids of runs end in random digits, so the frozen ones take those that the outside of this world knows.
    """
    text, here = json.dumps(frozen["records"]), json.dumps(records(cloud))
    known = {run[:-4]: run for run in RUN.findall(here)}
    for run in sorted(set(RUN.findall(text))):
        text = _renamed(text, run, known.get(run[:-4], run))
    for path in cloud.store.list(""):
        cloud.store.delete(path)
    for path, value in json.loads(text).items():
        body = json.dumps(value)
        if path.startswith("gs://"):
            cloud.artifacts.write(path, body.encode())
        else:
            cloud.store.create(path, body)
    cloud.now = datetime.fromisoformat(frozen["now"])


def _renamed(text: str, old: str, new: str) -> str:
    for sequence in range(1, 10):
        text = text.replace(deployed_id(old, sequence), deployed_id(new, sequence))
    return text.replace(old, new)


if __name__ == "__main__":
    newest = folders()[-1:]
    target = HERE / f"v{int(newest[0].name[1:]) + 1 if newest else 1}"
    freeze(target)
    print(f"froze {len(list(target.rglob('*.*')))} files in {target}", file=sys.stderr)
