"""The record of an endpoint: who serves, and the rollout under way."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from retraining import migrations
from retraining.record import Record

MAX_HISTORY = 200


class Phase(StrEnum):
    """Where a rollout stands; each line says what is true in it."""

    IDLE = "idle"  # the champion serves alone, or nothing does
    REGISTERING = "registering"  # the challenger gets a version in the registry
    DEPLOYING = "deploying"  # the challenger is being deployed, without traffic
    STEP = "step"  # the challenger takes its share; champion takes the rest
    FULL = "full"  # the challenger takes all; the champion is still deployed
    CLEANUP = "cleanup"  # the old champion is taken away
    ROLLING_BACK = "rolling_back"  # traffic returns to the champion, then the challenger is taken away
    HELD = "held"  # a person must look; nothing moves


class Verdict(StrEnum):
    """What the requests of a step say about the challenger."""

    BETTER = "better"
    NOT_WORSE = "not_worse"
    WORSE = "worse"
    INCONCLUSIVE = "inconclusive"
    NO_DATA = "no_data"


class Look(Record):
    """One look at the two arms."""

    at: datetime
    verdict: Verdict
    reason: str
    challenger_rows: int
    champion_rows: int
    difference: float | None = None  # challenger's mean loss minus the champion's
    low: float | None = None  # anytime-valid bounds of the difference
    high: float | None = None
    hold: bool = False  # the numbers cannot be trusted: nothing may move forward on them
    page: str = ""  # what somebody should know now: the champion itself breaks a limit


class Serving(Record):
    """A model that serves, or is to serve."""

    run_id: str
    deployed_id: str
    version: str = ""  # full name with @version; empty until registered
    digest: str = ""  # of its files, from the manifest


class Ask(Record):
    """What a person asked for."""

    action: Literal["roll_back", "resume"]
    by: str
    reason: str
    at: datetime


class Step(Record):
    """One entry of an endpoint's history."""

    at: datetime
    phase: Phase
    run_id: str
    split: dict[str, int]  # deployed model id → percent, as the endpoint answered
    reason: str
    by: str = ""


class Outcome(Record):
    """How a rollout ended."""

    format = migrations.OUTCOME

    run_id: str
    result: Literal["promoted", "rolled_back"]
    reason: str
    at: datetime


class Rollout(Record):
    """One endpoint. At most one rollout is under way: this record is the mutex."""

    format = migrations.ROLLOUT

    endpoint: str
    model: str
    phase: Phase = Phase.IDLE
    sequence: int = 0  # counts rollouts; part of the deployed model's id
    champion: Serving | None = None
    challenger: Serving | None = None
    previous: Serving | None = None  # the champion before; where a rollback after promotion returns to
    restoring: bool = False  # this rollout brings back `previous`: no steps, no comparison
    step: int = 0  # index into the model's steps
    entered: datetime | None = None  # when phase and step began; a restart never resets it
    confirmed: dict[str, int] = {}  # the split that was last read back from the endpoint
    intended: dict[str, int] = {}  # the split that is about to be set; any third one is a person's
    operation: str = ""  # deploy or upload under way
    attempts: int = 0  # deploys tried
    held_from: Phase | None = None
    ask: Ask | None = None
    look: Look | None = None
    reason: str = ""
    history: tuple[Step, ...] = ()
    retired: tuple[str, ...] = ()  # ids this record once deployed; only these are ever swept
    nonce: str = ""

    def move(self, phase: Phase, reason: str, at: datetime, by: str = "", **changes: object) -> "Rollout":
        """The record in its next phase, with the split that was last confirmed in its history."""
        after = self.but(phase=phase, entered=at, reason=reason, **changes)
        who = after.challenger or after.champion
        entry = Step(
            at=at,
            phase=phase,
            run_id=who.run_id if who else "",
            split=after.confirmed,
            reason=reason,
            by=by,
        )
        return after.but(history=(*self.history, entry)[-MAX_HISTORY:])
