"""Window by window: is the feed whole, and only then, has the world moved? Pure, so that a tick can be repeated."""

from collections.abc import Iterable
from datetime import datetime

from monitoring.feed import FEED, Arrival, Feed, faults
from monitoring.feed_inputs import Fault
from monitoring.log import Windows
from monitoring.looking import advance
from monitoring.passes import Subject, length, window_unit
from monitoring.performing import standing
from monitoring.records import Watch
from monitoring.telling import publications
from monitoring.tickets import broken, changed_world
from monitoring.verdict import Judged
from retraining.modelspec import DriftTrigger

KEPT = {"day": 56, "hour": 24 * 14}  # windows that say what is usual


def fed_until(subject: Subject, watch: Watch) -> datetime:
    """The end of the last window whose feed was judged."""
    last = watch.arrivals[-1].start + length(subject.spec) if watch.arrivals else watch.judged_until
    return max(last, watch.judged_until)


def judge_windows(
    subject: Subject,
    watch: Watch,
    windows: Windows,
    arrived: Iterable[Arrival] | None,
    end: datetime,
    *,
    muted: bool,
) -> tuple[Watch, list[Judged]]:
    """Judge the feed and then the traffic of each window in [watch.judged_until, end).

    Args:
        arrived: how the rows of those windows arrived that had any; None when that is not known.
        muted: traffic is moving between models, so that nothing is concluded.
    """
    spec = subject.spec
    known = None if arrived is None else {one.start: one for one in arrived}
    at, fed, verdicts = watch.judged_until, fed_until(subject, watch), list[Judged]()
    while at < end:
        found: tuple[Fault, ...] = ()
        if at >= fed:
            watch, found = _fed(subject, watch, windows, known, at, muted=muted)
        since, at = watch.judged_until, at + length(spec)
        faulty = any(one.faults for one in watch.arrivals if one.start >= since)
        watch, judged = advance(spec, subject.definitions, watch, windows, at, muted=muted or faulty)
        verdicts += judged
        if found:
            watch = _ticket(subject, watch, found, judged, at)
        elif judged and not (muted or faulty):
            watch = _whole(subject, watch, judged[-1])
    return watch, verdicts


def _fed(
    subject: Subject,
    watch: Watch,
    windows: Windows,
    known: dict[datetime, Arrival] | None,
    at: datetime,
    *,
    muted: bool,
) -> tuple[Watch, tuple[Fault, ...]]:
    """The watch with the window's arrival, and what is broken in it."""
    spec, step = subject.spec, length(subject.spec)
    counts = windows.get(at, {})
    rows = max((one.n for one in counts.values()), default=0)
    arrival = (known or {}).get(at) or Arrival(
        start=at,
        volume=round(max((one.n + one.unlogged for one in counts.values()), default=0)),
        rows=rows,
        silence_s=0 if rows else int(step.total_seconds()),
    )
    found: tuple[Fault, ...] = ()
    if not muted:
        ordinary = [
            Feed(one.start, step, windows.get(one.start, {}), one) for one in watch.arrivals if one.ordinary
        ]
        names = [name for name, one in spec.features.items() if one.is_input]
        found = faults(subject.definitions, Feed(at, step, counts, arrival), ordinary, names)
    arrival = arrival.but(faults=tuple(one.text for one in found), muted=muted)
    return watch.but(arrivals=(*watch.arrivals, arrival)[-KEPT[window_unit(spec)] :]), found


def _ticket(subject: Subject, watch: Watch, found: tuple[Fault, ...], judged: list[Judged], end: datetime) -> Watch:
    """A data incident, and a window from which nothing ordinary is learnt about what is broken."""
    effects = {one.feature: one.effect for one in judged[-1].findings} if judged else {}
    rows = judged[-1].rows if judged else 0
    incident, notices = broken(
        watch.incident, found, subject.spec.name, subject.definitions.baseline_id, end, rows, effects
    )
    spans = watch.spans
    if judged and spans:
        moved = {one.of for one in found}
        moved |= set(subject.definitions.features) if FEED in moved else set()
        spans = (*spans[:-1], spans[-1].but(moved=tuple(sorted({*spans[-1].moved, *moved}))))
    return watch.but(incident=incident, notices=(*watch.notices, *notices), spans=spans)


def _whole(subject: Subject, watch: Watch, judged: Judged) -> Watch:
    """What follows when the feed is whole: new categories are the world's, and a worse loss goes on."""
    incident, trigger = watch.incident, subject.spec.triggers.drift or DriftTrigger()
    if incident is None:
        return watch
    if any(one.component == "unseen" for one in judged.flagged):
        after, notices = changed_world(incident, trigger.min_effect)
        if notices:
            notices = (*notices, *publications(after, judged.end))
            return watch.but(incident=after, notices=(*watch.notices, *notices))
    return watch.but(incident=standing(incident, watch.performed[-1] if watch.performed else None))
