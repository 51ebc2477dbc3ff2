"""Errors, latencies and shares of traffic: what is shown, what is not, and what then follows for the rollout."""

import math
from typing import Any

import pytest

from retraining.modelspec import Limits, ModelSpec
from retraining.operations import Health, Latencies
from retraining.operations_verdict import Operations, evidence, judge, labels_off, shares_off
from retraining.rollouts import Verdict
from retraining.verdict import look
from retraining.views import ArmCounts
from tests.unit.build import FLIGHTS, NOW

BOUNDS = (10.0, 100.0, 1000.0)


def limited(**limits: Any) -> ModelSpec:
    """Flights with limits."""
    rollout = FLIGHTS.rollout.model_copy(update={"limits": Limits(**limits)})
    return FLIGHTS.model_copy(update={"rollout": rollout})


def serving(requests: int, errors: int = 0, *counts: int) -> Health:
    """A model that answered so many requests, in these buckets."""
    return Health(requests, errors, Latencies(BOUNDS, counts) if counts else Latencies())


def arm(rows: int, mean: float = 0.16, **changes: Any) -> ArmCounts:
    """An arm with labels for all its rows."""
    sums = {"loss_sum": rows * mean, "loss_sq_sum": rows * (mean**2 + 0.09)}
    return ArmCounts(**({"rows": rows, "invalid": 0, "labelled": rows, **sums} | changes))


# Histograms --------------------------------------------------------------------------------


def test_only_what_is_surely_slower_counts_as_slower() -> None:
    """A bucket that the limit divides does not count."""
    timed = Latencies(BOUNDS, (1, 2, 3, 4))

    assert [timed.slower(limit) for limit in (0, 10, 50, 100, 1000, 1001)] == [10, 9, 7, 7, 4, 0]


def test_a_quantile_lies_in_its_bucket() -> None:
    """Of the last one only the beginning is known."""
    timed = Latencies(BOUNDS, (50, 40, 0, 10))

    assert (timed.quantile(0.25), timed.quantile(0.5), timed.quantile(0.7)) == (5.0, 10.0, 55.0)
    assert timed.quantile(0.99) == 1000.0
    assert Latencies().quantile(0.5) is None


# Evidence -----------------------------------------------------------------------------------


def test_no_event_is_no_evidence() -> None:
    assert evidence(0, 0, 0.05) == pytest.approx(0)


def test_evidence_has_the_expectation_one_when_nothing_is_wrong() -> None:
    """Summed over every outcome of a few events, so that its growth is chance's alone."""
    n, chance = 12, 0.3
    total = sum(
        math.comb(n, k) * chance**k * (1 - chance) ** (n - k) * math.exp(evidence(k, n - k, chance))
        for k in range(n + 1)
    )

    assert total == pytest.approx(1)


# Verdicts -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "share", "ours", "theirs", "harm"),
    [
        pytest.param(FLIGHTS, 50, serving(2000, 40), serving(2000, 41), "", id="alike"),
        pytest.param(FLIGHTS, 50, serving(2000, 120), serving(2000, 40), "fails more often", id="more errors"),
        pytest.param(FLIGHTS, 50, serving(2000, 20), serving(2000, 90), "", id="fewer errors"),
        pytest.param(FLIGHTS, 50, serving(150, 60), serving(150, 0), "", id="too few rows"),
        pytest.param(FLIGHTS, 100, serving(2000, 900), serving(10, 0), "", id="nobody to compare with"),
        pytest.param(limited(max_error_share=0.05), 5, serving(8, 8), None, "8 of 8 answers", id="all errors"),
        pytest.param(limited(max_error_share=0.05), 5, serving(1, 1), None, "", id="one error"),
        pytest.param(limited(max_error_share=0.05), 5, serving(4000, 210), None, "", id="near the limit"),
        pytest.param(limited(max_error_share=0.05), 5, serving(4000, 400), None, "the limit is 5.00%", id="above"),
        pytest.param(limited(max_error_share=0.05), 100, serving(40, 30), None, "30 of 40", id="while it soaks"),
        pytest.param(
            limited(max_latency_p99_ms=100), 5, serving(50, 0, 0, 0, 40, 10), None, "50 of 50", id="all slow"
        ),
        pytest.param(limited(max_latency_p99_ms=100), 5, serving(1000, 0, 500, 492, 8, 0), None, "", id="fast"),
        pytest.param(limited(max_latency_p99_ms=100), 5, serving(1000), None, "", id="never timed"),
    ],
)
def test_harm(spec: ModelSpec, share: int, ours: Health, theirs: Health | None, harm: str) -> None:
    """A limit needs no number of rows but more than one answer; a comparison needs min_requests."""
    found = judge(spec, share, ours, theirs)

    assert harm in found.harm
    assert bool(found.harm) is bool(harm)


def test_a_split_that_is_not_kept_is_no_harm() -> None:
    """Its errors would be too many for its share; what is broken is the routing."""
    found = judge(FLIGHTS, 5, serving(1000, 50), serving(1000, 50))

    assert not found.harm
    assert "routing or logging" in found.hold


@pytest.mark.parametrize(
    ("ours", "theirs", "share", "off"),
    [
        (50, 950, 5, False),
        (100, 900, 5, True),
        (10, 990, 5, True),
        (0, 1000, 5, True),
        (2, 0, 5, False),
        (1000, 0, 100, False),
        (0, 0, 50, False),
        (0, 0, 0, False),
    ],
)
def test_shares_of_requests(ours: int, theirs: int, share: int, off: bool) -> None:
    """Either way, and only where two models share the traffic."""
    assert bool(shares_off(ours, theirs, share)) is off


@pytest.mark.parametrize(
    ("ours", "theirs", "off"),
    [
        ((900, 1000), (905, 1000), False),
        ((700, 1000), (900, 1000), True),
        ((900, 1000), (700, 1000), True),
        ((0, 0), (900, 1000), False),
        ((1000, 1000), (1000, 1000), False),
        ((0, 1000), (0, 1000), False),
    ],
)
def test_labels_of_two_arms(ours: tuple[int, int], theirs: tuple[int, int], off: bool) -> None:
    """Compared by how many of those that were due have come."""
    assert bool(labels_off(ours, theirs)) is off


# All guards together -------------------------------------------------------------------------


GOOD, CHAMPION = arm(200_000), arm(200_000)
BROKEN = Operations(champion="90 of 100 answers are errors", enough=True, said="0 errors in 500 answers")


@pytest.mark.parametrize(
    ("ours", "operations", "verdict", "hold"),
    [
        pytest.param(GOOD, Operations(), Verdict.NOT_WORSE, False, id="nothing is wrong"),
        pytest.param(GOOD, Operations(harm="it fails"), Verdict.WORSE, False, id="harm outweighs good losses"),
        pytest.param(None, Operations(harm="it fails"), Verdict.WORSE, False, id="what fails is in no log"),
        pytest.param(GOOD, Operations(hold="odd"), Verdict.INCONCLUSIVE, True, id="good losses of odd numbers"),
        pytest.param(arm(200_000, 0.6), Operations(hold="odd"), Verdict.INCONCLUSIVE, True, id="bad ones too"),
        pytest.param(GOOD, Operations(unseen="no numbers"), Verdict.NO_DATA, False, id="limits without numbers"),
        pytest.param(arm(500), BROKEN, Verdict.NOT_WORSE, False, id="beside a broken champion"),
        pytest.param(arm(5000, 0.9), BROKEN, Verdict.WORSE, False, id="bad beside a broken champion"),
        pytest.param(
            arm(500), Operations(champion="90 errors"), Verdict.INCONCLUSIVE, False, id="too little to be sure"
        ),
        pytest.param(
            GOOD.but(requests=200_000), Operations(), Verdict.INCONCLUSIVE, True, id="the log lacks the champion"
        ),
        pytest.param(
            GOOD.but(due=300_000), Operations(), Verdict.INCONCLUSIVE, True, id="a third of its labels is missing"
        ),
    ],
)
def test_guards_together(ours: ArmCounts | None, operations: Operations, verdict: Verdict, hold: bool) -> None:
    """Any can stop; going on needs all; what cannot be trusted decides nothing."""
    champion = CHAMPION.but(due=200_000)
    found = look(FLIGHTS, ours, champion, NOW, 50, operations)

    assert (found.verdict, found.hold) == (verdict, hold)
    assert ("the champion itself breaks a limit" in found.page) is bool(operations.champion)


def test_a_file_without_limits_keeps_its_digest() -> None:
    """And one with limits says so."""
    dumped = FLIGHTS.model_dump(mode="json", by_alias=True)

    assert "limits" not in dumped["rollout"]
    assert limited(max_error_share=0.1).digest != FLIGHTS.digest
    again = ModelSpec.model_validate_json(limited(max_error_share=0.1).model_dump_json(by_alias=True))
    assert again.rollout.limits.max_error_share == 0.1
