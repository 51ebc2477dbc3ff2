"""The rehearsal's clock: fast between runs, slow while jobs work, stopped while the replay is behind.

A training that takes ten seconds here takes most of an hour in the cloud. If the clock always ran at replay speed,
those ten seconds would be weeks of traffic and every deadline would pass; so it runs at ``JOBS`` while jobs work or
a model is being deployed, and at ``WAITING`` while triggers gather.
"""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from gcp.clock import clock, write_clock
from retraining.errors import RetrainingError
from retraining.modelspec import ModelSpec
from retraining.ports import Store
from retraining.records import RunState
from retraining.rollouts import Phase
from retraining.state import read_rollout, read_run, read_state

DAY = timedelta(days=1)
JOBS = 120.0  # seconds of the clock in each real one
WAITING = 3600.0
POLL = 0.05  # real seconds
WORKING = frozenset(
    {RunState.VALIDATING, RunState.LAUNCHING, RunState.TUNING, RunState.TRAINING, RunState.EVALUATING}
)
MOVING = frozenset({Phase.REGISTERING, Phase.DEPLOYING, Phase.CLEANUP, Phase.ROLLING_BACK})


@dataclass
class Pace:
    """How fast the clock runs, and why."""

    speed: float
    reason: str


class Pacer:
    """Sets the speed of the clock file by what the records say, in one thread; ``limit`` is where it must stop."""

    def __init__(self, path: Path, store: Store, spec: ModelSpec, day_seconds: float) -> None:
        self._path, self._store, self._spec = path, store, spec
        self._fast = DAY.total_seconds() / day_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pacer", daemon=True)
        self.now = clock(f"file:{path}")
        self.limit: datetime = self.now()
        self.pace = Pace(0.0, "not started")

    def start(self) -> None:
        """Begin to set the pace."""
        self._thread.start()

    def stop(self) -> None:
        """Freeze the clock and end."""
        self._stop.set()
        self._thread.join()
        write_clock(self._path, self.now(), 0.0)

    def wait_for(self, moment: datetime) -> None:
        """Let the clock run up to ``moment``, and no further."""
        self.limit = max(self.limit, moment)
        while self.now() < moment and not self._stop.is_set():
            self._stop.wait(POLL / 2)

    def _run(self) -> None:
        while not self._stop.wait(POLL):
            wanted = self._wanted()
            if wanted.speed != self.pace.speed:
                write_clock(self._path, self.now(), wanted.speed)
            self.pace = wanted

    def _wanted(self) -> Pace:
        if self.now() >= self.limit:
            return Pace(0.0, "the replay catches up")
        try:
            return wanted_pace(self._store, self._spec, self._fast)
        except RetrainingError as error:  # the store is away for a moment: keep the pace
            return Pace(self.pace.speed, f"{type(error).__name__}: {error}")


def wanted_pace(store: Store, spec: ModelSpec, fast: float) -> Pace:
    """The speed that the records ask for."""
    rollout, _ = read_rollout(store, spec.endpoint, spec.name)
    if rollout.phase in MOVING:
        return Pace(JOBS, f"rollout {rollout.phase.value}")
    state, _ = read_state(store, spec.name)
    if state.active_run and (found := read_run(store, state.active_run)):
        if found[0].state in WORKING:
            return Pace(JOBS, f"run {found[0].state.value}")
        if found[0].state is RunState.ELIGIBLE:
            return Pace(JOBS, "a winner waits")
        if found[0].state.ended or rollout.phase is Phase.IDLE:
            return Pace(WAITING, "a run comes to its end")
        return Pace(fast, f"run {found[0].state.value}")
    if state.active_run or state.waiting_run or store.list(f"inbox/{spec.name}/"):
        return Pace(WAITING, "triggers gather")
    return Pace(fast, "requests are replayed")


def is_busy(store: Store, spec: ModelSpec) -> bool:
    """Whether a job works or a model is being moved, which takes its time whatever the clock says."""
    rollout, _ = read_rollout(store, spec.endpoint, spec.name)
    state, _ = read_state(store, spec.name)
    found = read_run(store, state.active_run) if state.active_run else None
    return rollout.phase in MOVING or (found is not None and found[0].state in WORKING)
