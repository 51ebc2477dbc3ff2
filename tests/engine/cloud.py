"""A small cloud in memory, in which jobs end, models deploy and requests arrive when a test lets time pass."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from local.memory.artifacts import MemoryArtifacts
from local.memory.bus import MemoryBus
from local.memory.endpoints import MemoryEndpoints
from local.memory.jobs import MemoryJobs
from local.memory.operations import MemoryOperations
from local.memory.registry import MemoryRegistry
from local.memory.store import MemoryStore
from local.memory.warehouse import MemoryWarehouse
from retraining import names, rollout_loop, run_loop
from retraining.intake import Effect, Intake, accept, direct
from retraining.records import Run
from retraining.reports import Evaluation, Manifest, Paired
from retraining.rollout_loop import RolloutWorld
from retraining.rollouts import Rollout
from retraining.settings import Settings
from retraining.state import RunWorld, read_rollout, read_run
from retraining.triggers import Trigger
from retraining.views import ArmCounts, JobState, JobView, Trial
from tests.unit.build import DAY, HOUR, NOW, SPECS, counts, trigger

TICK = timedelta(hours=2)
MONTH_LATER = NOW + 30 * DAY + 14 * HOUR
SETTINGS = Settings("my-project", "us-central1", "state", "artifacts", "retraining", trainer_image="trainer")


@dataclass
class Cloud:
    """Everything outside, and the two engines inside."""

    effect: Effect = direct
    now: datetime = NOW
    difference: float = -0.01  # candidate's loss minus the champion's, in the next evaluation
    live: float = 0.0  # challenger's loss minus the champion's, in live requests
    train_state: JobState = JobState.SUCCEEDED
    trials: tuple[Trial, ...] = ()
    deploy_error: str = ""
    finished: set[str] = field(default_factory=set)
    reports: list[str] = field(default_factory=list)  # what a tick said it postponed

    def __post_init__(self) -> None:
        clock: Callable[[], datetime] = lambda: self.now  # noqa: E731
        self.store, self.bus, self.artifacts = MemoryStore(), MemoryBus(), MemoryArtifacts()
        self.operations = MemoryOperations(at_once=False)
        self.jobs, self.warehouse = MemoryJobs(clock), MemoryWarehouse()
        self.endpoints = MemoryEndpoints(self.operations, "flights")
        self.registry = MemoryRegistry(self.operations)
        self.warehouse.counts["flights"] = counts()
        self.intake = Intake(SPECS, self.store, clock, lambda name, act: self.effect(name, act))
        seam: Effect = lambda name, act: self.effect(name, act)  # noqa: E731
        self.runs = RunWorld(
            SETTINGS, SPECS, self.store, self.jobs, self.warehouse, self.artifacts, self.bus, clock, seam
        )
        self.rollouts = RolloutWorld(
            SETTINGS,
            SPECS,
            self.store,
            self.endpoints,
            self.registry,
            self.operations,
            self.warehouse,
            self.artifacts,
            clock,
            seam,
        )
        self.new_rows()

    def new_rows(self) -> None:
        """Thirty days of labelled rows, a thousand a day, up to now."""
        start = self.now - 30 * DAY
        self.warehouse.labelled["flights"] = [start + i * (DAY / 1000) for i in range(30_000)]
        self.warehouse.counts["flights"] = counts(newest=self.now - HOUR)

    def trigger(self, **changes: Any) -> Trigger:
        """A fact arrives."""
        fact = trigger(**{"at": self.now, "key": f"k-{self.now.isoformat()}", **changes})
        accept(self.intake, fact)
        return fact

    def tick(self) -> None:
        """Two hours pass in the world, then both engines get their tick."""
        self.now += TICK
        self._work()
        run_loop.tick(self.runs, self.reports.append)
        rollout_loop.tick(self.rollouts, self.reports.append)

    def settle(self, ticks: int = 100) -> None:
        """Tick until nothing is open."""
        for _ in range(ticks):
            self.tick()
            if not any(self.store.list(prefix) for prefix in ("inbox/", "active/", "rolling/", "candidates/")):
                return
        open_work = [
            p for prefix in ("inbox/", "active/", "rolling/", "candidates/") for p in self.store.list(prefix)
        ]
        raise AssertionError(f"still open after {ticks} ticks: {open_work}; {self.reports[-3:]}")

    # What the outside does ---------------------------------------------------------------

    def _work(self) -> None:
        for job in self.jobs.all():
            if job.name not in self.finished:
                self._finish(job)
        for operation in self.operations.running():
            self.operations.end(operation, self.deploy_error if "/endpoints/" in operation else "")
        self._requests()

    def _finish(self, job: JobView) -> None:
        self.finished.add(job.name)
        plan = self.jobs.plan(job.name)
        state = self.train_state if job.kind == "train" else JobState.SUCCEEDED
        if job.state.ended:
            return
        if job.kind == "train" and state is JobState.SUCCEEDED:
            self._train(job, plan.run_id, dict(a.split("=", 1) for a in plan.args if "=" in a))
        if job.kind == "evaluate":
            self._evaluate(plan.run_id, any(a.startswith("--champion=") for a in plan.args))
        self.jobs.finish(job.name, state, "" if state is JobState.SUCCEEDED else "exit 1", self.trials)

    def _train(self, job: JobView, run_id: str, args: dict[str, str]) -> None:
        fence = args["--fence"]
        if self.artifacts.read(fence) is not None:
            return  # another job was first: this one goes home
        self.artifacts.write(fence, f'{{"job_id": "{job.name.rsplit("/", 1)[-1]}"}}'.encode())
        self._write_model(run_id, args)

    def _write_model(self, run_id: str, args: dict[str, str]) -> None:
        """What a training leaves behind."""
        manifest = Manifest(
            run_id=run_id,
            files={},
            digest=f"m-{run_id}",
            spec_digest="s",
            data_digest=args["--data-digest"],
            code_digest="c",
            parameters={},
            versions={},
            seed=1,
        )
        folder = names.artifact_uri("artifacts", run_id)
        self.artifacts.write(f"{folder}/model/saved_model.pb", run_id.encode())
        self.artifacts.write(f"{folder}/report/manifest.json", manifest.to_json().encode())

    def _evaluate(self, run_id: str, champion: bool) -> None:
        report = Evaluation(
            run_id=run_id,
            nonce="",
            rows=5000,
            candidate={"log_loss": 0.16 + self.difference, "auc": 0.97},
            champion={"log_loss": 0.16, "auc": 0.97} if champion else None,
            difference=Paired(rows=5000, clusters=6, mean=self.difference, standard_error=0.0003)
            if champion
            else None,
            candidate_digest=f"m-{run_id}",
            candidate_objects=self.artifacts.list(f"{names.artifact_uri('artifacts', run_id)}/model"),
        )
        self.artifacts.write(names.evaluation_uri("artifacts", run_id), report.to_json().encode())

    def _requests(self) -> None:
        """Every deployed model has answered many requests; the challenger's loss differs by ``live``."""
        record = self.rollout
        arms = {}
        for role, serving in (("champion", record.champion), ("challenger", record.challenger)):
            if serving:
                mean = 0.16 + (self.live if role == "challenger" else 0.0)
                n = 200_000
                arms[serving.deployed_id] = ArmCounts(
                    rows=n, invalid=0, labelled=n, loss_sum=n * mean, loss_sq_sum=n * (mean**2 + 0.09)
                )
        self.warehouse.arm_counts["flights"] = arms

    # What a test asks --------------------------------------------------------------------

    @property
    def rollout(self) -> Rollout:
        """The endpoint's record."""
        return read_rollout(self.store, "flights", "flights")[0]

    @property
    def all_runs(self) -> list[Run]:
        """Every run, oldest first."""
        ids = [p.removeprefix("runs/").removesuffix(".json") for p in self.store.list("runs/")]
        found = [read_run(self.store, run_id) for run_id in ids]
        return sorted((f[0] for f in found if f), key=lambda run: run.opened)

    @property
    def split(self) -> dict[str, int]:
        """What the endpoint serves."""
        view = self.endpoints.view("flights")
        assert view is not None
        return view.split

    def promoted(self) -> Run:
        """Let a first model be trained and promoted, then let a month pass."""
        self.trigger()
        self.settle()
        assert self.now < MONTH_LATER
        self.now = MONTH_LATER  # however many ticks the first model took
        self.new_rows()
        return self.all_runs[-1]
