"""New labelled rows that no log entry told of: compare the table's watermark with the last snapshot's.

Streamed rows leave no entry in the audit log, so a tick asks the table itself.
"""

from dataclasses import dataclass
from datetime import UTC

from retraining.modelspec import ModelSpec
from retraining.ports import Clock, Store, Warehouse
from retraining.state import read_state
from retraining.triggers import Kind, Trigger, data_key


@dataclass(frozen=True)
class WatermarkWorld:
    """What looking at a watermark needs."""

    store: Store
    warehouse: Warehouse
    now: Clock


def check(world: WatermarkWorld, spec: ModelSpec) -> Trigger | None:
    """A data trigger when enough labelled rows came after the last snapshot; None when not, or when the model does
    not ask for runs on new data. Raises BadRecord, and what the warehouse raises."""
    if spec.triggers.data is None:
        return None
    since = read_state(world.store, spec.name)[0].watermark
    mark = world.warehouse.watermark(spec, since, world.now())
    if mark.newest is None or mark.new_rows < spec.triggers.data.min_new_rows:
        return None
    newest = mark.newest.astimezone(UTC)
    return Trigger(
        model=spec.name,
        kind=Kind.DATA,
        key=data_key(spec.source.table, f"watermark-{newest:%Y-%m-%dT%H:%MZ}"),
        at=newest,
        reason=f"{mark.new_rows} labelled rows are new in {spec.source.table}",
        details={
            "rows": str(mark.new_rows),
            "by": "watermark",
            "table": spec.source.table,
            "since": since.isoformat() if since else "the beginning",
        },
    )
