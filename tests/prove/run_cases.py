"""The cases of a run: what its record may say in a state, and what the world may show at the same moment."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain, product
from typing import Any

from retraining.health import run_limit
from retraining.job_machine import CREATE_DEADLINE, GRACE, INTENT_LEASE, OUTPUT_GRACE
from retraining.modelspec import ModelSpec
from retraining.records import ENDS, Decision, JobRef, Run, RunState
from retraining.reports import Manifest
from retraining.rollouts import Outcome, Serving
from retraining.run_machine import RunView
from retraining.triggers import Kind
from retraining.views import JobState, JobView, Trial, Watermark
from tests.unit.build import DAY, FLIGHTS, HOUR, NOW, counts, evaluation, money, run, snapshot, state, trigger

SECOND = timedelta(seconds=1)
APPROVED = FLIGHTS.model_copy(update={"gate": FLIGHTS.gate.model_copy(update={"approval": True})})
UNTUNED = FLIGHTS.model_copy(update={"tuning": None})  # its model file changed while the run was under way
CHAMPION = Serving(run_id="flights-0", deployed_id="1000000000", version="m@1")
JOBS = {RunState.TUNING: "tune", RunState.TRAINING: "train", RunState.EVALUATING: "evaluate"}
OWN, OTHER = "jobs/11", "jobs/12"
ROW = "flights-1"


@dataclass(frozen=True)
class Case:
    """One question to the machine."""

    run: Run
    spec: ModelSpec
    view: RunView


def grid(deep: bool) -> Iterator[Case]:
    """Records × views, for every state; ``deep`` at every moment, not only after each boundary."""
    for build in (_waiting, _validating, _launching, _approving, _rolling, _ended):
        yield from _or_cancelled(build())
    for wanted in JOBS:
        yield from _or_cancelled(_working(wanted, deep))


def silent() -> Iterator[Case]:
    """Every open run, at its last moment: nobody answers and no job ever ends."""
    builds = [build() for build in (_waiting, _validating, _launching, _approving, _rolling)]
    builds += [_working(wanted, deep=False, silent=True) for wanted in JOBS]
    for case in chain.from_iterable(_or_cancelled(build) for build in builds):
        if case.view.outcome is None:
            now = case.run.entered + run_limit(case.run.state, case.spec) + SECOND
            jobs = tuple(replace(job, state=JobState.RUNNING) for job in case.view.jobs)
            quiet = replace(case.view, now=max(now, case.view.now), jobs=jobs, manifest=None, evaluation=None)
            yield replace(case, view=replace(quiet, rolling=False))


def _or_cancelled(cases: Iterator[Case]) -> Iterator[Case]:
    """Each case, and again with a person who cancels the run."""
    for case in cases:
        yield case
        yield replace(case, run=case.run.but(cancelled_by="ann"))


def _view(now: datetime, **changes: Any) -> RunView:
    return replace(RunView(now=now, state=state(), money=money(), champion=CHAMPION), **changes)


def _around(begin: datetime, *waits: timedelta) -> tuple[datetime, ...]:
    """Moments on both sides of each boundary."""
    return tuple(begin + wait + by for wait in waits for by in (timedelta(), SECOND))


# States without jobs ---------------------------------------------------------------------


def _waiting() -> Iterator[Case]:
    base = run(RunState.WAITING)
    limit = run_limit(RunState.WAITING, FLIGHTS)
    causes = ((trigger(),), (trigger(Kind.DRIFT),), (trigger(Kind.MANUAL),), (trigger(Kind.MANUAL, force=True),))
    turns = ("", base.run_id, "flights-9")
    marks = (
        None,
        Watermark(newest=None, new_rows=0),
        Watermark(newest=NOW, new_rows=2_000),
        Watermark(newest=NOW, new_rows=30_000),
    )
    lessons: tuple[dict[str, Any], ...] = (
        {},
        {"failures": 3, "launches": (NOW - DAY,)},
        {"launches": (NOW - HOUR, NOW - HOUR / 2)},
        {"watermark": NOW - 10 * DAY, "launches": (NOW - 10 * DAY,), "runs_since_tuning": 20},
    )
    purses = (money(), money(spent={"flights-0": 40.0}))
    moments = _around(base.opened, timedelta(), FLIGHTS.policy.debounce, limit)
    for cause, turn, mark, lesson, purse, now, champion in product(
        causes, turns, marks, lessons, purses, moments, (None, CHAMPION)
    ):
        known = state(active_run=turn, **lesson)
        yield Case(
            base.but(causes=cause), FLIGHTS, _view(now, state=known, money=purse, watermark=mark, champion=champion)
        )


def _validating() -> Iterator[Case]:
    base = run(RunState.VALIDATING)
    data = (None, counts(), counts(rows=0), counts(labelled_rows=0), counts(duplicates=6000), counts(columns=()))
    frozen = (
        None,
        snapshot(),
        snapshot(last=None),
        *(snapshot(rows={**snapshot().rows, part: 0}) for part in snapshot().rows),
    )
    marks = (None, NOW - DAY - SECOND, NOW - DAY, NOW)
    causes = ((trigger(),), (trigger(Kind.MANUAL),))
    for found, rows, mark, cause, now in product(
        data, frozen, marks, causes, _around(base.entered, timedelta(), run_limit(base.state, FLIGHTS))
    ):
        yield Case(
            base.but(data=found, snapshot=rows, causes=cause), FLIGHTS, _view(now, state=state(watermark=mark))
        )


def _launching() -> Iterator[Case]:
    base = run(RunState.LAUNCHING, data=counts(), snapshot=snapshot())
    decisions = (
        None,
        *(Decision.model_validate({"action": a, "code": "c", "text": "t", "at": NOW}) for a in ("train", "tune")),
    )
    purses = (money(), money(reserved={base.run_id: 1.0}), money(reserved={"flights-0": 1.0}))
    for decision, purse, parameters, champion, now in product(
        decisions,
        purses,
        ({}, {"batch_size": "512"}),
        (None, CHAMPION),
        _around(base.entered, timedelta(), run_limit(base.state, FLIGHTS)),
    ):
        known = state(parameters=parameters, tuned_by="flights-0" if parameters else "")
        yield Case(base.but(decision=decision), FLIGHTS, _view(now, state=known, money=purse, champion=champion))


def _approving() -> Iterator[Case]:
    base = run(RunState.AWAITING_APPROVAL)
    for spec, by, now in product(
        (FLIGHTS, APPROVED), ("", "ann"), _around(base.entered, timedelta(), run_limit(base.state, FLIGHTS))
    ):
        yield Case(base.but(approved_by=by), spec, _view(now))


def _rolling() -> Iterator[Case]:
    for wanted in (RunState.ELIGIBLE, RunState.ROLLING_OUT):
        base = run(wanted)
        for outcome, rolling, published, now in product(
            (None, *OUTCOMES),
            (False, True),
            (False, True),
            _around(base.entered, timedelta(), run_limit(wanted, FLIGHTS)),
        ):
            yield Case(base, FLIGHTS, _view(now, outcome=outcome, rolling=rolling, published=published))


OUTCOMES = tuple(
    Outcome.model_validate({"run_id": "flights-1", "result": result, "reason": "because", "at": NOW})
    for result in ("promoted", "rolled_back")
)


def _ended() -> Iterator[Case]:
    """Whatever the world shows, an end stays what it is."""
    refs = ((), (_ref("train", 1, OWN, JobState.SUCCEEDED),), (_ref("train", 1, "", JobState.WAITING),))
    bases = [run(end, jobs=had) for end in sorted(ENDS) for had in refs]
    views = [
        _view(now, jobs=found, money=purse, state=known, outcome=outcome)
        for found, purse, known, outcome, now in product(
            _found("train", 1), PURSES, TURNS, (None, *OUTCOMES), _around(NOW, timedelta(), HOUR)
        )
    ]
    for base, view in product(bases, views):
        yield Case(base, FLIGHTS, view)


PURSES = (
    money(),
    money(reserved={"flights-1": 1.0}),
    money(reserved={"flights-1": 1.0}, spent={"flights-1": 0.5}),
)
TURNS = (state(), state(active_run="flights-1"), state(waiting_run="flights-1"), state(active_run="flights-9"))


# States with jobs ------------------------------------------------------------------------


def _working(wanted: RunState, deep: bool, silent: bool = False) -> Iterator[Case]:
    kind = JOBS[wanted]
    attempts = (1, 2)
    yield from _reported(run(wanted, snapshot=snapshot()), kind, None, deep, silent)
    for attempt, name in product(attempts, ("", OWN)):
        for noted in tuple(JobState) if name else (JobState.WAITING,):
            for ended in (None, NOW) if noted.ended else (None,):
                ref = _ref(kind, attempt, name, noted).but(ended=ended)
                yield from _reported(run(wanted, snapshot=snapshot(), jobs=(ref,)), kind, ref, deep, silent)


def _reported(base: Run, kind: str, ref: JobRef | None, deep: bool, silent: bool) -> Iterator[Case]:
    attempt = ref.attempt if ref else 1
    timeout = run_limit(base.state, FLIGHTS)
    waits = (
        INTENT_LEASE,
        OUTPUT_GRACE,
        CREATE_DEADLINE,
        timeout / 2 - CREATE_DEADLINE - OUTPUT_GRACE,
        timeout + GRACE,
    )
    moments = _around(NOW, *waits) if deep else _around(NOW, *waits)[1::2]
    holders = ("", "11", "12", "99") if kind == "train" else ("",)
    reports = _reports(kind, base)
    if silent:
        moments, reports = moments[-1:], reports[:1]
    for found, holder, now, own in product(_found(kind, attempt), holders, moments, (False, True)):
        for changes in reports:
            for spec in (
                (FLIGHTS, UNTUNED) if kind == "tune" else (FLIGHTS, APPROVED) if kind == "evaluate" else (FLIGHTS,)
            ):
                yield Case(base, spec, _view(now, jobs=found, holder=holder, own_intent=own, **changes))


def _ref(kind: str, attempt: int, name: str, noted: JobState) -> JobRef:
    return JobRef.model_validate({"kind": kind, "attempt": attempt, "intended": NOW, "name": name, "state": noted})


TRIALS = (
    (),
    (Trial(id="1", state="INFEASIBLE", parameters={}, metrics={}),),
    (Trial(id="2", state="SUCCEEDED", parameters={"batch_size": 2048.0}, metrics={"val_log_loss": 0.14}),),
)


def _found(kind: str, attempt: int) -> list[tuple[JobView, ...]]:
    """What the list may show: nothing, the own job in any state, a surplus one, both, one of another attempt."""
    own = [_job(OWN, kind, attempt, seen) for seen in JobState]
    own += [replace(_job(OWN, kind, attempt, JobState.FAILED), error="permanent: no such column")]
    if kind == "tune":
        own += [replace(_job(OWN, kind, attempt, JobState.SUCCEEDED), trials=trials) for trials in TRIALS[1:]]
    surplus = [_job(OTHER, kind, attempt, seen) for seen in JobState]
    stale = _job(OTHER, kind, 3 - attempt, JobState.RUNNING)
    both = [pair for one in own for pair in ((one, surplus[0]), (surplus[1], one), (one, surplus[2]), (one, stale))]
    return [(), *((job,) for job in own), *((job,) for job in surplus), (stale,), *both]


def _job(name: str, kind: str, attempt: int, seen: JobState) -> JobView:
    return JobView(name, kind, seen, {"attempt": str(attempt)}, NOW)


def _reports(kind: str, base: Run) -> list[dict[str, Any]]:
    if kind == "tune":
        return [{}]
    if kind == "train":
        assert base.snapshot is not None
        return [{"manifest": manifest} for manifest in (None, _manifest(base.snapshot.digest), _manifest("other"))]
    judged = (
        None,
        evaluation(),
        evaluation(difference=0.05),
        evaluation().but(champion=None, difference=None),
        evaluation(rows=10),
    )
    return [{"evaluation": found} for found in judged]


def _manifest(digest: str) -> Manifest:
    return Manifest(
        run_id="flights-1",
        files={},
        digest="m",
        spec_digest="s",
        data_digest=digest,
        code_digest="c",
        parameters={},
        versions={},
        seed=1,
    )
