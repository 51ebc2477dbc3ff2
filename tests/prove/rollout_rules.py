"""What must hold for every answer of the rollout's machine, written without looking at how it decides."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from retraining.rollout_machine import (
    SETTLED,
    Deploy,
    Finish,
    Go,
    Note,
    Rest,
    Step,
    Traffic,
    Undeploy,
    Upload,
    desired_split,
    next_step,
)
from retraining.rollouts import Look, Phase, Verdict
from retraining.views import OperationView
from tests.prove.rollout_cases import MOVING, Case
from tests.unit.build import NOW

_NOTHING = Look(at=NOW, verdict=Verdict.NO_DATA, reason="nobody asked", challenger_rows=0, champion_rows=0)
PATIENCE = 40  # steps of a rollout from anywhere to its end when nobody answers
LONG = timedelta(days=60)  # beyond every deadline


def wrong(case: Case) -> str:
    """Which promise the machine breaks in this case, in words; empty for none."""
    try:
        step = next_step(case.record, case.spec, case.view)
    except Exception as error:  # noqa: BLE001 - that there is none is the promise
        return _tell(case, f"raised {type(error).__name__}: {error}")
    for rule in RULES:
        if said := rule(case, step):
            return _tell(case, f"{said}: {step}")
    return ""


def _one_step(case: Case, step: Step) -> str:
    kinds = (Rest, Go, Note, Traffic, Undeploy, Upload, Deploy, Finish)
    return "" if isinstance(step, kinds) else "this is no step"


def _traffic(case: Case, step: Step) -> str:
    """Shares sum to 100, name what is deployed, and replace only a split that this record knows."""
    if not isinstance(step, Traffic):
        return ""
    record, shares = case.record, step.split
    if sum(shares.values()) != 100 or min(shares.values()) < 1:
        return "the shares do not sum to 100"
    if not shares.keys() <= case.view.endpoint.deployed.keys():
        return "traffic to a model that is not deployed"
    if record.phase not in MOVING:
        return "traffic moves in a phase that moves none"
    if record.phase is Phase.ROLLING_BACK and (
        record.champion is None or shares != {record.champion.deployed_id: 100}
    ):
        return "a way back that does not lead to the champion"
    return (
        "" if case.view.endpoint.split in (record.confirmed, record.intended) else "a person's split is overwritten"
    )


def _undeploy(case: Case, step: Step) -> str:
    """Only what has no traffic and is ours; the champion only when the challenger has everything and has soaked."""
    if not isinstance(step, Undeploy):
        return ""
    record, endpoint = case.record, case.view.endpoint
    if step.deployed_id not in endpoint.deployed or endpoint.split.get(step.deployed_id):
        return "what is undeployed is not there or has traffic"
    if step.deployed_id not in record.retired:
        return "a stranger is undeployed"
    if record.champion is None or step.deployed_id != record.champion.deployed_id:
        return ""
    # CLEANUP is entered only after the soak: see _phases.
    if record.phase is not Phase.CLEANUP or record.challenger is None:
        return "the champion is undeployed before the end"
    alone = endpoint.split == {record.challenger.deployed_id: 100}
    return "" if alone else "the champion is undeployed although the challenger does not have everything"


def _phases(case: Case, step: Step) -> str:
    if not isinstance(step, Go):
        return ""
    allowed: dict[Phase, set[Phase | None]] = {
        Phase.IDLE: {Phase.REGISTERING},
        Phase.REGISTERING: {Phase.DEPLOYING, Phase.ROLLING_BACK, Phase.HELD},
        Phase.DEPLOYING: {Phase.STEP, Phase.FULL, Phase.ROLLING_BACK, Phase.HELD},
        Phase.STEP: {Phase.STEP, Phase.FULL, Phase.ROLLING_BACK, Phase.HELD},
        Phase.FULL: {Phase.CLEANUP, Phase.ROLLING_BACK, Phase.HELD},
        Phase.CLEANUP: {Phase.HELD},
        Phase.ROLLING_BACK: {Phase.HELD},
        Phase.HELD: {Phase.ROLLING_BACK, case.record.held_from},
    }
    return "" if step.phase in allowed[case.record.phase] else "this phase does not follow"


def _promotion(case: Case, step: Step) -> str:
    """More traffic needs an answer for it, enough requests and enough time; the last step needs evidence."""
    record, view, policy = case.record, case.view, case.spec.rollout
    if not (isinstance(step, Go) and record.phase is Phase.STEP and step.phase in (Phase.STEP, Phase.FULL)):
        return ""
    if view.look is None or record.entered is None:
        return "more traffic without a look"
    if view.look.verdict in (Verdict.WORSE, Verdict.NO_DATA):
        return f"more traffic although the verdict is {view.look.verdict}"
    if step.phase is Phase.FULL and view.look.verdict not in SETTLED:
        return f"promoted on {view.look.verdict}"
    if step.phase is Phase.STEP and policy.steps[step.changes["step"]] >= 100:
        return "all traffic by a step"
    if view.look.challenger_rows < policy.min_requests or view.now < record.entered + policy.step_time:
        return "more traffic after too few requests or too little time"
    return ""


def _soak(case: Case, step: Step) -> str:
    record, view = case.record, case.view
    if not (isinstance(step, Go) and step.phase is Phase.CLEANUP and record.phase is Phase.FULL):
        return ""
    if record.challenger is None or view.endpoint.split != {record.challenger.deployed_id: 100}:
        return "the end begins although the challenger does not have everything"
    waits = record.champion is not None and not record.restoring
    early = record.entered is None or view.now < record.entered + case.spec.rollout.soak
    return "the end begins before the soak has passed" if waits and early else ""


def _harm(case: Case, step: Step) -> str:
    """Harm and a person's wish are answered at once."""
    record, look = case.record, case.view.look
    back = isinstance(step, Go) and step.phase in (Phase.ROLLING_BACK, Phase.HELD)
    asked = record.ask is not None and record.ask.action == "roll_back"
    if asked and record.phase not in (Phase.IDLE, Phase.CLEANUP, Phase.ROLLING_BACK) and not back:
        return "a person's wish is not answered"
    if look is not None and look.verdict is Verdict.WORSE and record.champion is not None and not back:
        return "harm is not answered"
    return ""


def _third_split(case: Case, step: Step) -> str:
    """What a person did by hand stays, and holds the rollout."""
    record, split = case.record, case.view.endpoint.split
    if record.phase not in MOVING or split in (desired_split(record, case.spec), record.confirmed, record.intended):
        return ""
    held = isinstance(step, Go) and step.phase in (Phase.HELD, Phase.ROLLING_BACK)
    return "" if held else "a split set by hand is passed over"


def _rest_of_the_phases(case: Case, step: Step) -> str:
    """What a phase may do at all."""
    allowed: dict[Phase, tuple[type, ...]] = {
        Phase.IDLE: (Rest, Undeploy, Go, Note),
        Phase.REGISTERING: (Rest, Go, Upload),
        Phase.DEPLOYING: (Rest, Go, Note, Deploy),
        Phase.STEP: (Rest, Go, Note, Traffic),
        Phase.FULL: (Rest, Go, Note, Traffic),
        Phase.CLEANUP: (Go, Note, Traffic, Undeploy, Finish),
        Phase.ROLLING_BACK: (Rest, Go, Note, Traffic, Undeploy, Finish),
        Phase.HELD: (Rest, Go),
    }
    return "" if isinstance(step, allowed[case.record.phase]) else "this phase does no such thing"


def _ends(case: Case, step: Step) -> str:
    """An end is written only when one model has all traffic, or nothing serves and nothing ever did."""
    if not isinstance(step, Finish):
        return ""
    record, split = case.record, case.view.endpoint.split
    serving = record.challenger if step.result == "promoted" else record.champion
    if (step.result == "promoted") is not (record.phase is Phase.CLEANUP):
        return "the wrong end"
    return (
        "" if split == ({serving.deployed_id: 100} if serving else {}) else "an end although traffic is elsewhere"
    )


RULES: tuple[Callable[[Case, Step], str], ...] = (
    _one_step,
    _traffic,
    _undeploy,
    _phases,
    _promotion,
    _soak,
    _harm,
    _third_split,
    _rest_of_the_phases,
    _ends,
)


# When nobody answers ---------------------------------------------------------------------


def stuck(case: Case, *, refused: bool) -> str:
    """Why this rollout never ends once every deadline has passed; empty when it ends or a person holds it.

    Operations never end and nobody asks the challenger. ``refused``: nor does the endpoint do anything it is told.
    """
    now, step = _later(case), Rest("")  # type: Case, Step
    for _ in range(PATIENCE):
        if now.record.phase in (Phase.IDLE, Phase.HELD):
            return ""
        step = next_step(now.record, now.spec, now.view)
        if refused and now.record.phase is Phase.ROLLING_BACK and isinstance(step, Traffic):
            return ""  # giving the traffic back is the one thing that is never given up
        now = _later(_after(now, step, refused))
    return _tell(
        case, f"never ends{' although refused' if refused else ''}, at last {now.record.phase.value}: {step}"
    )


def _later(case: Case) -> Case:
    pending = OperationView(done=False) if case.record.operation else None
    begun = case.record.confirmed == desired_split(case.record, case.spec) == case.view.endpoint.split
    view = replace(case.view, now=case.view.now + LONG, operation=pending, look=None, version="")
    if begun and case.record.phase in (Phase.STEP, Phase.FULL):
        view = replace(view, look=_NOTHING.but(at=view.now))
    return replace(case, view=view)


def _after(case: Case, step: Step, refused: bool) -> Case:
    """The case after this step: the record as the loop writes it, the endpoint obeying unless it refuses."""
    record, endpoint = case.record, case.view.endpoint
    match step:
        case Go(phase, reason, changes, by):
            return replace(case, record=record.move(phase, reason, case.view.now, by, **changes).but(history=()))
        case Note(changes, _):
            return replace(case, record=record.but(**changes))
        case Finish():
            return replace(case, record=record.but(phase=Phase.IDLE))
        case Traffic(split) if not refused:
            return replace(case, view=replace(case.view, endpoint=replace(endpoint, split=split)))
        case Undeploy(gone) if not refused:
            kept = {key: version for key, version in endpoint.deployed.items() if key != gone}
            return replace(case, view=replace(case.view, endpoint=replace(endpoint, deployed=kept)))
        case Upload() if not refused:
            return replace(case, record=record.but(operation="op"))
        case Deploy() if not refused:
            return replace(case, record=record.but(operation="op", attempts=record.attempts + 1))
        case _:
            return case


def _tell(case: Case, said: str) -> str:
    """The violation and its case on one line."""
    record, view = case.record, case.view
    known = record.model_dump(mode="json", exclude={"history", "previous", "retired", "endpoint", "model", "nonce"})
    waited = view.now - record.entered if record.entered else None
    look = view.look.verdict.value if view.look else None
    seen = f"{dict(view.endpoint.deployed)} {view.endpoint.split} {view.operation} after {waited}, look {look}"
    return f"{said}\n  record {known}\n  view {seen}, steps {case.spec.rollout.steps}"
