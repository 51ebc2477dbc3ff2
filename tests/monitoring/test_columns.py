"""Arrays of every kind become counts without an error, and nothing is cried where nothing moved."""

from typing import Any

import numpy as np
import pytest

from benchmarks.adapters import drifting_features, is_drift
from benchmarks.columns import count, define_columns
from monitoring.judge import Rule, from_training, judge

Array = np.ndarray[Any, Any]
N = 400
RANDOM = np.random.default_rng(8)
COLUMNS: dict[str, tuple[Any, Array]] = {
    "objects with None": ("num", np.array([None, 1, 2.5, "3"] * 100, dtype=object)),
    "text among numbers": ("num", np.array(["1", "x", "", "2"] * 100)),
    "yes and no": ("num", np.array([True, False] * 200)),
    "huge whole numbers": ("num", np.array([2**70, 2**62, -1, 10**30] * 100, dtype=object)),
    "infinite": ("num", np.array([np.inf, -np.inf, 1.0, 2.0] * 100)),
    "constant": ("num", np.full(N, 7.0)),
    "all missing": ("num", np.full(N, np.nan)),
    "all None": ("cat", np.array([None] * N, dtype=object)),
    "times": ("num", np.arange(N).astype("datetime64[h]")),
    "times with gaps": ("cat", np.array(["2024-01-01", "NaT"] * 200, dtype="datetime64[D]")),
    "categories of any type": ("cat", np.array([1, "a", None, 2.0, True, np.nan, b"x", ("t",)] * 50, dtype=object)),
    "constant category": ("cat", np.array(["only"] * N)),
    "floats as categories": ("cat", np.array([1.0, 2.0, np.nan, 3.5] * 100)),
    "a new category each row": ("cat", np.array([f"id{n}" for n in range(N)])),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_the_same_values_are_no_drift(name: str) -> None:
    kind, column = COLUMNS[name]

    assert is_drift(column, RANDOM.permutation(column), kind, {"F": 30}) is False


OFFSET: dict[str, Any] = {
    "times of one hour": lambda random, n: 1.79e9 + random.random(n) * 3600,
    "a narrow bell": lambda random, n: random.normal(1e7, 1, n),
    "twenty whole numbers": lambda random, n: 10**9 + random.integers(0, 20, n),
    "three hundred whole numbers": lambda random, n: 10**9 + random.integers(0, 300, n),
    "at the limit of doubles": lambda random, n: 2**53 + random.integers(0, 6, n),
    "a hundred at the limit of doubles": lambda random, n: 2**53 + random.integers(0, 100, n),
}


@pytest.mark.parametrize("name", OFFSET)
def test_a_small_spread_on_a_large_offset_is_no_drift(name: str) -> None:
    random = np.random.default_rng(3)
    rows = OFFSET[name](random, 22_000)

    assert is_drift(rows[:20_000], rows[20_000:], "num", {"F": 30}) is False


@pytest.mark.parametrize("name", OFFSET)
def test_the_numbers_of_the_reference_fall_into_its_cells_again(name: str) -> None:
    """At most a twentieth of a cell's rows is counted beside it."""
    rows = OFFSET[name](np.random.default_rng(4), 20_000)
    definition = define_columns({"x": rows}, {"x": "num"}).features["x"]
    found = count(definition, rows)

    apart = [abs(here - there) for here, there in zip(found.cells, definition.training.cells, strict=True)]
    assert max(apart) <= max(definition.training.cells) / 20
    assert found.n_low + found.n_high + found.n_unseen == 0


@pytest.mark.parametrize("name", COLUMNS)
def test_an_empty_window_is_no_drift(name: str) -> None:
    kind, column = COLUMNS[name]

    assert is_drift(column, column[:0], kind, {"F": 30}) is False


@pytest.mark.parametrize("name", COLUMNS)
def test_an_empty_reference_says_nothing(name: str) -> None:
    kind, column = COLUMNS[name]

    assert is_drift(column[:0], column, kind, {"F": 30}) is False


@pytest.mark.parametrize("name", COLUMNS)
def test_every_row_is_counted_once(name: str) -> None:
    kind, column = COLUMNS[name]
    found = count(define_columns({"x": column}, {"x": kind}).features["x"], column)

    assert (found.n, found.n_null + found.n_unparseable + sum(found.cells)) == (N, N)


def test_three_is_the_same_category_as_a_float_and_as_a_whole_number() -> None:
    whole, floats = np.array([1, 2, 3] * 200), np.array([1.0, 2.0, 3.0, np.nan] * 150)
    found = count(define_columns({"x": whole}, {"x": "cat"}).features["x"], floats)

    assert (found.cells, found.n_null) == ((150, 150, 150, 0), 150)


def test_a_column_that_vanishes_is_missing() -> None:
    day = {"a": RANDOM.normal(size=N), "b": RANDOM.normal(size=N)}

    assert drifting_features([day, {"a": day["a"]}], {"a": "num", "b": "num"}, 1, [0]) == {"b"}


def test_a_column_that_appears_has_moved() -> None:
    day = {"a": RANDOM.normal(size=N), "b": RANDOM.normal(size=N)}

    assert drifting_features([{"a": day["a"]}, day], {"a": "num", "b": "num"}, 1, [0]) == {"b"}


def test_without_earlier_days_nothing_is_known_to_move() -> None:
    day = {"a": RANDOM.normal(size=N)}

    assert drifting_features([day], {"a": "num"}, 0, []) == set()


def test_a_day_without_rows_moves_nothing() -> None:
    day = {"a": RANDOM.normal(size=N), "c": np.array(["x", "y"] * 200)}
    empty = {name: column[:0] for name, column in day.items()}

    assert drifting_features([day, empty, day], {"a": "num", "c": "cat"}, 2, [0]) == set()


def test_ten_ordinary_days_teach_how_days_vary() -> None:
    """Six numbers whose level differs from day to day; a shift of six times that much is still seen."""
    random = np.random.default_rng(3)
    kinds: dict[str, Any] = {f"f{n}": "num" for n in range(6)}

    def day(shift: float = 0.0) -> dict[str, Array]:
        return {name: random.normal(random.normal(0, 0.05) + shift * (name == "f0"), 1, 8000) for name in kinds}

    days = [day() for _ in range(12)] + [day(0.3)]

    assert [drifting_features(days, kinds, d, range(10)) for d in (10, 11, 12)] == [set(), set(), {"f0"}]


def test_a_unit_error_in_a_few_rows_shows_as_values_that_training_never_saw() -> None:
    """Two hundred distances in miles; fifteen in a
    hundred rows come in kilometres."""
    random = np.random.default_rng(6)
    miles = np.arange(200) * 13.0 + 100
    usual, now = random.choice(miles, 20_000), random.choice(miles, 900)
    mixed = np.where(random.random(900) < 0.15, now * 1.609, now)
    made = define_columns({"x": usual}, {"x": "num"})
    found = judge(made, {"x": count(made.features["x"], mixed)}, from_training(made), Rule())[0]

    assert not is_drift(usual, now, "num", {"F": 30})
    assert (found.flagged, found.component) == (True, "unseen")


@pytest.mark.parametrize("dtype", [np.float64, object])
def test_a_day_that_is_changed_in_place_is_judged_anew(dtype: type) -> None:
    """Whether the arrays hold numbers or objects, the changed day moves and its like from before does not."""
    random = np.random.default_rng(5)
    days: list[dict[str, Array]] = [{"a": random.normal(size=2000).astype(dtype)} for _ in range(19)]
    before = drifting_features(days, {"a": "num"}, 18, range(14))
    days[18]["a"] += 1.5
    after = drifting_features(days, {"a": "num"}, 18, range(14))
    days[18]["a"] -= 1.5

    assert (before, after, drifting_features(days, {"a": "num"}, 18, range(14))) == (set(), {"a"}, set())


def test_ordinary_days_that_are_changed_in_place_are_learnt_anew() -> None:
    random = np.random.default_rng(6)
    days = [{"a": random.normal(size=2000)} for _ in range(15)]
    before = drifting_features(days, {"a": "num"}, 14, range(14))
    for day in days[:14]:
        day["a"] += 1.5

    assert (before, drifting_features(days, {"a": "num"}, 14, range(14))) == (set(), {"a"})


def test_an_unknown_kind_is_refused_by_name() -> None:
    rows: Any = np.ones(50)

    with pytest.raises(ValueError, match="expected kind 'num' or 'cat', got 'text'"):
        is_drift(rows, rows, "text", {"F": 1})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a: expected kind 'num' or 'cat', got 'text'"):
        drifting_features([{"a": rows}] * 2, {"a": "text"}, 1, [0])  # type: ignore[dict-item]


def test_columns_of_different_length_are_refused() -> None:
    days = [{"a": np.ones(50), "b": np.ones(50)}, {"a": np.ones(50), "b": np.ones(40)}]

    with pytest.raises(ValueError, match="day 1: b: expected 50 rows, as another column has, got 40"):
        drifting_features(days, {"a": "num", "b": "num"}, 1, [0])


@pytest.mark.parametrize("context", [{}, {"F": None}, None])
def test_without_a_number_of_features_it_is_one(context: Any) -> None:
    rows = np.random.default_rng(2).normal(size=2000)

    assert is_drift(rows, rows + 1, "num", context) is True
    assert is_drift(rows, rows, "num", context) is False


def test_a_feature_may_be_called_like_a_pair() -> None:
    random = np.random.default_rng(9)
    kinds: dict[str, Any] = {"a × b": "num", "a": "num", "b": "num"}
    days = [{name: random.normal(size=2000) for name in kinds} for _ in range(16)]
    days[15]["a × b"] += 1

    assert drifting_features(days, kinds, 15, range(14)) == {"a × b"}
