"""One job of a run, from intention to end: the part of the run's life that tuning, training and evaluating share.

Vertex AI gives no way to create a job exactly once, so every attempt goes: write the intention, look the job up by
label, create it, write its name. A crash after the create is healed by the look-up; a list that lags behind may let
a second job start, which the trainer's fence then sends home before it reads any data.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from retraining.records import JobRef, Run
from retraining.views import JobState, JobView

MAX_ATTEMPTS = 2
INTENT_LEASE = timedelta(minutes=2)  # time for the tick that wrote the intention to create the job
CREATE_DEADLINE = timedelta(hours=6)  # for Vertex AI to accept the job at all
GRACE = timedelta(hours=1)  # beyond the job's own time limit, for queueing and the answer
OUTPUT_GRACE = timedelta(minutes=30)  # between a job's end and the sight of what it wrote


@dataclass(frozen=True)
class JobStep:
    """What to do about the job: one effect, wait, fail, or done."""

    what: str = ""  # intend_job, create_job, adopt_job, note_job, cancel_job
    kind: str = ""
    name: str = ""
    job: JobView | None = None
    wait: str = ""
    failed: str = ""
    done: bool = False


@dataclass(frozen=True)
class Seen:
    """What the world shows of the jobs of one kind."""

    now: datetime
    found: tuple[JobView, ...]  # jobs that carry the run's labels; the list may lag behind
    holder: str = ""  # the job that took the fence
    written: bool | None = None  # whether the job's last output is there; None: it has none
    own_intent: bool = False  # this very pass wrote the intention


def job_step(kind: str, run: Run, seen: Seen, timeout: timedelta) -> JobStep:
    """What to do next for the run's job of this ``kind``."""
    ref = run.job(kind)
    if ref is None:
        return JobStep(what="intend_job", kind=kind)
    mine = [job for job in seen.found if job.labels.get("attempt", "1") == str(ref.attempt)]
    if not ref.name:
        return _unnamed(ref, mine, seen)
    chosen = _effective(ref, mine, seen.holder)
    if chosen is not None and chosen.name != ref.name:
        return JobStep(what="adopt_job", kind=kind, name=chosen.name)
    # Which of two trainings is surplus, the fence decides: before it is taken, either may be about to take it.
    decided = bool(seen.holder) or kind != "train"
    for other in mine:
        if decided and other.name != ref.name and not other.state.ended:
            return JobStep(what="cancel_job", kind=kind, name=other.name)
    return _named(ref, chosen, seen, timeout)


def _unnamed(ref: JobRef, mine: list[JobView], seen: Seen) -> JobStep:
    now = seen.now
    if mine:
        return JobStep(what="adopt_job", kind=ref.kind, name=mine[0].name)
    if not seen.own_intent and now < ref.intended + INTENT_LEASE:
        return JobStep(wait=f"another tick is creating the {ref.kind} job")
    if now > ref.intended + CREATE_DEADLINE:
        return JobStep(failed=f"Vertex AI did not accept the {ref.kind} job within {CREATE_DEADLINE}")
    return JobStep(what="create_job", kind=ref.kind)


def _effective(ref: JobRef, mine: list[JobView], holder: str) -> JobView | None:
    """The job whose work counts: who holds the fence, else the one in the record."""
    short = {job.name.rsplit("/", 1)[-1]: job for job in mine}
    if holder and holder.rsplit("/", 1)[-1] in short:
        return short[holder.rsplit("/", 1)[-1]]
    return next((job for job in mine if job.name == ref.name), None)


def _named(ref: JobRef, job: JobView | None, seen: Seen, timeout: timedelta) -> JobStep:
    now = seen.now
    if job is None:
        if now > ref.intended + timeout + GRACE:
            return JobStep(failed=f"the {ref.kind} job {ref.name} is gone")
        return JobStep(wait=f"the {ref.kind} job is not listed yet")
    if not job.state.ended:
        if now > ref.intended + timeout + GRACE:
            return JobStep(what="cancel_job", kind=ref.kind, name=job.name)
        return JobStep(wait=f"the {ref.kind} job is {job.state.value}")
    if job.state is not ref.state:
        return JobStep(what="note_job", kind=ref.kind, name=job.name, job=job)
    if job.state is JobState.SUCCEEDED:
        return _succeeded(ref, now, seen.written)
    if ref.attempt < MAX_ATTEMPTS and job.state is JobState.FAILED and "permanent" not in job.error:
        return JobStep(what="intend_job", kind=ref.kind)
    return JobStep(failed=f"the {ref.kind} job {job.state.value}: {job.error or 'no reason given'}")


def _succeeded(ref: JobRef, now: datetime, written: bool | None) -> JobStep:
    if written is not False:
        return JobStep(done=True)
    if ref.ended is not None and now > ref.ended + OUTPUT_GRACE:
        return JobStep(failed=f"the {ref.kind} job ended without writing its report")
    return JobStep(wait=f"the {ref.kind} job's report is not there yet")
