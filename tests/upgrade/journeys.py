"""Worlds that stand still in the middle of their work: one for each state of a run, phase of a rollout, and end.

A journey promotes a first model, starts a second run and dies right after one named effect, as a process does. From
there the work can be gone on with, by the same release or by another.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from retraining import operate
from retraining.rollouts import Phase
from retraining.state import read_money
from retraining.triggers import Ask, Kind
from retraining.views import JobState, Trial
from tests.engine.cloud import Cloud
from tests.unit.build import FLIGHTS, SPECS, counts

GOOD = Trial(id="2", state="SUCCEEDED", parameters={"batch_size": 2048.0}, metrics={"val_log_loss": 0.14})
WITH_APPROVAL = FLIGHTS.model_copy(update={"gate": FLIGHTS.gate.model_copy(update={"approval": True})})


class Died(BaseException):
    """The process ends here. No handler of ours may catch it."""


@dataclass
class Until:
    """Performs effects, and dies after the next one that is called ``name``. An empty name lives for ever."""

    name: str = ""

    def __call__(self, name: str, act: Callable[[], object]) -> object:
        """See Effect."""
        result = act()
        if name == self.name:
            self.name = ""
            raise Died(name)
        return result


def nothing(cloud: Cloud) -> None:
    """What happens to most worlds: nothing."""
    del cloud


@dataclass(frozen=True)
class Journey:
    """What happens to the second run up to the effect ``stop``, and what people do later."""

    stop: str
    before: Callable[[Cloud], None] = nothing
    ask: dict[str, Any] = field(default_factory=dict)  # changes of the trigger
    way: tuple[tuple[str, Callable[[Cloud], None]], ...] = ()  # stops on the way, and what happens there
    after: Callable[[Cloud], None] = nothing

    def stand(self) -> Cloud:
        """The world right after the stop."""
        until = Until()
        cloud = Cloud(effect=until)
        cloud.promoted()
        self.before(cloud)
        for stop, happens in (*self.way, (self.stop, nothing)):
            until.name = stop
            self._walk(cloud, until)
            happens(cloud)
        return cloud

    def _walk(self, cloud: Cloud, until: Until) -> None:
        for _ in range(200):
            try:
                cloud.trigger(key="the-fact", at=cloud.now, **self.ask)  # told again and again, as Pub/Sub does
                cloud.tick()
            except Died:
                return
        raise AssertionError(f"{until.name!r} never happened; {[run.state for run in cloud.all_runs]}")

    def go_on(self, cloud: Cloud) -> dict[str, Any]:
        """How the work ends from here."""
        cloud.trigger(key="the-fact", **self.ask)
        self.after(cloud)
        cloud.settle(300)
        return end(cloud)


def end(cloud: Cloud) -> dict[str, Any]:
    """What must not depend on who did the work: verdicts, who serves, work done and money."""
    runs = cloud.all_runs
    champion = cloud.rollout.champion
    assert champion is not None
    assert cloud.split == {champion.deployed_id: 100}
    return {
        "states": [run.state.value for run in runs],
        "causes": [len(run.causes) + run.more_causes for run in runs],
        "champion": [run.run_id for run in runs].index(champion.run_id),
        "jobs": dict(Counter(job.kind for job in cloud.jobs.all())),
        "deployed": cloud.rollout.sequence,
        "reserved": [run.reserved for run in runs],
        "settled": [run.run_id in read_money(cloud.store, "flights", run.opened)[0].spent for run in runs],
    }


def _harmful(cloud: Cloud) -> None:
    cloud.live = 0.4


def _worse(cloud: Cloud) -> None:
    cloud.difference = 0.05


def _failing(cloud: Cloud) -> None:
    cloud.train_state = JobState.FAILED


def _broken(cloud: Cloud) -> None:
    cloud.warehouse.counts["flights"] = counts(rows=0)


def _tuned(cloud: Cloud) -> None:
    cloud.trials = (GOOD,)


def _paused(cloud: Cloud) -> None:
    operate.pause(cloud.store, "flights", "ann", "a look at the feed", cloud.now)


def _approval(cloud: Cloud) -> None:
    cloud.runs = replace(cloud.runs, models={**SPECS, "flights": WITH_APPROVAL})


def _approved(cloud: Cloud) -> None:
    cloud.tick()
    operate.approve(cloud.store, cloud.all_runs[-1].run_id, "ann", cloud.now)


def _cancelled(cloud: Cloud) -> None:
    operate.cancel(cloud.store, cloud.all_runs[-1].run_id, "ann", cloud.now)


def _late(cloud: Cloud) -> None:
    cloud.now += timedelta(days=20)


def _by_hand(cloud: Cloud) -> None:
    view = cloud.endpoints.view("flights")
    assert view is not None
    cloud.endpoints.set_traffic("flights", dict(zip(view.deployed, (60, 40), strict=True)), view.etag)


def _taken_back(cloud: Cloud) -> None:
    cloud.tick()
    assert cloud.rollout.phase is Phase.HELD
    operate.roll_back(cloud.store, FLIGHTS, "ann", "it was a mistake", cloud.now)


TUNE = {"kind": Kind.MANUAL, "ask": Ask.TUNE}
MOVES = ("validating", "launching", "training", "evaluating", "eligible", "rolling_out", "promoted")
PHASES = ("registering", "deploying", "step", "full", "cleanup")
BETWEEN = (
    "park trigger",
    "claim trigger",
    "take turn",
    "reserve money",
    "intend train job",
    "create train job",
    "note train job",
    "note end of train job",
    "queue candidate",
    "upload model",
    "deploy model",
    "set traffic",
    "write outcome",
    "settle money",
)

JOURNEYS: dict[str, Journey] = {
    "waiting": Journey("create run"),
    **{name: Journey(f"move to {name}") for name in (*MOVES, *PHASES)},
    **{f"after {name}".replace(" ", "_"): Journey(name) for name in BETWEEN},
    "tuning": Journey("move to tuning", _tuned, TUNE),
    "after_note_tune_job": Journey("note tune job", _tuned, TUNE),
    "awaiting_approval": Journey("move to awaiting_approval", _approval, after=_approved),
    "rolling_back": Journey("move to rolling_back", _harmful),
    "held": Journey("move to held", way=(("note", nothing), ("set traffic", _by_hand)), after=_taken_back),
    "skipped": Journey("move to skipped", _paused),
    "blocked_data": Journey("move to blocked_data", _broken),
    "rejected": Journey("move to rejected", _worse),
    "rolled_back": Journey("move to rolled_back", _harmful),
    "failed": Journey("move to failed", _failing),
    "cancelled": Journey("move to cancelled", way=(("note train job", _cancelled),)),
    "expired": Journey("move to expired", way=(("move to validating", _late),)),
}
