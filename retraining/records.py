"""The records of runs and models: what is true between two ticks."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from retraining import migrations
from retraining.record import Record
from retraining.reports import Evaluation
from retraining.triggers import Trigger
from retraining.views import DataCounts, JobState, SnapshotView

MAX_CAUSES = 50  # a storm of triggers must not grow a record without end; the rest is counted


class RunState(StrEnum):
    """Where a run stands; each line says what is true in it."""

    WAITING = "waiting"  # triggers may still join; nothing was started
    VALIDATING = "validating"  # the run has its turn; rows are checked, then frozen
    LAUNCHING = "launching"  # rows are frozen; money is being reserved
    TUNING = "tuning"  # short trials look for hyperparameters
    TRAINING = "training"  # the candidate is being trained
    EVALUATING = "evaluating"  # candidate and champion are scored on the same fresh rows
    AWAITING_APPROVAL = "awaiting_approval"  # the gate is open, a person must say yes
    ELIGIBLE = "eligible"  # the candidate may take traffic; its rollout has not begun
    ROLLING_OUT = "rolling_out"  # traffic moves
    SKIPPED = "skipped"  # end: the policy said no
    BLOCKED_DATA = "blocked_data"  # end: the feed is broken
    REJECTED = "rejected"  # end: the gate said no
    PROMOTED = "promoted"  # end: the candidate is the champion
    ROLLED_BACK = "rolled_back"  # end: the champion stayed
    FAILED = "failed"  # end: a job failed
    CANCELLED = "cancelled"  # end: a person stopped it
    EXPIRED = "expired"  # end: a deadline passed

    @property
    def ended(self) -> bool:
        """Whether the run will never change again."""
        return self in ENDS


ENDS = frozenset(
    {
        RunState.SKIPPED,
        RunState.BLOCKED_DATA,
        RunState.REJECTED,
        RunState.PROMOTED,
        RunState.ROLLED_BACK,
        RunState.FAILED,
        RunState.CANCELLED,
        RunState.EXPIRED,
    }
)


class Decision(Record):
    """Why a run starts, or does not."""

    action: Literal["train", "tune", "skip"]
    code: str  # one word for machines, for example cooldown
    text: str  # one sentence for people
    at: datetime


class JobRef(Record):
    """One attempt at one job of a run. Written before the job is created, so that no job is ever forgotten."""

    kind: Literal["tune", "train", "evaluate"]
    attempt: int
    intended: datetime
    name: str = ""  # full name; empty until the create was answered or the job was found
    state: JobState = JobState.WAITING
    error: str = ""
    ended: datetime | None = None
    seconds: float = 0.0  # how long it ran, for the bill


class GateResult(Record):
    """What the comparison of candidate and champion means."""

    eligible: bool
    reasons: tuple[str, ...]  # every reason for or against, one sentence each
    forced: bool = False  # a person overrode the comparison with the champion


class Change(Record):
    """One step of a run's life."""

    at: datetime
    state: RunState
    reason: str


class Run(Record):
    """One attempt from triggers to verdict."""

    format = migrations.RUN

    run_id: str
    model: str
    state: RunState
    opened: datetime
    entered: datetime  # when `state` began; a restart never resets it
    spec_digest: str
    causes: tuple[Trigger, ...]
    more_causes: int = 0  # triggers that joined after the first MAX_CAUSES
    decision: Decision | None = None
    data: DataCounts | None = None
    data_since: datetime | None = None
    problems: tuple[str, ...] = ()  # why the feed counts as broken
    snapshot: SnapshotView | None = None
    modules: str = ""  # digest of the module set that its jobs run; empty: the image's own code
    reserved: float = 0.0  # money
    parameters: dict[str, str] = {}
    parameters_from: str = ""
    jobs: tuple[JobRef, ...] = ()
    manifest_digest: str = ""
    champion_run: str = ""  # whom the candidate was compared with; empty when there was nobody
    evaluation: Evaluation | None = None
    gate: GateResult | None = None
    approved_by: str = ""
    cancelled_by: str = ""
    spent: float = 0.0  # money, as far as jobs have ended
    history: tuple[Change, ...] = ()
    nonce: str = ""  # of the last write, so that a writer recognises its own

    @property
    def forced(self) -> bool:
        """Whether a person asked to override cooldown and champion."""
        return any(cause.force for cause in self.causes)

    def job(self, kind: str) -> JobRef | None:
        """The newest attempt of this kind."""
        return next((job for job in reversed(self.jobs) if job.kind == kind), None)

    def with_job(self, job: JobRef) -> "Run":
        """The run with this attempt added, or replaced if it is there."""
        others = tuple(j for j in self.jobs if (j.kind, j.attempt) != (job.kind, job.attempt))
        return self.but(jobs=(*others, job))

    def move(self, state: RunState, reason: str, at: datetime) -> "Run":
        """The run in its next state."""
        change = Change(at=at, state=state, reason=reason)
        return self.but(state=state, entered=at, history=(*self.history, change))


class Pause(Record):
    """Who stopped a model from retraining, and why."""

    by: str
    reason: str
    at: datetime


class ModelState(Record):
    """What is known about a model between runs."""

    format = migrations.MODEL_STATE

    model: str
    waiting_run: str = ""  # collects triggers
    active_run: str = ""  # has its turn; one at a time
    paused: Pause | None = None
    launches: tuple[datetime, ...] = ()  # newest last, at most 50
    failures: int = 0  # runs in a row that were rejected, failed or rolled back
    watermark: datetime | None = None  # timestamp of the newest row that a launched run has seen
    parameters: dict[str, str] = {}  # found by the last tuning
    tuned_by: str = ""
    runs_since_tuning: int = 0
    features_digest: str = ""  # of the features the last trained candidate had
    nonce: str = ""


class Money(Record):
    """One month of one model: reserved before launch, settled after."""

    format = migrations.MONEY

    model: str
    month: str
    reserved: dict[str, float] = {}  # run → money
    spent: dict[str, float] = {}  # run → money
    nonce: str = ""

    @property
    def committed(self) -> float:
        """Money spent, and money that open runs may still spend."""
        return sum(self.spent.values()) + sum(v for run, v in self.reserved.items() if run not in self.spent)
