"""Expected against realised: right before labels come, silent on ordinary days, and it sees what inputs hide."""

import pytest

from monitoring.estimate import Reference, Standing, concept, estimate, foreseen, learn, realised
from monitoring.performance import DayCounts, add, measure
from tests.monitoring.scores import Scores

ROWS = 1000
TOLERANCE = 0.02
TRIALS = 60


def _reference(drawn: Scores, days: int = 14) -> Reference:
    found = learn("binary", [drawn.draw(ROWS) for _ in range(days)])
    assert found is not None
    return found


def _week(drawn: Scores, days: int = 7) -> DayCounts:
    return add([drawn.draw(ROWS) for _ in range(days)])


def test_the_estimate_foresees_what_comes() -> None:
    """The scores move, labels follow: nine in ten intervals hold the loss that comes true, and the estimate is far
    nearer to it than "as before"."""
    held = nearer = 0
    for seed in range(TRIALS):
        drawn = Scores(seed=seed, jitter=0.1)
        reference = _reference(drawn)
        drawn.shift = 0.8
        week = _week(drawn)
        came, found = measure("binary", week)["log_loss"].value, estimate(reference, week)["log_loss"]
        held += found.low <= came <= found.high
        nearer += abs(found.value - came) < abs(reference.loss - came)

    assert held / TRIALS >= 0.9
    assert nearer / TRIALS >= 0.9


def test_every_metric_is_estimated_but_calibration() -> None:
    """Calibration is what the estimate assumes."""
    drawn = Scores()
    found = estimate(_reference(drawn), _week(drawn))

    assert set(found) == {"log_loss", "brier", "accuracy", "auc"}


@pytest.mark.parametrize("jitter", [0.0, 0.15])
def test_ordinary_weeks_are_not_called_worse(jitter: float) -> None:
    """At most two in a hundred of all answers, with and without variation between days."""
    worse = 0
    for seed in range(TRIALS):
        drawn = Scores(seed=1000 + seed, jitter=jitter)
        reference, week = _reference(drawn), _week(drawn)
        found = [compare(reference, week, 7, TOLERANCE) for compare in (realised, foreseen, concept)]
        worse += sum(one.standing is Standing.WORSE for one in found)

    assert worse <= 0.02 * 3 * TRIALS


def test_concept_drift_is_seen_although_the_scores_stay() -> None:
    """Labels follow the score less: realised and gap say worse, the estimate sees nothing."""
    seen = {realised: 0, foreseen: 0, concept: 0}
    for seed in range(TRIALS):
        drawn = Scores(seed=2000 + seed, jitter=0.1)
        reference = _reference(drawn)
        drawn.concept = 0.4
        week = _week(drawn)
        for compare in seen:
            seen[compare] += compare(reference, week, 7, TOLERANCE).standing is Standing.WORSE

    assert seen[concept] >= 0.95 * TRIALS
    assert seen[realised] >= 0.95 * TRIALS
    assert seen[foreseen] <= 0.02 * TRIALS


def test_a_harder_crowd_is_no_concept_drift() -> None:
    """More scores near a half: the loss rises as foreseen, and the gap stays silent."""
    told = 0
    for seed in range(TRIALS):
        drawn = Scores(seed=3000 + seed)
        drawn.shift = 1.5
        reference = _reference(drawn)
        drawn.shift = 0.0
        week = _week(drawn)
        told += foreseen(reference, week, 7, TOLERANCE).standing is Standing.WORSE
        told += concept(reference, week, 7, TOLERANCE).standing is not Standing.WORSE

    assert told >= 0.97 * 2 * TRIALS


def test_few_rows_prove_nothing() -> None:
    """Forty rows: it cannot be told, whatever they show."""
    drawn = Scores()
    reference = _reference(drawn)
    drawn.concept = 1.0
    found = concept(reference, drawn.draw(40), 1, TOLERANCE)

    assert found.standing is Standing.CANNOT_TELL
    assert found.reason == "40 rows, 100 are needed"


def test_without_days_there_is_no_reference() -> None:
    """Four days do not show how days differ."""
    drawn = Scores()

    assert learn("binary", [drawn.draw(ROWS) for _ in range(4)]) is None
    assert learn("binary", [drawn.draw(50) for _ in range(5)]) is None
