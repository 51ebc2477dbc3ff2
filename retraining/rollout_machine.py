"""The life of a rollout as one pure function: record, endpoint and verdict in, at most one step out.

Rules that hold in every phase: traffic moves only by setting the whole split under the endpoint's etag; the
champion stays deployed until the challenger holds everything and has soaked; what a person changed by hand is never
undone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from retraining.limits import STALL
from retraining.modelspec import ModelSpec
from retraining.rollouts import Look, Phase, Rollout, Serving, Verdict
from retraining.views import EndpointView, OperationView

MAX_DEPLOYS = 2
SETTLED = frozenset({Verdict.BETTER, Verdict.NOT_WORSE})


@dataclass(frozen=True)
class RolloutView:
    """What the world shows to one rollout."""

    now: datetime
    endpoint: EndpointView
    operation: OperationView | None = None  # of record.operation, when there is one
    version: str = ""  # the challenger's version in the registry, when it is there
    look: Look | None = None  # at the arms since the step began
    candidate: Serving | None = None  # the oldest winner in the queue


@dataclass(frozen=True)
class Rest:
    """Nothing to do now."""

    reason: str


@dataclass(frozen=True)
class Go:
    """Write the record in its next phase."""

    phase: Phase
    reason: str
    changes: dict[str, Any] = field(default_factory=dict)
    by: str = ""


@dataclass(frozen=True)
class Note:
    """Write something into the record without changing its phase."""

    changes: dict[str, Any]
    last: bool = False  # nothing more to do in this pass


@dataclass(frozen=True)
class Traffic:
    """Set the whole split."""

    split: dict[str, int]


@dataclass(frozen=True)
class Undeploy:
    """Take away a deployed model that has no traffic."""

    deployed_id: str


@dataclass(frozen=True)
class Upload:
    """Register the challenger."""


@dataclass(frozen=True)
class Deploy:
    """Deploy the challenger, without traffic."""


@dataclass(frozen=True)
class Finish:
    """Write how the rollout ended, then go idle."""

    result: str
    reason: str


Step = Rest | Go | Note | Traffic | Undeploy | Upload | Deploy | Finish


def next_step(record: Rollout, spec: ModelSpec, view: RolloutView) -> Step:
    """What to do next for this endpoint."""
    if record.phase is Phase.IDLE:
        return _idle(record, view)
    if record.ask and record.ask.action == "roll_back" and record.phase not in (Phase.ROLLING_BACK, Phase.CLEANUP):
        now_split = {"confirmed": dict(view.endpoint.split)}  # whoever asks has seen it
        return give_up(record.but(**now_split), f"asked by {record.ask.by}: {record.ask.reason}", record.ask.by)
    watched = record.phase not in (Phase.HELD, Phase.ROLLING_BACK)
    if watched and (foreign := _foreign(record, view)):
        return _hold(record, foreign)
    return _STEPS[record.phase](record, spec, view)


def aftermath(spec: ModelSpec) -> timedelta:
    """How long an endpoint is looked after when its rollout has ended: a tick that stalled may still deploy what
    was given up, and is heard of only when that deploy has ended."""
    return spec.rollout.deploy_timeout + STALL


def desired_split(record: Rollout, spec: ModelSpec) -> dict[str, int]:
    """The split that the record's phase wants; empty when it wants none."""
    ours = record.challenger.deployed_id if record.challenger else ""
    theirs = record.champion.deployed_id if record.champion else ""
    share = {Phase.STEP: _share(record, spec), Phase.FULL: 100, Phase.CLEANUP: 100}.get(record.phase, 0)
    if not theirs:
        return {ours: 100} if share else {}
    return {key: percent for key, percent in ((ours, share), (theirs, 100 - share)) if percent}


def _share(record: Rollout, spec: ModelSpec) -> int:
    steps = spec.rollout.steps
    return 100 if record.champion is None else steps[min(record.step, len(steps) - 1)]


def _foreign(record: Rollout, view: RolloutView) -> str:
    """What somebody else did to the endpoint, in words; empty when all is as this record left it."""
    ours = {s.deployed_id for s in (record.champion, record.challenger) if s} | set(record.retired)
    if strangers := sorted(set(view.endpoint.deployed) - ours):
        return f"somebody deployed {', '.join(strangers)} by hand"
    for serving in (record.champion, record.challenger):
        had_traffic = serving is not None and record.confirmed.get(serving.deployed_id)
        if serving is not None and had_traffic and serving.deployed_id not in view.endpoint.deployed:
            return f"somebody undeployed {serving.run_id} ({serving.deployed_id}) by hand"
    return ""


def _hold(record: Rollout, why: str) -> Go:
    return Go(Phase.HELD, why, {"held_from": record.phase})


def _idle(record: Rollout, view: RolloutView) -> Step:
    if record.ask is not None:
        return _idle_ask(record, view)
    kept = record.champion.deployed_id if record.champion else ""
    left = (i for i in record.retired if i != kept and i in view.endpoint.deployed)
    if orphan := next((i for i in left if not view.endpoint.split.get(i)), None):
        return Undeploy(orphan)
    if view.candidate is None:
        return Rest("the champion serves alone")
    begun = {"challenger": view.candidate, "restoring": False, **_fresh(record)}
    return Go(Phase.REGISTERING, f"{view.candidate.run_id} is to take over", begun)


def _idle_ask(record: Rollout, view: RolloutView) -> Step:
    assert record.ask is not None
    if record.ask.action == "resume" or record.previous is None or not record.previous.version:
        return Note({"ask": None})
    begun = {"challenger": record.previous, "restoring": True, **_fresh(record)}
    return Go(Phase.REGISTERING, f"asked by {record.ask.by}: {record.ask.reason}", begun, record.ask.by)


def _fresh(record: Rollout) -> dict[str, Any]:
    return {
        "sequence": record.sequence + 1,
        "step": 0,
        "operation": "",
        "attempts": 0,
        "look": None,
        "ask": None,
        "held_from": None,
    }


def _registering(record: Rollout, spec: ModelSpec, view: RolloutView) -> Step:
    assert record.challenger is not None
    if view.version:
        named = record.challenger.but(version=view.version)
        return Go(Phase.DEPLOYING, "it is registered", {"challenger": named, "operation": ""})
    if record.operation:
        if view.operation is not None and view.operation.done and view.operation.error:
            return give_up(record, f"registering failed: {view.operation.error}")
        return _or_give_up(record, spec, view, "registering", Rest("registering"))
    return _or_give_up(record, spec, view, "registering", Upload())


def _deploying(record: Rollout, spec: ModelSpec, view: RolloutView) -> Step:
    assert record.challenger is not None
    pending = bool(record.operation) and (view.operation is None or not view.operation.done)
    if pending:
        return _or_give_up(record, spec, view, "deploying", Rest("deploying"))
    if record.challenger.deployed_id in view.endpoint.deployed:
        confirmed = {"confirmed": _split(view), "operation": ""}
        if _split(view) != desired_split(record, spec):
            return _hold(record, f"somebody set the split to {_split(view)} by hand")
        if record.champion is None or record.restoring:
            return Go(Phase.FULL, "it is deployed and takes all traffic", confirmed)
        return Go(Phase.STEP, f"it is deployed and takes {_share(record, spec)} %", confirmed)
    error = view.operation.error if view.operation else ""
    if record.operation and record.attempts >= MAX_DEPLOYS:
        return give_up(record, f"deploying failed: {error or 'it is not listed'}")
    if record.operation:
        return Note({"operation": ""})
    tried = record.attempts >= MAX_DEPLOYS
    return _or_give_up(record, spec, view, "deploying", Rest("deploying") if tried else Deploy())


def _or_give_up(record: Rollout, spec: ModelSpec, view: RolloutView, doing: str, step: Step) -> Step:
    """``step`` while there is time. An effect that is refused whenever it is tried must not go on for ever."""
    return give_up(record, f"{doing} took longer than {patience(spec)}") if _is_late(record, spec, view) else step


def patience(spec: ModelSpec) -> timedelta:
    """How long models may take to come or go."""
    return spec.rollout.deploy_timeout * (1 + MAX_DEPLOYS)


def _is_late(record: Rollout, spec: ModelSpec, view: RolloutView) -> bool:
    assert record.entered is not None
    return view.now > record.entered + patience(spec)


def _step(record: Rollout, spec: ModelSpec, view: RolloutView) -> Step:
    moved = _settle_traffic(record, spec, view)
    if moved is not None:
        return _taken_in_time(record, spec, view, moved)
    assert view.look is not None
    assert record.entered is not None
    look, policy = view.look, spec.rollout
    if look.verdict is Verdict.WORSE:
        return give_up(record.but(look=look), look.reason)
    waited = view.now - record.entered
    enough = look.challenger_rows >= policy.min_requests and waited >= policy.step_time
    last = record.step + 1 >= len(policy.steps) or policy.steps[record.step + 1] == 100
    sound = enough and not look.hold
    if sound and (look.verdict in SETTLED or (look.verdict is Verdict.INCONCLUSIVE and not last)):
        return _advance(record, spec, look)
    if waited > policy.step_deadline:
        return _undecided(record, spec, look)
    return _remember(record, look)


def _remember(record: Rollout, look: Look | None) -> Step:
    """Nothing to do but to keep what was seen, so that the next tick need not look again."""
    if look is None or look == record.look:
        return Rest(look.reason if look else record.reason)
    return Note({"look": look}, last=True)


def _advance(record: Rollout, spec: ModelSpec, look: Look) -> Step:
    after = record.step + 1
    if after >= len(spec.rollout.steps) or spec.rollout.steps[after] == 100:
        return Go(Phase.FULL, f"{look.verdict.value}: {look.reason}", {"look": look, "step": after})
    share = spec.rollout.steps[after]
    return Go(Phase.STEP, f"{look.verdict.value}: {look.reason}; on to {share} %", {"look": look, "step": after})


def _undecided(record: Rollout, spec: ModelSpec, look: Look) -> Step:
    why = f"undecided after {spec.rollout.step_deadline}: {look.reason}"
    if spec.rollout.undecided == "hold":
        return _hold(record, why)
    return give_up(record.but(look=look), why)


def _full(record: Rollout, spec: ModelSpec, view: RolloutView) -> Step:
    moved = _settle_traffic(record, spec, view)
    if moved is not None:
        return _taken_in_time(record, spec, view, moved)
    assert record.entered is not None
    if view.look is not None and view.look.verdict is Verdict.WORSE and record.champion is not None:
        return give_up(record.but(look=view.look), view.look.reason)
    soak = spec.rollout.soak if record.champion is not None and not record.restoring else None
    if soak is not None and view.now < record.entered + soak:
        return _remember(record, view.look)
    return Go(Phase.CLEANUP, "it has soaked" if soak is not None else "nothing to soak beside")


def _cleanup(record: Rollout, spec: ModelSpec, view: RolloutView) -> Step:
    """The old champion goes. One that cannot be taken away does not keep the rollout: whoever is idle sweeps it."""
    late = _is_late(record, spec, view)
    moved = _settle_traffic(record, spec, view)
    if moved is not None:
        stays = late and isinstance(moved, Traffic)
        return _hold(record, "the endpoint does not take the split") if stays else moved
    if record.champion is None or record.champion.deployed_id not in view.endpoint.deployed:
        return Finish("promoted", "it holds all traffic and the old champion is gone")
    if not late:
        return Undeploy(record.champion.deployed_id)
    if record.champion.deployed_id not in record.retired:
        return Note({"retired": (*record.retired, record.champion.deployed_id)})
    return Finish("promoted", f"it holds all traffic; the old champion is still there after {patience(spec)}")


def _split(view: RolloutView) -> dict[str, int]:
    return {key: percent for key, percent in view.endpoint.split.items() if percent}


def _settle_traffic(record: Rollout, spec: ModelSpec, view: RolloutView) -> Step | None:
    """Bring the endpoint's split to what the phase wants; None when it is there and was read back."""
    wanted, split = desired_split(record, spec), _split(view)
    if split == wanted:
        return None if record.confirmed == wanted else Note({"confirmed": wanted, "entered": view.now})
    if split not in (record.confirmed, record.intended):
        return _hold(record, f"somebody set the split to {split} by hand")
    if not wanted:
        return _hold(record, "there is no champion to return to")
    if missing := sorted(wanted.keys() - view.endpoint.deployed.keys()):
        return _hold(record, f"{missing[0]} is to take traffic and is not deployed")
    if record.intended != wanted:
        return Note({"intended": wanted})
    return Traffic(wanted)


def _taken_in_time(record: Rollout, spec: ModelSpec, view: RolloutView, moved: Step) -> Step:
    """``moved``, or the way back from a split that the endpoint has refused for as long as a step may take."""
    assert record.entered is not None
    if isinstance(moved, Traffic) and view.now > record.entered + spec.rollout.step_deadline:
        return give_up(record, f"the endpoint did not take {moved.split} within {spec.rollout.step_deadline}")
    return moved


def give_up(record: Rollout, reason: str, by: str = "") -> Step:
    """The step that ends a rollout: traffic returns to the champion, and the challenger goes."""
    operation = record.operation if record.phase is not Phase.REGISTERING else ""
    kept = {"look": record.look, "confirmed": record.confirmed, "ask": None, "operation": operation}
    return Go(Phase.ROLLING_BACK, reason, kept, by)


def _rolling_back(record: Rollout, spec: ModelSpec, view: RolloutView) -> Step:
    """Traffic first, then the challenger goes. A deploy under way is waited for, or it would be left behind.

    Giving the traffic back is never given up. What then does not go or does not end is left to whoever is idle.
    """
    assert record.challenger is not None
    moved = _settle_traffic(record, spec, view)
    if moved is not None:
        return moved
    late = _is_late(record, spec, view)
    if record.operation and not late and (view.operation is None or not view.operation.done):
        return Rest("a deploy is still under way")
    if record.challenger.deployed_id in view.endpoint.deployed and not late:
        return Undeploy(record.challenger.deployed_id)
    return Finish("rolled_back", record.reason)


def _held(record: Rollout, spec: ModelSpec, view: RolloutView) -> Step:
    if record.ask is not None and record.ask.action == "resume" and record.held_from is not None:
        now_split = {"confirmed": _split(view), "ask": None, "held_from": None}
        return Go(record.held_from, f"resumed by {record.ask.by}: {record.ask.reason}", now_split, record.ask.by)
    return Rest(f"held: {record.reason}")


_STEPS: dict[Phase, Callable[[Rollout, ModelSpec, RolloutView], Step]] = {
    Phase.REGISTERING: _registering,
    Phase.DEPLOYING: _deploying,
    Phase.STEP: _step,
    Phase.FULL: _full,
    Phase.CLEANUP: _cleanup,
    Phase.ROLLING_BACK: _rolling_back,
    Phase.HELD: _held,
}
