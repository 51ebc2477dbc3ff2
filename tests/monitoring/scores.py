"""Prediction days of a classifier as counts by cell of the score, drawn with a known change."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from monitoring.performance import MICRO, Bin, DayCounts
from tests.monitoring.traffic import MONDAY

CELLS = 20


@dataclass
class Scores:
    """Draws days. Scores are beta distributed; a row is positive with a chance that follows its score, bent by
    ``concept`` (0: exactly as said, 1: no relation left)."""

    seed: int = 5
    jitter: float = 0.0  # ordinary variation of the days' mean score
    concept: float = 0.0
    shift: float = 0.0  # added to the scores' logits, labels following
    day: datetime = field(default=MONDAY)

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.seed)

    def draw(self, rows: int, labelled: float = 1.0) -> DayCounts:
        """One day; a share of its rows has labels."""
        random = self._random
        logits = np.log(1 / random.beta(2, 2, rows) - 1) + self.shift + self.jitter * random.normal()
        score = 1 / (1 + np.exp(-logits))
        label = random.random(rows) < (1 - self.concept) * score + self.concept * 0.5
        has = random.random(rows) < labelled
        at, self.day = self.day, self.day + timedelta(days=1)
        return to_day(at, score, label, has)


def to_day(at: datetime, score: np.ndarray, label: np.ndarray, has: np.ndarray) -> DayCounts:
    """The counts that the statement would give."""
    loss = -np.log(np.clip(np.where(label, score, 1 - score), 1e-7, 1 - 1e-7))
    error = (score - label) ** 2
    columns = {
        "answered": np.ones(len(score)),
        "due": np.ones(len(score)),
        "labelled": has,
        "positive": label & has,
        "correct": ((score >= 0.5) == label) & has,
        **{
            name: np.round(MICRO * one) * has
            for name, one in (
                ("score", score),
                ("label", label.astype(float)),
                ("loss", loss),
                ("loss_sq", loss**2),
                ("error", error),
                ("error_sq", error**2),
            )
        },
    }
    place = np.minimum((score * CELLS).astype(int), CELLS - 1)
    sums = {name: np.bincount(place, weights=one, minlength=CELLS) for name, one in columns.items()}
    return DayCounts(at, tuple(Bin(**{name: int(one[k]) for name, one in sums.items()}) for k in range(CELLS)))
