"""The one decision: do these triggers start a run, and which kind?

**Read this file first when the question is "why did it (not) retrain?"**
``decide`` is pure. Its answer is always a Decision with a code for machines and a sentence for people.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from retraining import budget
from retraining.incidents import Incident
from retraining.modelspec import ModelSpec
from retraining.names import short_hash
from retraining.records import Decision, ModelState, Money, Run
from retraining.triggers import Ask, Kind
from retraining.views import Watermark

Action = Literal["train", "tune"]

MAX_COOLDOWN = timedelta(days=7)
FEED_PATIENCE = timedelta(days=7)  # since a broken window; a feed that was whole since then blocks no more
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Situation:
    """What is true when a run asks for its turn."""

    now: datetime
    state: ModelState
    money: Money
    has_champion: bool
    watermark: Watermark  # new_rows counts labelled rows after state.watermark
    incident: Incident | None = None  # the model's last one, open or closed


def decide(spec: ModelSpec, run: Run, situation: Situation) -> Decision:
    """Launch (train or tune) or skip, with the reason."""
    refusal = (
        _paused(situation)
        or _broken_feed(run, situation)
        or _cooling(spec, run, situation)
        or _answered(run, situation)
        or _too_few_rows(spec, run, situation)
        or _storm(spec, run, situation)
    )
    action, why = choose_action(spec, run, situation)
    if refusal is None and (text := budget.refusal(spec, situation.money, action)):
        refusal = ("budget", text)
    if refusal is not None:
        return Decision(action="skip", code=refusal[0], text=refusal[1], at=situation.now)
    if all(cause.dry_run for cause in run.causes):
        return Decision(action="skip", code="dry_run", text=f"would {action}: {why}", at=situation.now)
    return Decision(action=action, code=_code(run, situation), text=why, at=situation.now)


def cooldown(spec: ModelSpec, failures: int) -> timedelta:
    """Time between launches; it doubles with each failure in a row beyond the allowed number, up to a week."""
    extra = max(0, failures - spec.policy.backoff_after + 1)
    longest = max(MAX_COOLDOWN, spec.policy.cooldown)
    factor: int = 2 ** min(extra, 10)
    return min(spec.policy.cooldown * factor, longest)


def features_digest(spec: ModelSpec) -> str:
    """Changes when the inputs of the model change."""
    return short_hash(repr(sorted((name, f.type) for name, f in spec.inputs.items())))


def choose_action(spec: ModelSpec, run: Run, situation: Situation) -> tuple[Action, str]:
    """Train or tune, and why: retrain with known hyperparameters unless something asks for a search."""
    asks = {cause.ask for cause in run.causes}
    state = situation.state
    reason = run.causes[0].reason
    if spec.tuning is None:
        return "train", reason if Ask.TUNE not in asks else f"{reason} (the model file has no tuning section)"
    if Ask.TUNE in asks:
        return "tune", f"{reason}; tuning was asked for"
    if Ask.TRAIN in asks or not situation.has_champion:
        return "train", reason
    if state.features_digest and state.features_digest != features_digest(spec):
        return "tune", f"{reason}; the features changed since the last training"
    if state.runs_since_tuning >= spec.tuning.every_runs:
        return "tune", f"{reason}; {state.runs_since_tuning} runs since the last tuning"
    return "train", reason


def _manual(run: Run) -> bool:
    return any(cause.kind is Kind.MANUAL for cause in run.causes)


def _code(run: Run, situation: Situation) -> str:
    if not situation.has_champion:
        return "first_run"
    kinds = {cause.kind for cause in run.causes}
    return next(kind.value for kind in (Kind.MANUAL, Kind.DRIFT, Kind.SCHEDULE, Kind.DATA) if kind in kinds)


_Refusal = tuple[str, str] | None


def _paused(situation: Situation) -> _Refusal:
    pause = situation.state.paused
    if pause is None:
        return None
    return "paused", f"paused by {pause.by} since {pause.at:%Y-%m-%d %H:%M}: {pause.reason}"


def _broken_feed(run: Run, situation: Situation) -> _Refusal:
    """Labels of a broken feed's days will be fed by it, too. A person may know better; the source's own rows are
    checked in any case."""
    incident = situation.incident
    if incident is None or incident.closed is not None or incident.kind != "data" or run.forced:
        return None
    last = max(incident.windows, default=incident.opened)
    if situation.now > last + FEED_PATIENCE:
        return None
    why = incident.why or f"look at {', '.join(list(incident.features)[:5])}"
    return (
        "broken_feed",
        f"data incident {incident.incident_id} is open since {incident.opened:%Y-%m-%d %H:%M}: {why}",
    )


def _cooling(spec: ModelSpec, run: Run, situation: Situation) -> _Refusal:
    launches = situation.state.launches
    if not launches or _manual(run):
        return None
    wait = cooldown(spec, situation.state.failures)
    until = launches[-1] + wait
    if situation.now >= until:
        return None
    extra = f" ({situation.state.failures} failures in a row)" if wait > spec.policy.cooldown else ""
    return (
        "cooldown",
        f"the last launch was at {launches[-1]:%Y-%m-%d %H:%M}; cooling down until {until:%Y-%m-%d %H:%M}{extra}",
    )


def _answered(run: Run, situation: Situation) -> _Refusal:
    seen = situation.state.watermark
    if seen is None or any(cause.kind in (Kind.MANUAL, Kind.SCHEDULE) for cause in run.causes):
        return None
    if all(cause.at <= seen for cause in run.causes):
        return "already_answered", f"the last run has seen rows up to {seen:%Y-%m-%d %H:%M}, later than these facts"
    return None


def _too_few_rows(spec: ModelSpec, run: Run, situation: Situation) -> _Refusal:
    rows = situation.watermark.new_rows
    if situation.state.watermark is None or _manual(run):
        return None
    needed = spec.policy.min_new_rows
    if spec.triggers.data and all(cause.kind is Kind.DATA for cause in run.causes):
        needed = max(needed, spec.triggers.data.min_new_rows)
    if rows >= needed:
        return None
    return "too_few_new_rows", f"{rows} labelled rows are new, fewer than {needed}"


def _storm(spec: ModelSpec, run: Run, situation: Situation) -> _Refusal:
    recent = [at for at in situation.state.launches if at > situation.now - _DAY]
    if run.forced or len(recent) < spec.policy.max_launches_per_day:
        return None
    return (
        "storm",
        f"{len(recent)} launches in the last day, the most allowed is {spec.policy.max_launches_per_day}",
    )
