"""A warehouse that answers what a test wrote into it, and remembers what it was asked."""

import threading
from datetime import datetime

from retraining.errors import Refused
from retraining.modelspec import ModelSpec
from retraining.names import short_hash
from retraining.views import ArmCounts, DataCounts, SnapshotView, Watermark


class MemoryWarehouse:
    """Warehouse in this process, scripted per model. Safe between threads."""

    def __init__(self) -> None:
        self.labelled: dict[str, list[datetime]] = {}  # model → timestamps of its labelled rows
        self.counts: dict[str, DataCounts] = {}  # model → what count_data answers; none: the table is missing
        self.arm_counts: dict[str, dict[str, ArmCounts]] = {}  # model → what arms answers
        self.snapshots: dict[str, SnapshotView] = {}  # run → its snapshot
        self._lock = threading.Lock()

    def watermark(self, spec: ModelSpec, since: datetime | None, now: datetime) -> Watermark:
        """See Warehouse."""
        with self._lock:
            seen = [at for at in self.labelled.get(spec.name, ()) if at <= now]
        new = len(seen) if since is None else sum(at > since for at in seen)
        return Watermark(newest=max(seen, default=None), new_rows=new)

    def count_data(self, spec: ModelSpec, run_id: str, since: datetime, until: datetime) -> DataCounts:
        """See Warehouse. Raises Refused while no counts are written for the model."""
        with self._lock:
            if spec.name not in self.counts:
                raise Refused(f"run {run_id}: expected table {spec.source.table}, found none")
            return self.counts[spec.name]

    def snapshot(self, spec: ModelSpec, run_id: str, until: datetime, uri: str) -> SnapshotView:
        """See Warehouse. Rows are split 60, 20 and 20 percent."""
        with self._lock:
            if run_id not in self.snapshots:
                start = until - spec.training.window
                rows = sorted(at for at in self.labelled.get(spec.name, ()) if start <= at < until)
                train, test = len(rows) * 60 // 100, len(rows) * 20 // 100
                self.snapshots[run_id] = SnapshotView(
                    uri=uri,
                    rows={"train": train, "eval": len(rows) - train - test, "test": test},
                    first=rows[0] if rows else None,
                    last=rows[-1] if rows else None,
                    digest=short_hash(" ".join(at.isoformat() for at in rows)),
                )
            return self.snapshots[run_id]

    def arms(self, spec: ModelSpec, since: datetime, until: datetime) -> dict[str, ArmCounts]:
        """See Warehouse."""
        with self._lock:
            return dict(self.arm_counts.get(spec.name, {}))
