"""Window by window: is the feed whole, and only then, has the world moved? Pure, so that a tick can be repeated."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from monitoring.arrivals import arrival
from monitoring.counts import Counts
from monitoring.feed import FEED, Arrival, Feed, faults
from monitoring.feed_inputs import Fault
from monitoring.log import Kept
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


def unexplained(before: Watch, after: Watch) -> list[datetime]:
    """Windows judged since ``before`` with a broken feed in which most payloads hold names that nobody knows."""
    known = {one.start for one in before.arrivals}
    return [
        one.start
        for one in after.arrivals
        if one.start not in known and one.faults and 2 * one.unknown_rows > one.rows
    ]


def judge_windows(
    subject: Subject,
    watch: Watch,
    kept: Kept,
    end: datetime,
    *,
    muted: bool,
    names: Mapping[datetime, dict[str, int]] | None = None,
) -> tuple[Watch, list[Judged]]:
    """Judge the feed and then the traffic of each window in [watch.judged_until, end).

    Args:
        muted: traffic is moving between models, so that nothing is concluded.
        names: start of a window → names in its payloads that nobody knows, where they were asked for.
    """
    spec = subject.spec
    at, fed, verdicts = watch.judged_until, fed_until(subject, watch), list[Judged]()
    while at < end:
        found: tuple[Fault, ...] = ()
        if at >= fed:
            watch, found = _fed(subject, watch, kept, at, (names or {}).get(at, {}), muted=muted)
        since, at = watch.judged_until, at + length(spec)
        faulty = any(one.faults for one in watch.arrivals if one.start >= since)
        watch, judged = advance(spec, subject.definitions, watch, kept.windows, at, muted=muted or faulty)
        verdicts += judged
        if found:
            watch = _ticket(subject, watch, found, judged, at)
        elif judged and not (muted or faulty):
            watch = _whole(subject, watch, judged[-1])
    return watch, verdicts


def _fed(
    subject: Subject,
    watch: Watch,
    kept: Kept,
    at: datetime,
    unknown: dict[str, int],
    *,
    muted: bool,
) -> tuple[Watch, tuple[Fault, ...]]:
    """The watch with the window's arrival, and what is broken in it."""
    spec, step = subject.spec, length(subject.spec)
    counts = kept.windows.get(at, {})
    arrived = _arrived(at, step, counts, kept.arrivals.get(at)).but(unknown=unknown, muted=muted)
    found: tuple[Fault, ...] = ()
    if not muted:
        ordinary = [
            Feed(one.start, step, kept.windows.get(one.start, {}), one) for one in watch.arrivals if one.ordinary
        ]
        names = [name for name, one in spec.features.items() if one.is_input]
        found = faults(subject.definitions, Feed(at, step, counts, arrived), ordinary, names)
    arrived = arrived.but(faults=tuple(one.text for one in found))
    return watch.but(arrivals=(*watch.arrivals, arrived)[-KEPT[window_unit(spec)] :]), found


def _arrived(at: datetime, step: timedelta, features: Mapping[str, Counts], counted: Counts | None) -> Arrival:
    """How the rows of a window came. Windows that an older release counted tell only how many there were."""
    if counted is not None:
        return arrival(at, step, counted)
    rows = max((one.n for one in features.values()), default=0)
    volume = round(max((one.requests for one in features.values()), default=0))
    silence = 0 if rows else int(step.total_seconds())
    return Arrival(start=at, volume=volume, rows=rows, silence_s=silence, seen=not rows)


def _ticket(subject: Subject, watch: Watch, found: tuple[Fault, ...], judged: list[Judged], end: datetime) -> Watch:
    """A data incident, and a window from which nothing ordinary is learnt about what is broken."""
    effects = {one.feature: one.effect for one in judged[-1].findings} if judged else {}
    rows = judged[-1].rows if judged else 0
    incident, notices = broken(
        watch.incident, found, subject.spec.name, subject.definitions.baseline_id, end, rows, effects
    )
    spans = watch.spans
    if judged and spans and spans[-1].end == judged[-1].end:  # a holiday leaves no span
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
