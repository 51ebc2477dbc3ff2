"""Days of traffic as counts, drawn with a known shift, and a log that holds them."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import numpy as np
from scipy import stats

from monitoring.baseline import Definitions
from monitoring.counts import Counts
from monitoring.log import Kept, Pass, Subject, Windows, length
from monitoring.passes import PIECES
from retraining.errors import RetrainingError

Shift = dict[str, float]  # feature → standard deviations; "missing:delay" → share without a value


class Days:
    """Draws windows of the small model in ``tests.monitoring.traffic``, all features independent."""

    def __init__(self, definitions: Definitions, jitter: float = 0.0) -> None:
        self._definitions = definitions
        self._random = np.random.default_rng(5)
        self._jitter = jitter

    def window(self, rows: int, shift: Shift | None = None) -> dict[str, Counts]:
        """One window of ``rows`` rows; a shift moves the mass of the cells to the right on the normal scale."""
        moved = shift or {}
        return {
            name: self._feature(name, rows, moved.get(name, 0.0), moved.get(f"missing:{name}"))
            for name in self._definitions.features
        }

    def _feature(self, name: str, rows: int, shift: float, missing: float | None) -> Counts:
        training = self._definitions.features[name].training
        share = training.n_null / training.n if missing is None else missing
        null = int(self._random.binomial(rows, share))
        cells = np.array(training.cells, dtype=float)
        edges = stats.norm.ppf(np.cumsum(cells[:-1]) / cells.sum())
        by = shift + self._jitter * float(self._random.normal())
        probabilities = np.diff(np.concatenate([[0.0], stats.norm.cdf(edges - by), [1.0]]))
        found = self._random.multinomial(rows - null, probabilities / probabilities.sum())
        return Counts(rows, null, 0, 0, 0, 0, tuple(int(n) for n in found), float(rows), float(rows))


def arrived(rows: int, repeats: int = 0, until: int = PIECES, unknown: int = 0) -> Counts:
    """How rows came that lie evenly over the window's first ``until`` parts."""
    cells = [rows // until + (place < rows % until) if place < until else 0 for place in range(PIECES)]
    return Counts(rows, 0, 0, repeats, 0, unknown, tuple(cells))


class CountedLog:
    """A log whose windows are already counted; it notes what it is asked."""

    def __init__(self, windows: Windows) -> None:
        self.windows = windows
        self.arrivals: dict[datetime, Counts] = {}
        self.names: dict[str, int] = {}  # that nobody knows
        self.fails: RetrainingError | None = None  # when it is asked for names
        self.asked: list[tuple[str, datetime, datetime]] = []

    def count_all(self, passes: Iterable[Pass]) -> dict[str, RetrainingError]:
        """See Log."""
        for one in passes:
            assert (one.end - one.start) % length(one.subject.spec) == timedelta(0)
            self.asked.append(("count", one.start, one.end))
        return {}

    def read(self, subject: Subject, since: datetime, until: datetime) -> Kept:
        """See Log."""
        self.asked.append(("read", since, until))
        return Kept(
            {at: features for at, features in self.windows.items() if since <= at < until},
            {at: counts for at, counts in self.arrivals.items() if since <= at < until},
        )

    def unknown_names(self, subject: Subject, start: datetime, end: datetime) -> dict[str, int]:
        """See Log."""
        self.asked.append(("names", start, end))
        if self.fails:
            raise self.fails
        return self.names

    def define(self, subject: Subject) -> None:
        """See Log."""
