"""Every case of the decisions; and the tables find a decision that is wrong."""

from dataclasses import replace

import pytest

from retraining.rollout_machine import Finish, Go, Step, Traffic, Undeploy, next_step
from retraining.rollouts import Phase
from tests.prove import rollout_cases, rollout_rules, run_cases, run_rules
from tests.prove.rollout_cases import NEW, OLD, SPECS, Case
from tests.prove.rollout_rules import RULES


def test_no_rollout_breaks_a_promise() -> None:
    """Records, endpoints, asks and looks, one file after the other: every fifth case of the quick table."""
    broken = [
        said
        for at, case in enumerate(rollout_cases.grid(False))
        if not at % 5 and (said := rollout_rules.wrong(case))
    ]

    assert not broken[:3]


def test_no_split_of_three_models_breaks_a_promise() -> None:
    """All 5,151, in every phase."""
    broken = [said for case in rollout_cases.all_splits(False) if (said := rollout_rules.wrong(case))]

    assert not broken[:3]


@pytest.mark.parametrize("refused", [False, True])
def test_no_rollout_stays_when_nobody_answers(refused: bool) -> None:
    """Past its deadline each ends or is held, even if the endpoint does nothing it is told."""
    broken = [said for case in rollout_cases.silent(False) if (said := rollout_rules.stuck(case, refused=refused))]

    assert not broken[:3]


def test_no_run_breaks_a_promise() -> None:
    """Every tenth case of the quick table."""
    broken = [
        said for at, case in enumerate(run_cases.grid(False)) if not at % 10 and (said := run_rules.wrong(case))
    ]

    assert not broken[:3]


@pytest.mark.parametrize("refused", [False, True])
def test_no_run_stays_when_nobody_answers(refused: bool) -> None:
    """Past its deadline each leaves its state, even if no job is ever accepted."""
    broken = [said for case in run_cases.silent() if (said := run_rules.stuck(case, refused=refused))]

    assert not broken[:3]


WRONG: list[tuple[str, Phase, Step]] = [
    ("shares that are not whole", Phase.STEP, Traffic({OLD.deployed_id: 94, NEW.deployed_id: 5})),
    ("traffic to what is gone", Phase.STEP, Traffic({OLD.deployed_id: 95, "9": 5})),
    ("traffic before its phase", Phase.DEPLOYING, Traffic({OLD.deployed_id: 95, NEW.deployed_id: 5})),
    ("a way back to the challenger", Phase.ROLLING_BACK, Traffic({NEW.deployed_id: 100})),
    ("the champion goes early", Phase.FULL, Undeploy(OLD.deployed_id)),
    ("a stranger goes", Phase.IDLE, Undeploy("4000000000")),
    ("all traffic without evidence", Phase.STEP, Go(Phase.FULL, "because", {"step": 3})),
    ("the end without the soak", Phase.FULL, Go(Phase.CLEANUP, "because")),
    ("promoted on the way back", Phase.ROLLING_BACK, Finish("promoted", "because")),
    ("a person's hold is undone", Phase.HELD, Go(Phase.IDLE, "because")),
    ("another phase out of turn", Phase.REGISTERING, Go(Phase.FULL, "because")),
]


@pytest.mark.parametrize(("phase", "step"), [pytest.param(p, s, id=name) for name, p, s in WRONG])
def test_a_wrong_decision_breaks_a_rule(phase: Phase, step: Step) -> None:
    """In at least one case of its phase."""
    cases = (case for case in rollout_cases.grid(False) if case.record.phase is phase and case.spec is SPECS[0])

    assert any(rule(case, step) for case in cases for rule in RULES)


def test_a_split_set_by_hand_may_not_be_passed_over() -> None:
    """The rule that says so sees a machine that would rest."""
    mixed = {OLD.deployed_id: 60, NEW.deployed_id: 40}
    first = next(case for case in rollout_cases.grid(False) if _both(case))
    by_hand = replace(first, view=replace(first.view, endpoint=replace(first.view.endpoint, split=mixed)))
    answer = next_step(by_hand.record, by_hand.spec, by_hand.view)

    assert isinstance(answer, Go)
    assert answer.phase is Phase.HELD


def _both(case: Case) -> bool:
    deployed = case.view.endpoint.deployed.keys()
    return (
        case.record.phase is Phase.STEP
        and case.record.ask is None
        and deployed == {OLD.deployed_id, NEW.deployed_id}
    )
