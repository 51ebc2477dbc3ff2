"""What has changed since the last look, in lines for people; the rehearsal never waits for it."""

from dataclasses import dataclass, field
from datetime import datetime

from retraining.modelspec import ModelSpec
from retraining.ports import Store
from retraining.records import Run, RunState
from retraining.rollouts import Rollout, Step
from retraining.state import read_rollout, read_run

QUIET = frozenset({RunState.WAITING, RunState.LAUNCHING, RunState.ELIGIBLE, RunState.ROLLING_OUT})


@dataclass(frozen=True)
class Line:
    """One thing that happened."""

    at: datetime
    kind: str  # run, traffic, skip, world
    text: str


@dataclass
class Watch:
    """Remembers what it has seen."""

    store: Store
    spec: ModelSpec
    runs: dict[str, Run] = field(default_factory=dict)
    skipped: int = 0
    _seen: dict[str, int] = field(default_factory=dict)
    _step: Step | None = None

    def look(self) -> list[Line]:
        """What is new, oldest first."""
        lines = [line for run_id in self._open() for line in self._run(run_id)]
        return sorted([*lines, *self._rollout()], key=lambda line: line.at)

    def _open(self) -> list[str]:
        ids = (path.removeprefix("runs/").removesuffix(".json") for path in self.store.list("runs/"))
        return [run_id for run_id in ids if run_id not in self.runs or not self.runs[run_id].state.ended]

    def _run(self, run_id: str) -> list[Line]:
        found = read_run(self.store, run_id)
        if found is None:
            return []
        run = self.runs[run_id] = found[0]
        if run.state is RunState.SKIPPED:
            self.skipped += 1
            return [Line(run.entered, "skip", f"{cause_of(run)} → skipped: {run.history[-1].reason}")]
        fresh = run.history[self._seen.get(run_id, 0) :]
        self._seen[run_id] = len(run.history)
        return [
            Line(change.at, "run", f"{cause_of(run)} → {change.state.value.replace('_', ' ')}: {change.reason}")
            for change in fresh
            if change.state not in QUIET
        ]

    def _rollout(self) -> list[Line]:
        record: Rollout = read_rollout(self.store, self.spec.endpoint, self.spec.name)[0]
        seen = record.history.index(self._step) + 1 if self._step in record.history else 0
        fresh = record.history[seen:]  # the record forgets its oldest steps, so a count would not do
        self._step = record.history[-1] if record.history else None
        return [
            Line(
                step.at,
                "traffic",
                f"{step.run_id}: {step.phase.value.replace('_', ' ')}: {step.reason}"
                + (f" [{', '.join(f'{k} {v} %' for k, v in step.split.items())}]" if step.split else ""),
            )
            for step in fresh
        ]


def cause_of(run: Run) -> str:
    """The run and the kinds of triggers that asked for it."""
    kinds = "+".join(dict.fromkeys(cause.kind.value for cause in run.causes))
    return f"{run.run_id} ({kinds})"
