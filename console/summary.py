"""What a rehearsal leaves behind, as one record: ``summary.json``, and what the page shows."""

from typing import Any

from retraining.record import Record


class Week(Record):
    """Mean loss of each way of keeping a model, over the rows of one week; None where there are none."""

    week: str  # first day, ISO
    rows: int
    never: float | None = None
    ours: float | None = None
    calendar: float | None = None
    oracle: float | None = None


class TrafficStep(Record):
    """The endpoint's split after a step."""

    at: str
    split: dict[str, int]  # run id → percent
    phase: str
    reason: str


class DriftWindow(Record):
    """One window as the monitor judged it."""

    at: str
    effects: dict[str, float]
    flagged: tuple[str, ...]
    kind: str


class IncidentLine(Record):
    """One incident of drift."""

    opened: str
    closed: str | None = None
    kind: str
    features: dict[str, float]


class TriggerLine(Record):
    """One trigger and the run that answered it."""

    at: str
    kind: str
    reason: str
    key: str
    run_id: str
    actor: str = ""


class ChangeLine(Record):
    """One step of a run's life."""

    at: str
    state: str
    reason: str


class RunLine(Record):
    """One run."""

    run_id: str
    opened: str
    ended: str | None = None
    state: str
    action: str = ""
    code: str = ""
    reason: str = ""
    causes: tuple[str, ...] = ()
    metrics: dict[str, dict[str, float]] = {}
    gate: tuple[str, ...] = ()
    spent: float = 0.0
    history: tuple[ChangeLine, ...] = ()


class RolloutLine(Record):
    """How one rollout ended."""

    run_id: str
    result: str
    reason: str
    at: str


class Happening(Record):
    """Something the world outside did."""

    at: str
    what: str


class MoneyLine(Record):
    """Money of the whole rehearsal, and the limit of one month."""

    spent: float
    limit: float


class Summary(Record):
    """Everything about one rehearsal. Times are ISO, on the rehearsal's own clock."""

    model: str
    started: str
    ended: str
    wall_seconds: float
    verdict: str
    loss_name: str
    weeks: tuple[Week, ...] = ()
    traffic: tuple[TrafficStep, ...] = ()
    drift: tuple[DriftWindow, ...] = ()
    incidents: tuple[IncidentLine, ...] = ()
    triggers: tuple[TriggerLine, ...] = ()
    runs: tuple[RunLine, ...] = ()
    rollouts: tuple[RolloutLine, ...] = ()
    money: MoneyLine
    happenings: tuple[Happening, ...] = ()
    seen: dict[str, str] = {}

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return self.model_dump(mode="json")
