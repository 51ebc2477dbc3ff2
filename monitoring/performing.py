"""Once a day: how the model did on the days whose labels are there, and how it seems to do on those since.

The reference are the first days of this champion, right after gate and rollout accepted it. Realised and expected
losses are judged for the newest day and for the last week; two worse verdicts of three are believed.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from monitoring.estimate import LEVEL, Comparison, Reference, Standing, concept, estimate, foreseen, learn, realised
from monitoring.feed import label_faults
from monitoring.feed_inputs import Fault
from monitoring.incident import LOOK_BACK, MAX_WINDOWS, PERSISTENT
from monitoring.labels import Labels
from monitoring.passes import Subject
from monitoring.performance import DayCounts, add, day_of, is_settled, measure
from monitoring.records import Compared, Notice, Performed, Watch
from monitoring.telling import audit, publications
from monitoring.tickets import broken
from retraining.incidents import Incident, Seen
from retraining.modelspec import ModelSpec

LOSS = "(loss)"  # no column may be called so
REFERENCE = 14  # days: two of each weekday
WEEK = 7
BATCH = timedelta(days=7)  # labels often come together: so long after they are due, none is missed
LATE = timedelta(days=14)  # after it was due, in which a label still changes its day
HORIZON = timedelta(days=28)  # of answered days that are looked at again, beyond the delay of their labels
KEPT = 35  # verdicts
_DAY = timedelta(days=1)

Compare = Callable[[Reference, DayCounts, int, float, float], Comparison]


def settled_until(spec: ModelSpec, days: Sequence[DayCounts], start: datetime, now: datetime) -> datetime:
    """The first day from ``start`` that has to be counted again. A day without answers is settled once old."""
    found = {one.start: one for one in days if not one.column}
    at = start
    while at + _DAY <= day_of(now):
        day = found.get(at)
        due = at + _DAY + spec.source.label_delay
        if not (is_settled(day, now, spec.source.label_delay, LATE) if day else now >= due + LATE):
            break
        at += _DAY
    return at


def perform(spec: ModelSpec, days: Sequence[DayCounts], now: datetime) -> tuple[Performed, tuple[Fault, ...]]:
    """The verdict over the counted days of one champion, oldest first, and what is wrong with the labels."""
    task, tolerance = spec.training.task, spec.rollout.tolerance
    whole = sorted((one for one in days if not one.column), key=lambda one: one.start)
    mature = [one for one in whole if one.is_mature(spec.checks.min_label_share)]
    first, later = mature[:REFERENCE], mature[REFERENCE:]
    reference = learn(task, first)
    due = [one for one in whole if one.start + _DAY + spec.source.label_delay + BATCH <= now]
    faults = label_faults([(one.total.due, one.total.labelled) for one in due])
    done = Performed(at=now, mature_until=mature[-1].start + _DAY if mature else None)
    if mature:
        done = done.but(metrics={name: (m.value, m.low, m.high) for name, m in measure(task, mature[-1]).items()})
    if reference is None:
        return done, faults
    waiting = [one for one in whole if one.start > first[-1].start][-WEEK:]
    done = done.but(
        reference=reference.loss,
        realised=_worst(reference, later, realised, tolerance),
        concept=_worst(reference, later, concept, tolerance),
        expected=_worst(reference, waiting, foreseen, tolerance),
        slices=_slices(spec, days, {one.start for one in first}, {one.start for one in later[-WEEK:]}),
    )
    if waiting:
        done = done.but(
            estimates={name: (m.value, m.low, m.high) for name, m in estimate(reference, add(waiting)).items()}
        )
    return done, faults


def _worst(reference: Reference, days: Sequence[DayCounts], compare: Compare, tolerance: float) -> Compared | None:
    """The newest day and the last week beside the reference; the one that says more."""
    if not days:
        return None
    week = days[-WEEK:]
    found = [
        compare(reference, add(week), len(week), tolerance, LEVEL / 2),
        compare(reference, week[-1], 1, tolerance, LEVEL / 2),
    ]
    order = (Standing.WORSE, Standing.FINE, Standing.CANNOT_TELL)
    return _compared(min(found, key=lambda one: order.index(one.standing)))


def _slices(
    spec: ModelSpec, days: Sequence[DayCounts], first: Collection[datetime], last: Collection[datetime]
) -> dict[str, Compared]:
    """The last week of each group beside its own reference. Groups inform and open nothing: there are many."""
    groups: dict[tuple[str, str], list[DayCounts]] = defaultdict(list)
    for one in days:
        if one.column:
            groups[one.column, one.value].append(one)
    found = {}
    for (column, value), members in sorted(groups.items()):
        week = [one for one in members if one.start in last]
        reference = learn(spec.training.task, [one for one in members if one.start in first])
        if reference and week and add(week).total.labelled >= spec.gate.slices.min_rows:
            found[f"{column}={value}"] = _compared(
                realised(reference, add(week), len(week), 2 * spec.rollout.tolerance, LEVEL / len(groups))
            )
    return found


def _compared(one: Comparison) -> Compared:
    return Compared(
        standing=one.standing.value,
        difference=round(one.difference, 6),
        low=round(one.low, 6),
        high=round(one.high, 6),
        p_value=float(f"{one.p_value:.3g}"),
        rows=one.rows,
        reason=one.reason,
    )


def loss_incident(
    incident: Incident | None, performed: Sequence[Performed], spec: ModelSpec, baseline_id: str
) -> tuple[Incident | None, tuple[Notice, ...]]:
    """The incident once the newest verdict about losses is known; ``performed`` are the last ones, oldest first.

    A loss that is worse than the reference by more than the tolerance, in two verdicts of three, is drift, whatever
    the inputs say. While the feed is broken its incident stays what it is.
    """
    last = performed[-LOOK_BACK:]
    if not last or not last[-1].worse or not _persists(last):
        return incident, ()
    newest = last[-1]
    worst = newest.realised if newest.realised and newest.realised.standing == "worse" else newest.expected
    if worst is None:
        return incident, ()
    before = incident if incident is not None and incident.closed is None else None
    if before is not None and before.kind == "data":
        return incident, ()
    least = spec.triggers.drift.min_effect if spec.triggers.drift else 0.1
    # A loss has no standard deviations of an input: one tolerance weighs as much as the smallest move that counts.
    effect = round(least * worst.difference / spec.rollout.tolerance, 4)
    is_new = before is None
    opened = before or Incident(
        incident_id=f"{spec.name}-{newest.at:%Y%m%dT%H%M}",
        model=spec.name,
        kind="drift",
        opened=newest.at,
        features={},
        windows=(),
        baseline_id=baseline_id,
    )
    grew = LOSS not in opened.features
    after = opened.but(
        features=opened.features | {LOSS: max(effect, opened.features.get(LOSS, 0.0))},
        parts=opened.parts | {LOSS: "loss"},
        windows=(*opened.windows, newest.at)[-MAX_WINDOWS:],
        course=(*opened.course, Seen(end=newest.at, rows=worst.rows, effects={LOSS: effect}, flagged=(LOSS,)))[
            -MAX_WINDOWS:
        ],
    )
    after = standing(after, newest) or after
    if not grew:
        return after, ()
    return after, (audit("incident opened" if is_new else "incident grew", after, after.why),)


def _persists(last: Sequence[Performed]) -> bool:
    """Whether the loss was worse on different labels, or expected to be on different days."""
    realised_on = {one.mature_until for one in last if one.realised and one.realised.standing == "worse"}
    expected_on = {one.at for one in last if one.expected and one.expected.standing == "worse"}
    return max(len(realised_on), len(expected_on)) >= PERSISTENT


def standing(incident: Incident | None, newest: Performed | None) -> Incident | None:
    """The incident as it is while the loss is still worse: ordinary inputs do not end it."""
    if incident is None or incident.closed is not None or LOSS not in incident.features or incident.kind != "drift":
        return incident
    if newest is None or not newest.worse:
        return incident
    return incident.but(quiet=0, do="retrain", why=_why(newest))


def _why(newest: Performed) -> str:
    if newest.realised and newest.realised.standing == "worse":
        said = f"the loss of labelled rows is {newest.realised.reason}"
        if newest.concept and newest.concept.standing == "worse":
            return f"{said}; the scores alone would not explain it: the same inputs mean something else now"
        return said
    return f"the loss to be expected before labels come is {newest.expected.reason if newest.expected else ''}"


def look_at_losses(labels: Labels, subject: Subject, watch: Watch, now: datetime) -> Watch:
    """Join the labels that came, judge, and remember: one statement that joins, one or two that read kilobytes.

    Raises what ``labels`` raises.
    """
    spec, since, today = subject.spec, day_of(watch.since), day_of(now)
    start = max(since, watch.labelled_until or since)
    if start < today:
        labels.join(subject, start, today, now)
    recent = max(since, today - spec.source.label_delay - HORIZON)
    early = min(since + 2 * REFERENCE * _DAY + spec.source.label_delay, recent)
    days = labels.days(subject, since, early) if since < early else []
    days += labels.days(subject, recent, today)
    done, faults = perform(spec, days, now)
    incident, notices = watch.incident, watch.notices
    if faults:
        incident, told = broken(incident, faults, spec.name, subject.definitions.baseline_id, now)
    else:
        performed = (*watch.performed, done)
        incident, told = loss_incident(incident, performed, spec, subject.definitions.baseline_id)
        if told and incident is not None:
            told = (*told, *publications(incident, now))
    return watch.but(
        incident=incident,
        notices=(*notices, *told),
        performed=(*watch.performed, done)[-KEPT:],
        labelled_until=settled_until(spec, days, start, now),
    )
