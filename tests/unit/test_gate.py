"""The gate: non-inferiority on the same rows, floors, slices, and a person's override."""

import pytest

from retraining.gate import judge
from retraining.modelspec import ModelSpec
from retraining.reports import Evaluation, Paired, Slice
from tests.unit.build import FLIGHTS, SPECS, evaluation


def piece(difference: float, error: float = 0.001, rows: int = 500, value: str = "UA") -> Slice:
    """A slice in which the candidate's loss differs by so much."""
    pair = Paired(rows=rows, clusters=6, mean=difference, standard_error=error)
    scores = {"log_loss": 0.16}
    return Slice(column="carrier", value=value, rows=rows, candidate=scores, champion=scores, difference=pair)


@pytest.mark.parametrize(
    ("report", "eligible", "said"),
    [
        pytest.param(evaluation(-0.01), True, "better", id="better"),
        pytest.param(evaluation(0.001), True, "not worse", id="within the margin"),
        pytest.param(evaluation(0.004), False, "worse", id="beyond the margin"),
        pytest.param(evaluation(0.0, error=0.01), False, "not shown to be no worse", id="too noisy to tell"),
        pytest.param(evaluation(rows=999), False, "only 999", id="too few rows"),
        pytest.param(evaluation(invalid_outputs=1), False, "not finite", id="NaN outputs"),
        pytest.param(evaluation(golden_mismatches=2), False, "golden", id="golden rows"),
        pytest.param(evaluation(latency_p99_ms=80.0), False, "80 ms", id="slow"),
        pytest.param(
            evaluation(candidate={"log_loss": 0.1, "auc": 0.8}), False, "below its floor", id="below a floor"
        ),
        pytest.param(
            evaluation(candidate={"log_loss": 0.15}), False, "auc was not measured", id="a floor not measured"
        ),
        pytest.param(
            evaluation(candidate={"log_loss": 0.15, "auc": float("nan")}), False, "not measured", id="NaN metric"
        ),
        pytest.param(evaluation().but(champion=None, difference=None), True, "no champion yet", id="first run"),
        pytest.param(evaluation(slices=(piece(0.05),)), False, "worse for carrier = UA", id="a bad slice"),
        pytest.param(evaluation(slices=(piece(0.05, rows=100),)), True, "better", id="a slice too small to judge"),
        pytest.param(evaluation(slices=(piece(0.0045),)), True, "better", id="a slice within twice the margin"),
    ],
)
def test_the_gate_says_whether_and_why(report: Evaluation, eligible: bool, said: str) -> None:
    """Each outcome carries its reason."""
    result = judge(FLIGHTS, report, forced=False)

    assert result.eligible is eligible
    assert said in "; ".join(result.reasons)


def test_many_slices_need_stronger_evidence() -> None:
    """By Holm's procedure, what would condemn one slice alone does not condemn one of twenty."""
    doubtful = piece(0.004 + 0.0018, value="X")
    alone = judge(FLIGHTS, evaluation(slices=(doubtful,)), forced=False)
    crowd = tuple(piece(-0.01, value=str(i)) for i in range(19))

    among = judge(FLIGHTS, evaluation(slices=(doubtful, *crowd)), forced=False)

    assert (alone.eligible, among.eligible) == (False, True)


@pytest.mark.parametrize(
    ("report", "eligible"),
    [
        pytest.param(evaluation(0.02), True, id="force overrides the champion"),
        pytest.param(evaluation(0.02, invalid_outputs=1), False, id="force does not override invalid outputs"),
        pytest.param(evaluation(0.02, rows=10), False, id="force does not override the row count"),
    ],
)
def test_force_overrides_the_comparison_only(report: Evaluation, eligible: bool) -> None:
    """And it is written down."""
    result = judge(FLIGHTS, report, forced=True)

    assert (result.eligible, result.forced) == (eligible, True)


def bikes_evaluation(difference: float) -> Evaluation:
    """Squared errors around an RMSE of 50."""
    report = evaluation(candidate={"rmse": 50.0}, champion={"rmse": 50.0})
    return report.but(difference=Paired(rows=5000, clusters=60, mean=difference, standard_error=1.0))


@pytest.mark.parametrize(("difference", "eligible"), [(300.0, True), (310.0, False)])
def test_a_margin_of_rmse_is_turned_into_squared_error(difference: float, eligible: bool) -> None:
    """3 above 50 is 309 in squared error."""
    spec: ModelSpec = SPECS["bikes"]

    assert judge(spec, bikes_evaluation(difference), forced=False).eligible is eligible


def test_a_slice_that_nobody_declared_does_not_count() -> None:
    """The model file names the columns before anything is seen."""
    other = piece(0.05).but(column="tail_number")

    assert judge(FLIGHTS, evaluation(slices=(other,)), forced=False).eligible


def test_a_slice_that_was_not_measured_speaks_against() -> None:
    """And the others are still ranked among themselves."""
    unknown = piece(float("nan"), value="?")
    result = judge(FLIGHTS, evaluation(slices=(piece(-0.01), unknown, piece(0.05, value="bad"))), forced=False)

    assert [reason for reason in result.reasons if "worse for" in reason and "bad" in reason]
    assert [reason for reason in result.reasons if "worse for" in reason and "?" in reason]
