"""The services of the simulated world: the servers in memory, watched, and alive."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from local.memory.endpoints import MemoryEndpoints
from local.memory.jobs import MemoryJobs
from local.memory.operations import MemoryOperations
from local.memory.store import MemoryStore
from local.memory.warehouse import MemoryWarehouse
from retraining.modelspec import ModelSpec
from retraining.views import DataCounts, DeployPlan, JobPlan, JobState, JobView, SnapshotView, Watermark
from tests.prove.promises import BROKEN_MARK, Watch
from tests.unit.build import DAY, NOW, counts

if TYPE_CHECKING:
    from tests.prove.world import World

ROW = timedelta(seconds=30)  # a labelled row comes so often
FEEDS = ("no rows", "few rows", "late rows", "twice", "no labels", "nulls", "unit")  # how a feed may be broken


class KeptStore(MemoryStore):
    """A store that shows every write to the watch, and keeps the audit out of the lists."""

    def __init__(self, world: "World") -> None:
        super().__init__()
        self._world, self.writes = world, 0
        self._places: dict[str, set[str]] = {}

    def create(self, path: str, body: str) -> str:
        """See Store."""
        if path.startswith("events/"):
            event = json.loads(body)
            said = " ".join(f"{v}"[:160] for v in event["details"].values())
            self._world.tell(f"{event['what']} {event['run_id']} {said}".strip())
            return "1"
        return super().create(path, body)

    def delete(self, path: str) -> None:
        """See Store."""
        self.writes += 1
        super().delete(path)
        self._places.get(path.split("/", 1)[0], set()).discard(path)

    def list(self, prefix: str) -> list[str]:
        """See Store."""
        place = self._places.get(prefix.split("/", 1)[0], ())
        return sorted(path for path in place if path.startswith(prefix))

    def _put(self, path: str, body: str) -> str:
        self._world.watch.written(path, body)
        self.writes += 1
        self._places.setdefault(path.split("/", 1)[0], set()).add(path)
        return super()._put(path, body)


class WatchedEndpoints(MemoryEndpoints):
    """Endpoints whose every request is held against the promises before it happens."""

    def __init__(self, operations: MemoryOperations, watch: Watch, endpoint: str) -> None:
        super().__init__(operations, endpoint)
        self._watch = watch
        self.starting = ""  # whose deploy began last

    def set_traffic(self, endpoint: str, split: dict[str, int], etag: str) -> None:
        """See Endpoints."""
        view = self.view(endpoint)
        assert view is not None
        if etag == view.etag:
            self._watch.traffic(split, view.deployed)
        super().set_traffic(endpoint, split, etag)

    def by_hand(self, endpoint: str, split: dict[str, int]) -> None:
        """A person sets the split, and asks nobody."""
        view = self.view(endpoint)
        assert view is not None
        super().set_traffic(endpoint, split, view.etag)
        self._watch.note_split({key: share for key, share in split.items() if share})

    def undeploy(self, endpoint: str, deployed_id: str) -> None:
        """See Endpoints."""
        view = self.view(endpoint)
        assert view is not None
        if deployed_id in view.deployed and not view.split.get(deployed_id):
            self._watch.undeployed(deployed_id, view.split)
        super().undeploy(endpoint, deployed_id)
        after = self.view(endpoint)
        assert after is not None
        self._watch.require(after.split == view.split, "P3", "an undeploy moved traffic")

    def deploy(self, plan: DeployPlan) -> str:
        """See Endpoints."""
        before = self.view(plan.endpoint)
        self.starting = plan.deployed_id
        name = super().deploy(plan)
        after = self.view(plan.endpoint)
        assert before is not None
        assert after is not None
        self._watch.require(after.split == before.split, "P3", "a deploy moved traffic")
        return name


class LivingJobs(MemoryJobs):
    """Jobs that the world brings to life, and that take a while to stop."""

    def __init__(self, world: "World") -> None:
        super().__init__(lambda: world.now)
        self._world = world

    def launch(self, plan: JobPlan) -> JobView:
        """See Jobs."""
        job = super().launch(plan)
        self._world.job_created(plan, job)
        return job

    def cancel(self, name: str) -> None:
        """See Jobs. A job that trains may still succeed before it stops."""
        job = self.view(name)
        if job is None or job.state.ended:
            return
        if job.state is JobState.WAITING:
            super().cancel(name)
        else:
            self._world.later(self._world.minutes(1, 10), lambda: self._stop(name))

    def _stop(self, name: str) -> None:
        super().cancel(name)
        self._world.job_stopped(name)


class LivingOperations(MemoryOperations):
    """Operations that the world ends."""

    def __init__(self, world: "World") -> None:
        super().__init__(at_once=False)
        self._world = world

    def start(self, resource: str, effect: Callable[[str], None]) -> str:
        """See MemoryOperations."""
        name = super().start(resource, effect)
        self._world.operation_started(name)
        return name


class Feed(MemoryWarehouse):
    """A table in which a row comes every half minute, and whose feed may be broken."""

    broken = ""

    def watermark(self, spec: ModelSpec, since: datetime | None, now: datetime) -> Watermark:
        """See Warehouse."""
        start = since or now - 60 * DAY
        return Watermark(newest=_row(now), new_rows=max(0, int((now - start) / ROW)))

    def count_data(self, spec: ModelSpec, run_id: str, since: datetime, until: datetime) -> DataCounts:
        """See Warehouse."""
        sound = counts(newest=until)
        if not self.broken:
            return sound
        first = sound.columns[0]
        broken: dict[str, dict[str, object]] = {
            "no rows": {"rows": 0},
            "few rows": {"rows": 600},
            "late rows": {"newest": until - 30 * DAY},
            "twice": {"duplicates": 3000},
            "no labels": {"labelled_rows": 10},
            "nulls": {"columns": (first.but(nulls=6000), *sound.columns[1:])},
            "unit": {"columns": (first.but(mean_abs=10_000.0), *sound.columns[1:])},
        }
        return sound.but(bytes_estimate=BROKEN_MARK, **broken[self.broken])

    def snapshot(self, spec: ModelSpec, run_id: str, until: datetime, uri: str) -> SnapshotView:
        """See Warehouse."""
        if run_id not in self.snapshots:
            rows = {"train": 60_000, "eval": 20_000, "test": 5_000}
            last = _row(until)
            self.snapshots[run_id] = SnapshotView(
                uri=uri, rows=rows, first=last - 30 * DAY, last=last, digest=f"{last:%m%d%H%M%S}"
            )
        return self.snapshots[run_id]


def _row(at: datetime) -> datetime:
    return at - (at - NOW) % ROW
