"""Quarters cut a series into four parts of about equal weight, alike for the trainer and the monitor."""

import numpy as np

from monitoring.baseline import define, define_pair
from retraining.quarters import pairs, quarters
from trainer.baseline import counted_pair
from trainer.baseline import numeric as numeric_baseline


def test_cells_of_a_number_stay_in_order() -> None:
    """Twenty equal cells make four quarters of five neighbours."""
    found = quarters([10] * 20, ordered=True)

    assert found == tuple(cell // 5 for cell in range(20))


def test_a_heavy_cell_lies_where_its_middle_row_lies() -> None:
    """A cell that holds most rows takes the quarter of the median; those above it fill the last."""
    found = quarters([5, 80, 5, 10], ordered=True)

    assert found == (0, 1, 3, 3)


def test_categories_are_spread_evenly() -> None:
    """The largest go first, each to the quarter that holds least."""
    found = quarters([40, 30, 20, 5, 5], ordered=False)

    assert found == (0, 1, 2, 3, 3)


def test_cells_without_rows_have_a_quarter() -> None:
    """What training never saw must still be counted somewhere."""
    found = quarters([0, 0, 0], ordered=True) + quarters([7, 0], ordered=False)

    assert set(found) <= {0, 1, 2, 3}


def test_the_ten_most_important_inputs_are_paired() -> None:
    """Of twelve inputs two are left out: the least important, and of equals the later one."""
    inputs = [("least", 0.5), *((f"x{place}", 1.0) for place in range(11))]
    found = pairs(inputs)

    assert len(found) == 45
    assert {name for pair in found for name in pair} == {f"x{place}" for place in range(10)}


def test_the_trainer_counts_pairs_of_its_rows() -> None:
    """Two equal columns fill the diagonal; a row that misses either is left out."""
    column = np.arange(1000, dtype=np.float32)
    holed = np.where(column < 100, np.nan, column).astype(np.float32)
    both = numeric_baseline(column), numeric_baseline(holed)
    found = counted_pair((column, holed), both)
    pair = define_pair(define("a", both[0]), define("b", both[1]), found)

    assert sum(found) == 900
    assert (pair.cells, pair.training.n, pair.training.n_null) == (16, 1000, 100)
    assert sum(found[4 * quarter + quarter] for quarter in range(4)) > 700
