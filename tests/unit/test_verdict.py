"""Live requests: harm is seen, chance is not taken for harm however often one looks."""

import random

import pytest

from retraining.rollouts import Verdict
from retraining.verdict import boundary, look
from retraining.views import ArmCounts
from tests.unit.build import FLIGHTS, NOW


def arm(
    rows: int, mean: float = 0.16, spread: float = 0.3, labelled: int | None = None, invalid: int = 0
) -> ArmCounts:
    """An arm whose losses have this mean and standard deviation."""
    n = rows if labelled is None else labelled
    return ArmCounts(
        rows=rows, invalid=invalid, labelled=n, loss_sum=n * mean, loss_sq_sum=n * (mean**2 + spread**2)
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        pytest.param(None, arm(500), Verdict.NO_DATA, id="no request yet"),
        pytest.param(arm(500, invalid=1), arm(500), Verdict.WORSE, id="an invalid answer"),
        pytest.param(arm(500, labelled=0), arm(500), Verdict.INCONCLUSIVE, id="no labels yet"),
        pytest.param(arm(500), None, Verdict.INCONCLUSIVE, id="no champion rows"),
        pytest.param(arm(2000, 0.6), arm(2000), Verdict.WORSE, id="clearly worse"),
        pytest.param(arm(5000, 0.01), arm(5000), Verdict.BETTER, id="clearly better"),
        pytest.param(arm(200_000), arm(200_000), Verdict.NOT_WORSE, id="the same, seen often enough"),
        pytest.param(arm(300), arm(300), Verdict.INCONCLUSIVE, id="the same, seen too little"),
    ],
)
def test_the_verdict(ours: ArmCounts | None, theirs: ArmCounts | None, verdict: Verdict) -> None:
    """No data is neither good nor bad."""
    assert look(FLIGHTS, ours, theirs, NOW).verdict is verdict


def test_looking_often_does_not_condemn_the_harmless() -> None:
    """Two equal arms, 400 rollouts, a look every 25 rows: at most 5 percent are ever called worse."""
    rng = random.Random(7)
    alarms = sum(_ever_worse(rng) for _ in range(400))

    assert alarms <= 20


def _ever_worse(rng: random.Random) -> bool:
    sums = [[0.0, 0.0], [0.0, 0.0]]
    for n in range(1, 601):
        for losses in sums:
            loss = rng.expovariate(6)
            losses[0] += loss
            losses[1] += loss * loss
        if n % 25 == 0:
            ours, theirs = (ArmCounts(rows=n, invalid=0, labelled=n, loss_sum=a, loss_sq_sum=b) for a, b in sums)
            if look(FLIGHTS, ours, theirs, NOW).verdict is Verdict.WORSE:
                return True
    return False


def test_the_boundary_narrows() -> None:
    """More rows, tighter bounds."""
    widths = [boundary(n) for n in (50, 500, 5000, 50_000)]

    assert widths == sorted(widths, reverse=True)
