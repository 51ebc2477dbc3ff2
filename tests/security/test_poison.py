"""Poisoned rows: which share of them the checks stop, and that what slips through still has to win.

The shares are those of the flights model file; the page on security quotes them.
"""

import numpy as np
import pytest

from retraining.checks import problems
from retraining.gate import judge
from retraining.reports import Evaluation, Paired
from retraining.views import DataCounts
from tests.unit.build import FLIGHTS, NOW, column, counts, evaluation

ROWS = 6000
NUMERIC = next(name for name, feature in FLIGHTS.features.items() if feature.type == "numeric")


def flipped(share: float) -> DataCounts:
    """Rows of which a share has its label turned to 0, as somebody does who wants flights to look late."""
    return counts(usual_label_mean=0.75, label_mean=0.75 * (1 - share))


def absurd(share: float, factor: float) -> DataCounts:
    """Rows of which a share has a value ``factor`` times too large."""
    return column(NUMERIC, mean_abs=10.0 * (1 + share * (factor - 1)))


def empty(share: float) -> DataCounts:
    """Rows of which a share has no value."""
    return column(NUMERIC, nulls=round(ROWS * share))


def doubled(share: float) -> DataCounts:
    """Rows of which a share repeats another's key."""
    return counts(duplicates=round(ROWS * share))


def unlabelled(share: float) -> DataCounts:
    """Rows past the label delay of which a share has no label."""
    return counts(labelled_rows=round(5000 * (1 - share)))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (flipped(0.41), "the mean label"),
        (absurd(0.01, 1000), "times as large as usual"),
        (absurd(0.05, 100), "times as large as usual"),
        (empty(0.06), "values are missing"),
        (doubled(0.02), "a key that occurs twice"),
        (unlabelled(0.25), "have a label"),
    ],
    ids=["flipped 41%", "a thousandfold 1%", "a hundredfold 5%", "null 6%", "doubled 2%", "unlabelled 25%"],
)
def test_a_poisoned_share_is_stopped_before_training(rows: DataCounts, said: str) -> None:
    assert any(said in problem for problem in problems(FLIGHTS, rows, NOW))


@pytest.mark.parametrize(
    "rows",
    [flipped(0.35), absurd(0.003, 1000), absurd(0.03, 100), empty(0.04), doubled(0.009), unlabelled(0.15)],
    ids=["flipped 35%", "a thousandfold 0.3%", "a hundredfold 3%", "null 4%", "doubled 0.9%", "unlabelled 15%"],
)
def test_a_smaller_share_passes_the_checks(rows: DataCounts) -> None:
    """Said plainly: below these shares only the gate and the rollout stand between rows and traffic."""
    assert problems(FLIGHTS, rows, NOW) == ()


class TestGate:
    """A candidate that learned from flipped labels, against a champion that learned the truth."""

    @pytest.mark.parametrize("share", [0.01, 0.05, 0.2, 0.35])
    def test_flipped_training_labels_are_refused_by_sound_test_rows(self, share: float) -> None:
        assert judge(FLIGHTS, compared(share, 0.0), forced=False).eligible is False

    @pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.35])
    def test_labels_flipped_in_the_test_rows_as_well_are_refused_by_the_floors(self, share: float) -> None:
        """The poisoned candidate beats the champion on poisoned rows; what it must reach by itself it does not."""
        result = judge(FLIGHTS, compared(share, share), forced=False)

        assert result.eligible is False
        assert any("below its floor" in reason for reason in result.reasons)

    def test_a_few_flipped_labels_everywhere_pass(self) -> None:
        """Said plainly: with 3 % flipped in training and test rows alike, candidate and rows agree."""
        assert judge(FLIGHTS, compared(0.03, 0.03), forced=False).eligible is True

    def test_a_person_cannot_force_a_poisoned_candidate_below_the_floors(self) -> None:
        assert judge(FLIGHTS, compared(0.1, 0.1), forced=True).eligible is False


def compared(learned: float, tested: float) -> Evaluation:
    """20,000 rows over 20 days about as hard as flights; shares of labels flipped in training and test rows."""
    rng = np.random.default_rng(1)
    truth = rng.beta(0.45, 0.15, 20_000)
    label = rng.random(len(truth)) < truth
    label = np.where(rng.random(len(truth)) < tested, ~label, label)
    score = truth * (1 - learned) + (1 - truth) * learned  # the best answer to what it was shown
    ours, theirs = loss(score, label), loss(truth, label)
    days = (ours - theirs).reshape(20, -1).mean(axis=1)
    return evaluation(
        rows=len(truth),
        candidate={"log_loss": float(ours.mean()), "auc": auc(score, label)},
        champion={"log_loss": float(theirs.mean()), "auc": auc(truth, label)},
    ).but(
        difference=Paired(
            rows=len(truth),
            clusters=len(days),
            mean=float(days.mean()),
            standard_error=float(days.std(ddof=1) / len(days) ** 0.5),
        )
    )


def loss(score: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Log-loss per row."""
    sure = np.clip(np.where(label, score, 1 - score), 1e-3, 1 - 1e-3)
    return -np.log(sure)


def auc(score: np.ndarray, label: np.ndarray) -> float:
    """Share of pairs of a positive and a negative row that the score has in order."""
    rank = np.empty(len(score))
    rank[score.argsort()] = np.arange(1, len(score) + 1)
    positives = int(label.sum())
    return float((rank[label].sum() - positives * (positives + 1) / 2) / (positives * (len(label) - positives)))
