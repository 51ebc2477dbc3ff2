"""Two features looked at together: whether they hang together as before, whatever each does by itself.

Sixteen cells: a quarter of the one by a quarter of the other. The reference's table is first given the
window's margins, without touching its odds ratios; what then still differs is association. A drift of one
feature alone therefore moves nothing here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt, sumprod

from monitoring.components import MIN_EXPECTED, neighbours, normal_scores
from retraining.quarters import QUARTERS, pair_name

ROUNDS = 50  # of fitting margins; most tables need three
CLOSE = 1e-9
SMOOTHING = 0.5  # rows added to each cell of a reference, which an empty cell must not rule out

JOINT = pair_name("", "")

Table = Sequence[float]  # cells row by row
Shape = tuple[int, int]  # rows, columns


@dataclass(frozen=True)
class Layout:
    """Which quarters are kept apart: each must hold enough rows for every cell to be expected to hold some."""

    first: tuple[int, ...]
    second: tuple[int, ...]

    @property
    def shape(self) -> Shape:
        """Rows and columns that are left."""
        return max(self.first) + 1, max(self.second) + 1

    @property
    def free(self) -> int:
        """Degrees of freedom of an association."""
        rows, columns = self.shape
        return (rows - 1) * (columns - 1)

    def merged(self, cells: Sequence[float]) -> list[float]:
        """The sixteen cells as a table of this layout."""
        rows, columns = self.shape
        found = [0.0] * (rows * columns)
        for place, count in enumerate(cells):
            row, column = divmod(place, QUARTERS)
            found[self.first[row] * columns + self.second[column]] += count
        return found

    def spread(self, scores: Table) -> list[float]:
        """Scores of this layout's cells for each of the sixteen."""
        columns = self.shape[1]
        return [scores[row * columns + column] for row in self.first for column in self.second]


def members(name: str) -> tuple[str, ...]:
    """The features of a series: both of a pair, or the series itself."""
    return tuple(name.split(JOINT)) if JOINT in name else (name,)


def layout(cells: Sequence[int], rows: int) -> Layout:
    """The layout for windows of ``rows`` rows that are spread like ``cells``."""
    least = sqrt(MIN_EXPECTED / max(1, rows)) * sum(cells)
    first, second = margins(cells, (QUARTERS, QUARTERS))
    return Layout(neighbours(first, least), neighbours(second, least))


def margins(table: Table, shape: Shape) -> tuple[list[float], list[float]]:
    """Sums of the rows and of the columns."""
    rows, columns = shape
    return (
        [sum(table[row * columns : (row + 1) * columns]) for row in range(rows)],
        [sum(table[column::columns]) for column in range(columns)],
    )


def raked(table: Table, like: Table, shape: Shape) -> list[float]:
    """``table`` with the margins of ``like`` and odds ratios of its own; every cell of it is above 0."""
    rows, columns = shape
    first, second = margins(like, shape)
    found = list(table)
    for _ in range(ROUNDS):
        for row in range(rows):
            part = slice(row * columns, (row + 1) * columns)
            factor = first[row] / (sum(found[part]) or 1.0)
            found[part] = [cell * factor for cell in found[part]]
        off = 0.0
        for column in range(columns):
            part = slice(column, None, columns)
            held = sum(found[part]) or 1.0
            off = max(off, abs(held - second[column]))
            found[part] = [cell * second[column] / held for cell in found[part]]
        if off < CLOSE:
            break
    return found


def centred(scores: Table, table: Table, shape: Shape) -> list[float]:
    """The part of ``scores`` that no change of a margin of ``table`` moves."""
    rows, columns = shape
    found, weights = list(scores), margins(table, shape)
    for _ in range(ROUNDS):
        off = 0.0
        for row in range(rows):
            part = slice(row * columns, (row + 1) * columns)
            mean = sumprod(found[part], table[part]) / (weights[0][row] or 1.0)
            found[part] = [score - mean for score in found[part]]
        for column in range(columns):
            part = slice(column, None, columns)
            mean = sumprod(found[part], table[part]) / (weights[1][column] or 1.0)
            off = max(off, abs(mean))
            found[part] = [score - mean for score in found[part]]
        if off < CLOSE:
            break
    return found


def trend(table: Table, shape: Shape) -> list[float]:
    """How much a row in each cell speaks for "high with high, low with low"; mean 0 and variance 1."""
    first, second = margins(table, shape)
    return _unit(centred([a * b for a in normal_scores(first) for b in normal_scores(second)], table, shape), table)


def directions(table: Table, shape: Shape) -> list[list[float]]:
    """All ways an association can change, uncorrelated in ``table``, each with variance 1; the trend first."""
    rows, columns = shape
    cells = [(row, column) for row in range(rows - 1) for column in range(columns - 1)]
    found = [trend(table, shape)]
    for row, column in cells[:-1]:
        marked = [float(place == row * columns + column) for place in range(rows * columns)]
        rest = centred(marked, table, shape)
        for one in found:
            share = sumprod([a * b for a, b in zip(rest, one, strict=True)], table)
            rest = [a - share * b for a, b in zip(rest, one, strict=True)]
        found.append(_unit(rest, table))
    return found


def shares(cells: Sequence[float], smoothing: float = 0.0) -> list[float]:
    """The cells as shares of all."""
    total = sum(cells) + smoothing * len(cells)
    return [(count + smoothing) / total for count in cells]


def _unit(scores: list[float], table: Table) -> list[float]:
    size = sqrt(sumprod([score * score for score in scores], table))
    return [score / size for score in scores] if size > CLOSE else [0.0] * len(scores)
