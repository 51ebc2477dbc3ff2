"""A watcher of the simulated world: every write and every request is held against the promises as it happens.

It reads what the engines wrote and what the services were asked, and trusts neither.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from retraining import health, names
from retraining.intake import Claim, Parked
from retraining.modelspec import ModelSpec
from retraining.records import Money, Run, RunState
from retraining.rollouts import Phase, Rollout, Verdict
from retraining.run_machine import rollout_deadline
from retraining.views import JobPlan
from tests.prove.explore import Violation

BROKEN_MARK = 13  # in the bytes_estimate of counts over a broken feed: a number that no check reads
CENT = 0.005
LAUNCHED = frozenset({RunState.TUNING, RunState.TRAINING, RunState.EVALUATING})


@dataclass
class Watch:
    """What was seen so far."""

    spec: ModelSpec
    now: Callable[[], datetime]
    troubles: Callable[[], int]  # how often something has gone wrong so far
    runs: dict[str, Run] = field(default_factory=dict)
    rollout: Rollout | None = None
    claims: dict[str, str] = field(default_factory=dict)  # key of a fact → run
    parked: set[str] = field(default_factory=set)  # keys
    answered: dict[str, set[str]] = field(default_factory=dict)  # key of a fact → runs that name it
    trained: dict[str, list[str]] = field(default_factory=dict)  # run → jobs that did its training
    working: dict[str, str] = field(default_factory=dict)  # run → the job that is training now
    launches: dict[tuple[str, str, int], int] = field(default_factory=dict)
    intents: dict[tuple[str, str, int], int] = field(default_factory=dict)  # troubles when it was written
    full_since: dict[str, datetime] = field(default_factory=dict)  # deployed model → when it got all traffic
    served: bool = False

    def require(self, holds: bool, promise: str, said: str) -> None:
        """Raises Violation when the promise does not hold."""
        if not holds:
            raise Violation(f"{promise}: {said}")

    # What is written -----------------------------------------------------------------

    def written(self, path: str, body: str) -> None:
        """A record is about to be kept."""
        kind = path.split("/", 1)[0]
        match kind:
            case "runs":
                self._run(Run.from_json(body))
            case "rollouts":
                self.rollout = Rollout.from_json(body)
            case "budget":
                self._money(Money.from_json(body))
            case "claims":
                claim = Claim.from_json(body)
                known = self.claims.setdefault(claim.trigger.key, claim.run_id)
                self.require(known == claim.run_id, "P1", f"{claim.trigger.key} is claimed for {known} and again")
            case "inbox":
                self.parked.add(Parked.from_json(body).trigger.key)
            case _:
                pass

    def _run(self, run: Run) -> None:
        before = self.runs.get(run.run_id)
        self.runs[run.run_id] = run
        if before is not None and before.state.ended:
            said = f"{run.run_id} ended as {before.state.value} and became {run.state.value}"
            self.require(run.state is before.state, "an end is an end", said)
        for cause in run.causes:
            claimed = self.claims.get(cause.key)
            self.require(claimed == run.run_id, "P1", f"{cause.key} is in {run.run_id}, claimed for {claimed}")
            self.answered.setdefault(cause.key, set()).add(run.run_id)
            self.require(len(self.answered[cause.key]) == 1, "P1", f"{cause.key}: {self.answered[cause.key]}")
        for ref in run.jobs:
            self.intents.setdefault((run.run_id, ref.kind, ref.attempt), self.troubles())
        self.require(not (run.state in LAUNCHED and run.problems), "P11", f"{run.run_id}: {run.problems}")

    def _money(self, money: Money) -> None:
        for run, spent in money.spent.items():
            reserved = money.reserved.get(run, 0.0)
            self.require(spent <= reserved + CENT, "P9", f"{run} cost {spent}, {reserved} was set aside")
        limit = self.spec.policy.budget.per_month
        self.require(money.committed <= limit + CENT, "P9", f"{money.month}: {money.committed} of {limit}")

    # What is asked of the services ---------------------------------------------------

    def launched(self, plan: JobPlan, attempt: int) -> None:
        """A job was created."""
        run = self.runs[plan.run_id]
        sound = run.data is not None and run.data.bytes_estimate != BROKEN_MARK
        self.require(sound, "P11", f"{plan.run_id}: a {plan.kind} job on a feed that was seen to be broken")
        key = (plan.run_id, plan.kind, attempt)
        self.require(key in self.intents, "intent first", f"{key} was never intended")
        self.launches[key] = self.launches.get(key, 0) + 1
        trouble = self.troubles() - self.intents[key]
        said = f"{key}: {self.launches[key]} jobs after {trouble} troubles"
        self.require(self.launches[key] <= 1 + trouble, "P1", said)

    def training_begins(self, run_id: str, job: str) -> None:
        """A job took the fence and trains."""
        other = self.working.get(run_id)
        self.require(other is None, "P1", f"{run_id}: {job} trains while {other} does")
        self.working[run_id] = job

    def training_ends(self, run_id: str, job: str, *, well: bool) -> None:
        """It is over."""
        if self.working.get(run_id) != job:
            return
        del self.working[run_id]
        if well:
            self.trained.setdefault(run_id, []).append(job)
            self.require(len(self.trained[run_id]) == 1, "P1", f"{run_id} was trained by {self.trained[run_id]}")

    def traffic(self, split: dict[str, int], deployed: dict[str, str]) -> None:
        """The split is about to be set."""
        self.require(sum(split.values()) == 100, "P3", f"a split that does not sum to 100: {split}")
        self.require(
            split.keys() <= deployed.keys(), "P3", f"{split} names what is not deployed: {sorted(deployed)}"
        )
        record = self.rollout
        assert record is not None
        ours = {s.deployed_id for s in (record.champion, record.challenger) if s}
        self.require(split.keys() <= ours, "P3", f"{split} names a model of nobody's rollout")
        self.note_split(split)

    def note_split(self, split: dict[str, int]) -> None:
        """The split is this now."""
        self.served = True
        full = next((key for key, share in split.items() if share == 100), "")
        self.full_since = {full: self.full_since.get(full, self.now())} if full else {}

    def undeployed(self, deployed_id: str, split: dict[str, int]) -> None:
        """A model is about to be taken away."""
        self.require(not split.get(deployed_id), "P4", f"{deployed_id} has traffic: {split}")
        record = self.rollout
        if record is None or record.champion is None or record.champion.deployed_id != deployed_id:
            return
        said = f"the champion {deployed_id} is taken away while the split is {split}"
        assert record.challenger is not None, said
        self.require(split.get(record.challenger.deployed_id) == 100, "P4", said)
        soaked = self.now() - self.full_since[record.challenger.deployed_id]
        enough = record.restoring or soaked >= self.spec.rollout.soak
        self.require(enough, "P4", f"the champion is taken away {soaked} after the challenger had all traffic")

    # What is true between ticks ------------------------------------------------------

    def between(self, store: Any, split: dict[str, int], deployed: dict[str, str], *, clean: bool) -> None:
        """Nobody is at work. ``clean``: nothing went wrong in the tick before."""
        if self.served:
            whole = sum(split.values()) == 100 and split.keys() <= deployed.keys()
            self.require(whole, "never without a model", f"split {split} of {sorted(deployed)}")
        record = self.rollout
        if record is not None and record.phase is Phase.IDLE and record.champion is not None:
            alone = split == {record.champion.deployed_id: 100}
            self.require(alone, "P5", f"idle, {record.champion.deployed_id} is champion, the split is {split}")
        if clean:
            self._prompt(store, split, deployed)

    def _prompt(self, store: Any, split: dict[str, int], deployed: dict[str, str]) -> None:
        """After a tick that nothing disturbed, nothing is late."""
        now, record = self.now(), self.rollout
        for path in store.list("active/"):
            run = self.runs.get(path.removeprefix("active/").removesuffix(".json"))
            late = run is not None and health.is_overdue(run, self.spec, now)
            self.require(not late, "P7", f"{run and (run.run_id, run.state.value, run.entered)} is overdue")
        rolling = store.list("rolling/")
        if record is None:
            return
        stuck = bool(rolling) and health.is_stuck(record, self.spec, now)
        self.require(not stuck, "P7", f"the rollout is {record.phase.value} since {record.entered}")
        alarm = record.look is not None and record.look.verdict is Verdict.WORSE
        moving = record.phase is Phase.STEP or (record.phase is Phase.FULL and record.champion is not None)
        self.require(not (alarm and moving), "P6", f"harm was seen and it is still {record.phase.value}")
        if record.phase is Phase.ROLLING_BACK and record.challenger and record.champion:
            share = split.get(record.challenger.deployed_id, 0)
            self.require(share == 0, "P6", f"rolling back, and the challenger still has {share} %")
        if not rolling and not store.list("candidates/") and record.phase is Phase.IDLE:
            kept = {record.champion.deployed_id} if record.champion else set()
            self.require(set(deployed) == kept, "P5", f"left behind: {sorted(set(deployed) - kept)}")

    def at_the_end(self, store: Any, told: set[str], jobs: Any) -> None:
        """Nothing is open any more: every fact is answered, everything ended."""
        self.require(told == set(self.claims), "P2", f"never answered: {sorted(told - set(self.claims))[:5]}")
        for key, run_id in self.claims.items():
            run = self.runs.get(run_id)
            ended = run is not None and run.state.ended and bool(run.history[-1].reason)
            self.require(ended, "P2", f"{key}: its run {run_id} is {run and run.state.value}")
        for prefix in ("inbox/", "active/", "rolling/", "candidates/"):
            self.require(not store.list(prefix), "P2", f"left: {store.list(prefix)}")
        left = [job.name for job in jobs.all() if not job.state.ended]
        self.require(not left, "P1", f"jobs left running: {left}")
        for run_id in self.trained:
            spent = store.read(names.budget_path(self.spec.name, self.runs[run_id].opened))
            settled = spent is not None and run_id in Money.from_json(spent.body).spent
            self.require(settled, "P9", f"{run_id} was trained and never paid")

    @staticmethod
    def grace(spec: ModelSpec) -> timedelta:
        """How long the longest scene may take to come to rest."""
        return rollout_deadline(spec) + timedelta(days=10)
