"""What a rehearsal should show, and where it was seen."""

from collections.abc import Iterable

from retraining.records import Run, RunState
from retraining.rollouts import Phase, Rollout
from retraining.triggers import Kind


def checklist(runs: Iterable[Run], rollout: Rollout) -> dict[str, str]:
    """What was to be seen → the run that showed it; empty when nothing did."""
    every = sorted(runs, key=lambda run: run.opened)
    trained = [run for run in every if run.job("train")]

    def first(found: Iterable[Run]) -> str:
        return next((run.run_id for run in found), "")

    def of(kind: Kind) -> str:
        """The run that this kind of trigger asked for: best by itself, or together with others."""
        asked = [r for r in trained[1:] if any(cause.kind is kind for cause in r.causes)]
        alone = (r for r in asked if r.decision and r.decision.code == kind.value)
        return first(alone) or first(asked)

    def ended(state: RunState) -> str:
        return first(r for r in every if r.state is state)

    steps = [s for s in rollout.history if s.phase is Phase.STEP and s.split]
    skipped = next((r for r in every if r.state is RunState.SKIPPED), None)
    return {
        "a first training": first(trained),
        "a schedule run": of(Kind.SCHEDULE),
        "a new-data run": of(Kind.DATA),
        "a drift run": of(Kind.DRIFT),
        "a manual tune": first(r for r in trained if r.job("tune")),
        "a rejected candidate": ended(RunState.REJECTED),
        "a blocked broken feed": ended(RunState.BLOCKED_DATA),
        "a skipped trigger with its reason": f"{skipped.run_id}: {skipped.history[-1].reason}" if skipped else "",
        "canary steps read back from the endpoint": steps[0].run_id if steps else "",
        "a promotion": first(r for r in trained[1:] if r.state is RunState.PROMOTED),
        "a rollback of a harmful challenger": ended(RunState.ROLLED_BACK),
    }
