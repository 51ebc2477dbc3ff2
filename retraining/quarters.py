"""How the cells of one series become quarters, so that two series together make a table of sixteen cells.

The trainer counts pairs of its rows with these quarters, the monitor those of the log; both must cut alike.
"""

from collections.abc import Sequence
from itertools import combinations

QUARTERS = 4
PAIR_CELLS = QUARTERS * QUARTERS
PAIRED = 10  # so many inputs, the most important ones, are looked at two by two


def quarters(counts: Sequence[int], *, ordered: bool) -> tuple[int, ...]:
    """Cell → quarter 0..3, so that each quarter holds about a fourth of the rows in ``counts``.

    Ordered cells (of a number) stay in order: a cell goes to the quarter in which its middle row lies. Others (of a
    category) go one by one, the largest first, to the quarter that holds least. Fewer than four cells with rows
    leave quarters empty. Without any rows everything is in quarter 0.
    """
    return _in_order(counts) if ordered else _balanced(counts)


def _in_order(counts: Sequence[int]) -> tuple[int, ...]:
    total, below, found = sum(counts), 0, []
    for count in counts:
        found.append(min(QUARTERS - 1, QUARTERS * (2 * below + count) // (2 * total)) if total else 0)
        below += count
    return tuple(found)


def _balanced(counts: Sequence[int]) -> tuple[int, ...]:
    found, held = [0] * len(counts), [0] * QUARTERS
    for cell in sorted(range(len(counts)), key=lambda cell: (-counts[cell], cell)):
        found[cell] = held.index(min(held))
        held[found[cell]] += counts[cell]
    return tuple(found)


def pair_name(first: str, second: str) -> str:
    """The name of the series that counts two inputs together."""
    return f"{first} × {second}"


def pairs(importance: Sequence[tuple[str, float]]) -> tuple[tuple[str, str], ...]:
    """Which inputs are looked at two by two: all pairs of the ten most important; of equals the earlier ones."""
    ranked = sorted(range(len(importance)), key=lambda place: (-importance[place][1], place))[:PAIRED]
    return tuple(combinations([importance[place][0] for place in sorted(ranked)], 2))
