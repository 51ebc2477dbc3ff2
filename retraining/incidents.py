"""Incidents of drift: what the monitor writes, and what triggers and people read."""

from datetime import datetime
from typing import Literal

from retraining import migrations
from retraining.record import Record


class Finding(Record):
    """One feature (or the prediction) in one window, judged."""

    feature: str
    effect: float  # standard deviations, bias-corrected
    p_value: float
    component: str  # which part moved: location, scale, shape, missing, unseen
    flagged: bool


class WindowVerdict(Record):
    """One window of logged requests, judged."""

    model: str
    start: datetime
    end: datetime
    rows: int
    baseline_id: str
    findings: tuple[Finding, ...]  # every feature, largest effect first
    minimum_detectable: float  # the smallest effect this window could have shown
    kind: Literal["ordinary", "drift", "data", "too_few"] = "ordinary"

    @property
    def flagged(self) -> tuple[Finding, ...]:
        """Findings that count."""
        return tuple(f for f in self.findings if f.flagged)


Do = Literal["retrain", "look at the feed", "nothing"]


class Seen(Record):
    """One window in the life of an incident, for its page."""

    end: datetime
    rows: int
    effects: dict[str, float]  # of the features that were in the incident by then, standard deviations
    flagged: tuple[str, ...] = ()


class Incident(Record):
    """Drift that persisted: opened on 2 of 3 windows, closed once."""

    format = migrations.INCIDENT

    incident_id: str
    model: str
    kind: Literal["drift", "data"]  # retrain, or look at the feed
    opened: datetime
    closed: datetime | None = None
    features: dict[str, float]  # feature → largest effect so far; most important first
    windows: tuple[datetime, ...]  # ends of the windows that counted
    baseline_id: str
    quiet: int = 0  # windows in a row that were ordinary
    parts: dict[str, str] = {}  # feature → which part moved, when its effect was largest
    importance: dict[str, float] = {}  # weights of the model file when it opened or grew
    do: Do | None = None  # None: written before incidents said what to do
    why: str = ""  # the reason, in plain words
    asked: Do | None = None  # what it asked for last, before it faded
    because: str = ""
    course: tuple[Seen, ...] = ()  # from the window that opened it to the one that closed it

    @property
    def ranked(self) -> list[tuple[str, float]]:
        """Features with their largest effects, by effect × importance."""
        return sorted(self.features.items(), key=lambda one: (-one[1] * self.importance.get(one[0], 1.0), one[0]))
