"""The best trial, and its parameters in their declared types."""

import pytest

from retraining.modelspec import Tuning
from retraining.trials import arguments, best_trial
from retraining.views import Trial
from tests.unit.build import FLIGHTS

MINIMIZE = Tuning(metric="val_log_loss", goal="minimize")
MAXIMIZE = Tuning(metric="val_log_loss", goal="maximize")


def trial(number: int, value: float | None, state: str = "SUCCEEDED") -> Trial:
    """A trial with this final measurement."""
    metrics = {} if value is None else {"val_log_loss": value}
    return Trial(id=str(number), state=state, parameters={}, metrics=metrics)


THREE = (trial(1, 0.3), trial(2, 0.1), trial(3, 0.2))


@pytest.mark.parametrize(
    ("tuning", "trials", "best"),
    [
        pytest.param(MINIMIZE, THREE, "2", id="the lowest"),
        pytest.param(MAXIMIZE, THREE, "1", id="the highest"),
        pytest.param(MINIMIZE, (trial(9, 0.1), trial(10, 0.1)), "9", id="ties go to the earliest"),
        pytest.param(MINIMIZE, (trial(1, 0.1, "INFEASIBLE"), trial(2, 0.2)), "2", id="failed trials do not count"),
        pytest.param(MINIMIZE, (trial(1, float("nan")), trial(2, 0.2)), "2", id="NaN does not count"),
        pytest.param(MINIMIZE, (trial(1, None), trial(2, 0.2)), "2", id="no measurement does not count"),
    ],
)
def test_the_best_trial(tuning: Tuning, trials: tuple[Trial, ...], best: str) -> None:
    """By goal, among those that measured."""
    found = best_trial(tuning, trials)

    assert found is not None
    assert found.id == best


def test_no_trial_is_best_when_all_failed() -> None:
    """There is nothing to train with then."""
    assert best_trial(MINIMIZE, (trial(1, None, "INFEASIBLE"),)) is None


def test_integers_come_back_as_integers() -> None:
    """Vertex AI gives every number as a double."""
    found = Trial(
        id="1",
        state="SUCCEEDED",
        parameters={"batch_size": 2048.0, "learning_rate": 0.0012, "hidden_units": "64,32"},
        metrics={},
    )

    assert arguments(FLIGHTS, found) == {
        "batch_size": "2048",
        "hidden_units": "64,32",
        "learning_rate": "0.0012",
    }
