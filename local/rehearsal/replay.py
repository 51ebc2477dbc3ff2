"""The year, day by day: requests, labels in batches, happenings, and the clock held at each day's end."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

import pandas as pd

from local.rehearsal.pace import Pacer
from local.rehearsal.scenario import DAY, END, FIRST, HAPPENINGS, START, Happening, Stage
from local.rehearsal.traffic import Requests
from retraining.modelspec import ModelSpec

LOAD_DAYS = frozenset({0, 3})  # labels are loaded on Mondays and Thursdays


def midnight(moment: datetime) -> datetime:
    """The day of ``moment``."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


@dataclass
class Progress:
    """How far the replay is."""

    day: datetime = START
    requests: int = 0
    loaded: int = 0
    done: list[Happening] = field(default_factory=list)


@dataclass(frozen=True)
class Replay:
    """Plays a frame of rows against a running system."""

    spec: ModelSpec
    frame: pd.DataFrame
    stage: Stage
    requests: Requests
    pacer: Pacer
    progress: Progress
    stopped: Callable[[], bool]
    idle: Callable[[], bool]  # no run is open

    def load_history(self) -> int:
        """Load the labelled rows of January and February; this alone asks for the first model."""
        return self.stage.feed.load(FIRST, START)

    def run(self, until: datetime = END) -> None:
        """Play from March to ``until``. Labels of a day are loaded on the next loading day after their delay."""
        loaded = START
        today = max(START, midnight(self.pacer.now()))
        while today < until and not self.stopped():
            self.progress.day = today
            self.pacer.wait_for(today)
            if today.weekday() in LOAD_DAYS and today - self.spec.source.label_delay > loaded:
                ripe = today - self.spec.source.label_delay
                self.progress.loaded += self.stage.feed.load(loaded, ripe)
                loaded = self.stage.loaded = ripe
            self._happen(today)
            self.pacer.limit = today + DAY
            self.requests.send(self._rows(today))
            self.progress.requests = len(self.requests.answers)
            self.pacer.wait_for(today + DAY)
            today += DAY

    def _rows(self, today: datetime) -> pd.DataFrame:
        stamp = self.frame[self.spec.source.timestamp]
        return self.frame[(stamp >= today) & (stamp < today + DAY)]

    def _happen(self, today: datetime) -> None:
        """At most one thing a day, in order; what needs an idle system waits for it, and what follows waits too."""
        done = len(self.progress.done)
        happening = HAPPENINGS[done] if done < len(HAPPENINGS) else None
        if happening is None or happening.at > today or (happening.when_idle and not self.idle()):
            return
        happening.act(self.stage)
        self.progress.done.append(replace(happening, at=today))
        self.stage.say(happening.what)
