"""Logged requests become counts: exact integers, from the statement that runs in the cloud."""

from datetime import timedelta
from typing import Any

import pytest

from gcp.drift_log import DriftStatements
from monitoring.baseline import PREDICTION, definitions
from monitoring.counts import Counts
from monitoring.log import DriftLog, Subject, Windows
from retraining.modelspec import ModelSpec
from tests.monitoring.traffic import MONDAY, Traffic, baseline, request, spec

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
GOOD: dict[str, Any] = {"id": "x", "delay": 5, "hour": 12, "weekend": False, "carrier": "AA"}


def _subject(model: ModelSpec, deployed: str = "1") -> Subject:
    return Subject(model, deployed, definitions(model, baseline(task=model.training.task)))


def _integers(counts: Counts) -> tuple[int, int, int, int, int, int, tuple[int, ...]]:
    return (
        counts.n,
        counts.n_null,
        counts.n_unparseable,
        counts.n_unseen,
        counts.n_low,
        counts.n_high,
        counts.cells,
    )


def _count(log: DriftLog, subject: Subject, days: int = 1) -> Windows:
    log.count(subject, MONDAY, MONDAY + days * DAY)
    return log.read(subject, MONDAY, MONDAY + days * DAY).windows


@pytest.fixture
def log(statements: DriftStatements) -> DriftLog:
    return DriftLog(statements, "local", "retraining")


@pytest.fixture(scope="module")
def model() -> ModelSpec:
    return spec("mixed")


@pytest.fixture
def day(log: DriftLog, model: ModelSpec, traffic: Traffic, request: pytest.FixtureRequest) -> dict[str, Counts]:
    """One window over rows of every kind; the log is filled once."""
    if not hasattr(request.module, "_filled"):
        request.module._filled = True
        traffic.log(model, _rows())
    return _count(log, _subject(model))[MONDAY]


def _rows() -> list[dict[str, Any]]:
    values = [
        GOOD,
        {**GOOD, "delay": 0, "hour": 18, "weekend": True, "carrier": "UA"},  # on an edge: the upper cell
        {**GOOD, "delay": -31, "hour": 7, "weekend": 1, "carrier": "ZZ"},  # below the range; unseen values
        {**GOOD, "delay": 61.5, "hour": "12.0", "weekend": "TRUE", "carrier": ""},  # above; text as number
        {**GOOD, "delay": None, "hour": "noon"},
        {"id": "x", "delay": "NaN", "hour": [12], "weekend": None, "carrier": {"code": "AA"}},
        "no json",
        "[1, 2]",
    ]
    answers = [{"score": s} for s in (0.5, 0.49, 1.2, -0.1)] + [{"score": "high"}, {}, "broken", {"score": None}]
    twice = request(MONDAY + 3 * HOUR, [GOOD], request_id=77)
    return [
        request(MONDAY, values, answers),
        request(MONDAY + 2 * HOUR, [GOOD, GOOD], [{"score": 0.9}]),  # one answer is missing
        twice,
        {**twice, "logging_time": (MONDAY + 3 * HOUR + timedelta(seconds=1)).isoformat()},
        request(MONDAY + HOUR, [GOOD] * 3, deployed="2"),
        request(MONDAY - timedelta(microseconds=1), [GOOD] * 5),
        request(MONDAY + DAY, [GOOD] * 7),
    ]


def test_numbers_fall_into_the_cells_between_the_edges(day: dict[str, Counts]) -> None:
    """Rows: 11. Missing: the null. Not a number: NaN, two broken payloads."""
    assert _integers(day["delay"]) == (11, 1, 3, 0, 1, 1, (1, 5, 0, 1))


def test_sums_are_over_the_numbers_alone(day: dict[str, Counts]) -> None:
    """Sum and sum of squares leave out what is missing or no number."""
    numbers = [5, 0, -31, 61.5, 5, 5, 5]

    assert (day["delay"].sum, day["delay"].sum_sq) == (sum(numbers), sum(x * x for x in numbers))


def test_a_number_that_no_training_row_had_is_unseen(day: dict[str, Counts]) -> None:
    """Hours were 6, 12 and 18 in training; 7 is unseen, text that reads as 12 is not."""
    assert _integers(day["hour"]) == (11, 0, 4, 1, 0, 0, (1, 5, 1))


def test_booleans_match_however_they_are_written(day: dict[str, Counts]) -> None:
    """1, true and TRUE are one value; null is missing."""
    assert _integers(day["weekend"]) == (11, 1, 2, 0, 0, 0, (5, 3, 0))


def test_a_category_that_no_training_row_had_is_unseen(day: dict[str, Counts]) -> None:
    """Empty text is missing; an unknown carrier and an object are unseen."""
    assert _integers(day["carrier"]) == (11, 1, 2, 2, 0, 0, (5, 1, 2))


def test_scores_are_counted_beside_the_features(day: dict[str, Counts]) -> None:
    """No answer and a null score are missing; text and broken JSON cannot be read."""
    assert _integers(day[PREDICTION]) == (11, 3, 2, 0, 1, 1, (2, 4))


def test_counting_again_changes_nothing(log: DriftLog, model: ModelSpec, day: dict[str, Counts]) -> None:
    """The second run finds the first one's rows."""
    again = _count(log, _subject(model))

    assert again == {MONDAY: day}


def test_late_rows_enter_when_the_window_is_counted_again(log: DriftLog, traffic: Traffic) -> None:
    """A row that arrives after the window was counted is found by the next pass over it."""
    model = spec("late")
    traffic.log(model, [request(MONDAY, [GOOD])])
    before = _count(log, _subject(model))[MONDAY]["carrier"]
    traffic.log(model, [request(MONDAY + 23 * HOUR, [{**GOOD, "carrier": "UA"}])])
    after = _count(log, _subject(model))[MONDAY]["carrier"]

    assert (before.cells, after.cells) == ((1, 0, 0), (1, 1, 0))


def test_each_window_is_counted_for_itself_and_empty_ones_are_kept(log: DriftLog, traffic: Traffic) -> None:
    """One pass over three days gives three windows; the day without requests has zeros."""
    model = spec("three")
    traffic.log(model, [request(MONDAY, [GOOD]), request(MONDAY + 2 * DAY, [GOOD, GOOD])])
    found = _count(log, _subject(model), days=3)

    assert [found[MONDAY + n * DAY]["delay"].cells for n in range(3)] == [(0, 1, 0, 0), (0, 0, 0, 0), (0, 2, 0, 0)]


def test_hours_can_be_windows(log: DriftLog, traffic: Traffic) -> None:
    """With windows of an hour a request counts in its own hour."""
    model = spec("hourly", window="hour")
    traffic.log(model, [request(MONDAY + HOUR, [GOOD])])
    found = _count(log, _subject(model))

    assert [start for start, features in sorted(found.items()) if features["delay"].n] == [MONDAY + HOUR]
    assert len(found) == 24


def test_deployed_models_are_kept_apart(log: DriftLog, model: ModelSpec, day: dict[str, Counts]) -> None:
    """The other deployed model answered three rows on that day."""
    other = _count(log, _subject(model, deployed="2"))[MONDAY]

    assert (day["delay"].n, other["delay"].n) == (11, 3)


def test_the_predicted_class_is_the_most_likely_one(log: DriftLog, traffic: Traffic) -> None:
    """Scores and classes are lists; a class that training never predicted is unseen."""
    model = spec("classes", task="multiclass")
    classes = {"classes": ["late", "ontime", "diverted"]}
    answers = [classes | {"scores": s} for s in ([0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.1, 0.8])]
    traffic.log(model, [request(MONDAY, [GOOD] * 3, answers)])
    found = _count(log, _subject(model))[MONDAY][PREDICTION]

    assert _integers(found) == (3, 0, 0, 1, 0, 0, (1, 1, 1))


def test_regression_counts_the_value(log: DriftLog, traffic: Traffic) -> None:
    """The answer of a regression is its value."""
    model = spec("values", task="regression")
    traffic.log(model, [request(MONDAY, [GOOD] * 2, [{"value": 0.2}, {"value": 3}])])
    found = _count(log, _subject(model))[MONDAY][PREDICTION]

    assert (found.cells, found.n_high) == ((1, 1), 1)


def test_cells_are_explained_once(log: DriftLog, statements: DriftStatements) -> None:
    """Defining twice keeps one row per feature, from which the edges can be read."""
    subject = _subject(spec("defined"))
    log.define(subject)
    log.define(subject)
    found = statements.rows(
        "SELECT feature, JSON_VALUE(definition, '$.edges[0]') AS edge FROM retraining.drift_baseline "
        "WHERE model = 'defined' ORDER BY feature",
        {},
        "look",
    )

    assert [(row["feature"], row["edge"]) for row in found if row["feature"] == "delay"] == [("delay", "0.0")]
    assert len(found) == 5


def test_numbers_that_training_rounded_to_32_bits_are_recognised(log: DriftLog, traffic: Traffic) -> None:
    """Training saw 40.6925 as 40.692501...; the log's 40.6925 is the same value, on the same side of the edge."""
    model = spec("rounded")
    made = baseline()
    rounded = made.features["hour"].but(
        edges=(40.69250106811523,), values=("30.5", "40.6925010681152"), counts=(1, 1)
    )
    subject = Subject(model, "1", definitions(model, made.but(features={**made.features, "hour": rounded})))
    traffic.log(model, [request(MONDAY, [{**GOOD, "hour": 40.6925}, {**GOOD, "hour": 40.69}])])
    found = _count(log, subject)[MONDAY]["hour"]

    assert (found.cells, found.n_unseen) == ((1, 1), 1)
