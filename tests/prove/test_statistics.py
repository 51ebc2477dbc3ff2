"""The quick proof of the verdicts, and that it would see a broken promise."""

import math

import numpy as np
import pytest

from retraining.operations_verdict import _OFF, evidence, shown
from tests.prove.statistics import Tally, condemned, harmless, proof, twin


def test_every_promise_about_the_verdicts_holds() -> None:
    """4,000 rollouts of 288 looks for each kind of harmless challenger, and the power against harm."""
    part = proof(False)

    assert not part.broken
    assert len(part.rows) > 20


def test_the_real_functions_at_every_look_agree() -> None:
    """A few rollouts without the twin's help."""
    tallies = list(harmless(np.random.default_rng(3), 20, every=True))

    assert all(tally.hits <= 2 for tally in tallies)


def test_the_twin_says_what_the_real_function_says() -> None:
    """To the last digits that matter."""
    rng = np.random.default_rng(5)
    hits, misses = rng.integers(0, 5000, size=(2, 200, 1))
    seen = twin(hits, misses, 0.07, _OFF)

    assert [evidence(int(h), int(m), 0.07, _OFF) for h, m in zip(hits[:, 0], misses[:, 0], strict=True)] == (
        pytest.approx(list(seen[:, 0]), abs=1e-6)
    )


def test_a_twin_that_misses_something_is_found() -> None:
    """It is asked where it says no, too."""
    with pytest.raises(AssertionError, match="the twin misses"):
        condemned(np.zeros((4, 4), dtype=bool), lambda one, at: True, False, np.random.default_rng(1))


@pytest.mark.parametrize(
    ("tally", "broken"),
    [
        (Tally("x", 100, 4000, most=0.05), False),
        (Tally("x", 190, 4000, most=0.05), True),
        (Tally("x", 190, 4000, most=0.05, exact=True), False),
        (Tally("x", 300, 4000, most=0.05, exact=True), True),
        (Tally("x", 1, 4000, most=0), True),
        (Tally("x", 790, 1000, least=0.8), True),
        (Tally("x", 840, 1000, least=0.8), False),
    ],
)
def test_a_promise_that_does_not_hold_is_named(tally: Tally, broken: bool) -> None:
    """The whole interval must keep it, unless it is met exactly by construction."""
    assert bool(tally.broken) is broken


def test_a_fixed_test_at_every_look_would_break_the_promise() -> None:
    """The plain test that the evidence replaces condemns far more than it says, by the same drawing."""
    rng = np.random.default_rng(11)
    hits = rng.binomial(20, 0.05, size=(500, 288)).cumsum(axis=1)
    total = np.arange(20, 20 * 289, 20)
    z = (hits - 0.05 * total) / np.sqrt(0.05 * 0.95 * total)
    plain = (z > 1.645).any(axis=1).mean()
    ours = np.mean(
        [any(shown(int(h), int(n - h), 0.05, 0.05) for h, n in zip(one, total, strict=True)) for one in hits]
    )

    assert plain > 0.2
    assert ours < 0.05
    assert math.isfinite(plain)
