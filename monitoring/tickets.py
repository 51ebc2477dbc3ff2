"""A broken feed as an incident: it says what is broken, asks people to look, and blocks launches while it is open.

It is the model's one incident. While the feed is broken nothing is concluded about the world, so an open incident
of drift turns into one of data; once the feed is whole and the world still looks changed, it turns back by itself.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from monitoring.advice import advise
from monitoring.feed_inputs import Fault
from monitoring.incident import MAX_WINDOWS, QUIET
from monitoring.judge import DATA_COMPONENTS
from monitoring.records import Notice
from monitoring.telling import audit
from retraining.incidents import Incident, Seen

FAULT = 1.0  # the effect of a fault for which no distance was measured, in standard deviations
SHOWN = 3


def broken(
    incident: Incident | None,
    faults: Sequence[Fault],
    model: str,
    baseline_id: str,
    end: datetime,
    rows: int = 0,
    effects: Mapping[str, float] | None = None,
) -> tuple[Incident, tuple[Notice, ...]]:
    """The incident after a window (that ended at ``end``) with ``faults``, of which there is at least one, and what
    to tell. ``effects`` are measured distances of features, where there are any."""
    known = effects or {}
    now = {one.of: max(known.get(one.of, 0.0), FAULT) for one in faults}
    why = _why(faults)
    before = incident if incident is not None and incident.closed is None else None
    if before is None:
        before = Incident(
            incident_id=f"{model}-{end:%Y%m%dT%H%M}",
            model=model,
            kind="data",
            opened=end,
            features={},
            windows=(),
            baseline_id=baseline_id,
        )
        what = "incident opened"
    else:
        what = "incident became data" if before.kind == "drift" else "incident grew"
    features = before.features | {name: max(size, before.features.get(name, 0.0)) for name, size in now.items()}
    after = before.but(
        kind="data",
        features=features,
        parts=before.parts | {one.of: one.kind for one in reversed(faults)},
        windows=(*before.windows, end)[-MAX_WINDOWS:],
        quiet=0,
        do="look at the feed",
        why=why,
        course=(*before.course, Seen(end=end, rows=rows, effects=now, flagged=tuple(now)))[-MAX_WINDOWS:],
    )
    if what == "incident grew" and features.keys() == before.features.keys():
        return after, ()
    return after, (audit(what, after, why),)


def changed_world(incident: Incident, min_effect: float) -> tuple[Incident, tuple[Notice, ...]]:
    """A data incident in whose window the feed was found whole. If new categories are all that speaks for a fault,
    it is the world that changed: nothing was renamed, and nothing is missing or in another unit."""
    parts = {part for part in incident.parts.values() if part in DATA_COMPONENTS}
    faulty = set(incident.parts.values()) - parts - {"location", "scale", "shape", "category", "range", "pair"}
    if incident.closed is not None or incident.kind != "data" or parts != {"unseen"} or faulty:
        return incident, ()
    after = advise(incident.but(kind="drift"), min_effect, QUIET)
    return after, (audit("incident became drift", after, "new categories, and the feed is whole"),)


def _why(faults: Sequence[Fault]) -> str:
    rest = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    return "; ".join(one.text for one in faults[:SHOWN]) + rest
