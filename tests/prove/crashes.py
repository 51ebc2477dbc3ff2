"""A fault at every effect, and at every two: does the same end come, whatever a process does last?

A story of two runs is told again and again on the real engine. At the n-th effect the process dies before it or
after it, its answer is lost, or the process stalls: other ticks go on, until it wakes and does what it was about to
do, with what it had read. A stalled process is a thread; only one runs at a time, so every story can be told again.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import combinations, product

from retraining import names
from retraining.errors import RetrainingError, Temporary
from retraining.records import RunState
from retraining.state import read_money
from retraining.triggers import Kind
from tests.engine.cloud import TICK, Cloud
from tests.prove.report import Part
from tests.unit.build import DAY, HOUR, counts

HOW = "python -m tests.prove --only crashes [--deep]"
BEFORE, AFTER, LOST = "dies before", "dies after", "answer lost"
SHORT, LONG = "stalls for a tick", "stalls for four ticks"
BEYOND = "stalls for a week"  # longer than any function lives: not promised to leave no trace, but to do no harm
NAPS = {SHORT: 1, LONG: 4, BEYOND: 84}  # ticks that others take meanwhile
NAP_TICK = timedelta(minutes=3)  # so that four of them fit into the life of a function
MODES = (BEFORE, AFTER, LOST, SHORT, LONG)
PAIRS = 300  # in quick mode
MAX_TICKS = 200
_ROWS = [i * (DAY / 80) - 30 * DAY for i in range(30 * 80)]
_OPEN = ("inbox/", "active/", "rolling/", "candidates/")


class Crash(BaseException):
    """The process dies here. No handler of ours may catch it."""


@dataclass
class Process:
    """One invocation: runs until it ends or stalls, and goes on when it is woken."""

    act: Callable[[], object]
    naps: int = 0  # ticks of others until it wakes; 0: it is awake
    short: bool = True
    ended: bool = False
    defect: str = ""  # what nobody foresaw

    def __post_init__(self) -> None:
        self._baton, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._live, daemon=True)

    def begin(self) -> None:
        """Run until it ends or stalls."""
        self._thread.start()
        self._back.acquire()

    def stall(self, naps: int, short: bool) -> None:
        """Called inside: let others go on until it is woken."""
        self.naps, self.short = naps, short
        self._back.release()
        self._baton.acquire()

    def wake(self) -> None:
        """Go on until it ends or stalls again."""
        self.naps = 0
        self._baton.release()
        self._back.acquire()

    def _live(self) -> None:
        _HERE.process = self
        try:
            self.act()
        except (Crash, RetrainingError):
            pass  # the platform says so in its log, and delivers again
        except BaseException as error:  # noqa: BLE001 - told as a violation
            self.defect = repr(error)
        self.ended = True
        self._back.release()


_HERE = threading.local()


@dataclass
class Faults:
    """Performs effects, and fails at some of them."""

    at: Mapping[int, str] = field(default_factory=dict)  # number of the effect, from 1 → mode
    names: list[str] = field(default_factory=list)

    def __call__(self, name: str, act: Callable[[], object]) -> object:
        """See Effect."""
        self.names.append(name)
        mode = self.at.get(len(self.names), "")
        if mode == BEFORE:
            raise Crash(name)
        if mode in NAPS:
            _HERE.process.stall(NAPS[mode], mode is not BEYOND)
        result = act()
        if mode == AFTER:
            raise Crash(name)
        if mode == LOST:
            raise Temporary(f"{name}: the answer was lost")
        return result


class SmallCloud(Cloud):
    """With a tenth of the rows, since each story is told thousands of times."""

    def new_rows(self) -> None:
        """See Cloud."""
        self.warehouse.labelled["flights"] = [self.now + ago for ago in _ROWS]
        self.warehouse.counts["flights"] = counts(newest=self.now - HOUR)


class Story:
    """Two facts, two runs: a first model, and one that takes over. A fault ends a tick, never the system."""

    def __init__(self, faults: Faults) -> None:
        self.cloud = SmallCloud(effect=faults)
        self._neat = BEYOND not in faults.at.values()  # else the next rollout sweeps what came too late
        self.asleep: list[Process] = []
        self.defects: list[str] = []

    def tell(self) -> str:
        """Tell it to its end; what is wrong there, in words, and empty for nothing."""
        for number in (1, 2):
            if not self._until_done(number):
                states = [(run.run_id, run.state.value) for run in self.cloud.all_runs]
                return f"fact {number} came to no end: {states}, open {self._open()}"
            now = self.cloud.now
            self.cloud.now = now.replace(day=1, hour=0, month=now.month + 2)
            self.cloud.new_rows()
        while self.asleep:
            self._wake(self.asleep.pop(0))
        for _ in range(2):  # whatever woke late is found within two ticks
            self._begin(self.cloud.tick)
        for _ in range(MAX_TICKS):
            if not self._open():
                return self._judge()
            self._begin(self.cloud.tick)
        return f"still open: {self._open()}"

    def _until_done(self, number: int) -> bool:
        for _ in range(MAX_TICKS):
            if any(sleeper.short for sleeper in self.asleep):
                self.cloud.now += NAP_TICK - TICK
            self._begin(lambda: self._deliver(f"fact-{number}"))
            runs = self.cloud.all_runs
            ended = len(runs) >= number and all(run.state.ended for run in runs)
            if ended and not self._open() and not any(sleeper.short for sleeper in self.asleep):
                return True
        return False

    def _deliver(self, fact: str) -> None:
        """Pub/Sub delivers until it is acknowledged, and then again."""
        self.cloud.trigger(key=fact, kind=Kind.SCHEDULE)
        self.cloud.tick()

    def _begin(self, act: Callable[[], object]) -> None:
        for sleeper in list(self.asleep):
            sleeper.naps -= 1
            if sleeper.naps < 0:
                self.asleep.remove(sleeper)
                self._wake(sleeper)
        process = Process(act)
        process.begin()
        self._note(process)

    def _wake(self, sleeper: Process) -> None:
        sleeper.wake()
        self._note(sleeper)

    def _note(self, process: Process) -> None:
        if not process.ended:
            self.asleep.append(process)
        if process.defect:
            self.defects.append(process.defect)

    def _open(self) -> list[str]:
        return [path for prefix in _OPEN for path in self.cloud.store.list(prefix)]

    def _judge(self) -> str:
        """What two facts must leave behind, whatever happened: nothing twice, nothing left, nothing owed."""
        cloud, runs, champion = self.cloud, self.cloud.all_runs, self.cloud.rollout.champion
        view = cloud.endpoints.view("flights")
        assert view is not None
        wrong = list(self.defects)
        if [run.state for run in runs] != [RunState.PROMOTED, RunState.PROMOTED]:
            wrong.append(f"runs ended {[(run.state.value, run.history[-1].reason) for run in runs]}")
        if champion is None or champion.run_id != runs[-1].run_id or cloud.split != {champion.deployed_id: 100}:
            wrong.append(f"{champion} is champion, the split is {cloud.split}")
        elif self._neat and set(view.deployed) != {champion.deployed_id}:
            wrong.append(f"deployed are {sorted(view.deployed)}, the champion is {champion.deployed_id}")
        if running := [job.name for job in cloud.jobs.all() if not job.state.ended]:
            wrong.append(f"jobs go on: {running}")
        fences = Counter(run.run_id for run in runs for n in (1, 2) if self._fence(run.run_id, n))
        if any(count != 1 for count in fences.values()) or len(fences) != len(runs):
            wrong.append(f"effective trainings: {fences}")
        for run in runs:
            money, _ = read_money(cloud.store, "flights", run.opened)
            if set(money.reserved) != set(money.spent):
                wrong.append(f"money is reserved for ever: {money}")
        return "; ".join(wrong)

    def _fence(self, run_id: str, attempt: int) -> bool:
        return self.cloud.artifacts.read(f"gs://artifacts/{names.fence_path(run_id, 'train', attempt)}") is not None


def tell(at: Mapping[int, str]) -> str:
    """Tell the story with these faults; what is wrong, with the faults' names, and empty for nothing."""
    faults = Faults(at)
    try:
        said = Story(faults).tell()
    except Exception as error:  # noqa: BLE001 - a story that cannot be told to its end is a violation
        said = f"raised {error!r}"
    where = [
        f"{mode} {n} ({faults.names[n - 1] if n <= len(faults.names) else 'never reached'})"
        for n, mode in at.items()
    ]
    return f"{', '.join(where)}: {said}" if said else ""


def fault_free() -> list[str]:
    """The names of all effects of the story, in order."""
    faults = Faults()
    said = Story(faults).tell()
    if said:
        raise AssertionError(said)
    return faults.names


def proof(deep: bool) -> Part:
    """Singles in every mode; pairs of modes, of which quick draws some."""
    count = len(fault_free())
    rows: list[tuple[str, ...]] = []
    broken: list[str] = []
    for mode in (*MODES, BEYOND):
        singles = [{n: mode} for n in range(1, count + 1)]
        rows.append(_row(mode, "1", singles, broken))
    pairs = [
        {first: one, second: two}
        for (first, second), one, two in product(combinations(range(1, count + 1), 2), MODES, MODES)
    ]
    chosen = pairs if deep else random.Random(1).sample(pairs, PAIRS)
    rows.append(_row(f"each of {len(MODES)} × {len(MODES)} modes", "2", chosen, broken))
    return Part(
        title="A fault at every effect, and at every two",
        header=("mode", "faults", "stories", "CPU seconds", "violations"),
        rows=tuple(rows),
        broken=tuple(broken),
        how=HOW,
        notes=(
            f"The story has {count} effects. {len(pairs):,} pairs are all of them; quick takes {PAIRS} by chance.",
        ),
    )


def _row(mode: str, faults: str, stories: list[dict[int, str]], broken: list[str]) -> tuple[str, ...]:
    begun = time.process_time()
    found = [said for at in stories if (said := tell(at))]
    broken.extend(found)
    return (mode, faults, f"{len(stories):,}", f"{time.process_time() - begun:.0f}", str(len(found)))
