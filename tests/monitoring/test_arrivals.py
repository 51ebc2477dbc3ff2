"""How rows arrived, from the pass that counts them."""

from datetime import timedelta
from typing import Any

import pytest

from gcp.drift_log import DriftStatements
from monitoring.arrivals import ARRIVALS, arrival
from monitoring.baseline import definitions
from monitoring.counts import Counts
from monitoring.feed import Arrival
from monitoring.log import DriftLog, Subject
from monitoring.pages import reigns
from retraining.modelspec import ModelSpec
from tests.monitoring.days import arrived
from tests.monitoring.traffic import MONDAY, Traffic, baseline, raw, request, spec

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
GOOD: dict[str, Any] = {"delay": 5, "hour": 12, "weekend": False, "carrier": "AA"}


def _subject(model: ModelSpec) -> Subject:
    return Subject(model, "1", definitions(model, baseline()))


def _placed(counts: Counts) -> dict[int, int]:
    return {cell: rows for cell, rows in enumerate(counts.cells) if rows}


@pytest.fixture
def log(statements: DriftStatements) -> DriftLog:
    return DriftLog(statements, "local", "retraining")


def test_rows_that_come_again_are_told(log: DriftLog, statements: DriftStatements, traffic: Traffic) -> None:
    """By key, or without one by request, within a window; with their hours, and names that nobody knows. Features
    count a request's copies once."""
    model = spec("arrivals")
    traffic.log(
        model,
        [
            request(MONDAY, [{"id": "a", **GOOD}, {"id": "b", **GOOD}]),
            request(MONDAY + HOUR, [{"id": "a", **GOOD, "trace": 1, "age": 2}]),
            request(MONDAY + 2 * HOUR, [GOOD, GOOD], request_id=900_001),
            request(MONDAY + 3 * HOUR, [GOOD, {**GOOD, "trace": 2}], request_id=900_001),
            request(MONDAY + 4 * HOUR, ["no json"]),
            request(MONDAY + 5 * HOUR, [GOOD], deployed="2"),
            request(MONDAY + 2 * DAY - timedelta(microseconds=1), [{"id": "a", **GOOD}]),
        ],
    )
    subject = _subject(model)
    log.count(subject, MONDAY, MONDAY + 3 * DAY)
    kept = log.read(subject, MONDAY, MONDAY + 3 * DAY)
    first, second, third = (kept.arrivals[MONDAY + n * DAY] for n in range(3))

    assert (_placed(first), first.n, first.n_unseen, first.n_high) == ({0: 2, 1: 1, 2: 2, 3: 2, 4: 1}, 8, 3, 2)
    assert (_placed(second), second.n, second.n_unseen, second.n_high) == ({23: 1}, 1, 0, 0)
    assert third.n == 0
    assert [kept.windows[MONDAY + n * DAY]["delay"].n for n in range(3)] == [6, 1, 0]
    assert ARRIVALS not in kept.windows[MONDAY]
    assert log.unknown_names(subject, MONDAY, MONDAY + DAY) == {"trace": 2, "age": 1}


def test_pages_see_features_alone(log: DriftLog, statements: DriftStatements, traffic: Traffic) -> None:
    """How rows arrived stands beside the features and is none of them."""
    model = spec("paged")
    traffic.log(model, [request(MONDAY, [GOOD])])
    log.count(_subject(model), MONDAY, MONDAY + DAY)
    (reign,) = reigns(statements, ("local", "retraining"), model, (MONDAY, MONDAY + DAY), lambda run: baseline(run))

    assert set(reign.windows[MONDAY]) == set(reign.definitions.features)


def test_hours_have_parts_too(log: DriftLog, traffic: Traffic) -> None:
    """An hour's parts are two and a half minutes long."""
    model = spec("arrivals-hourly", window="hour")
    at = [timedelta(minutes=2, seconds=29), timedelta(minutes=2, seconds=30), timedelta(minutes=59, seconds=59)]
    traffic.log(model, [request(MONDAY + HOUR + one, [GOOD]) for one in at])
    subject = _subject(model)
    log.count(subject, MONDAY, MONDAY + 2 * HOUR)

    assert _placed(log.read(subject, MONDAY, MONDAY + 2 * HOUR).arrivals[MONDAY + HOUR]) == {0: 1, 1: 1, 23: 1}


def test_the_older_log_tells_copies_and_keys(log: DriftLog, traffic: Traffic) -> None:
    """It has no number of a request: equal requests of one microsecond are copies, others go by their key."""
    model = spec("arrivals-older")
    plain = model.model_dump(mode="json", by_alias=True)
    plain["log"] = {"table": "retraining.older_arrivals", "format": "ai_platform"}
    model = ModelSpec.model_validate(plain)
    once = raw(MONDAY + HOUR, [GOOD, {**GOOD, "extra": 1}], None)
    keyed = [raw(MONDAY + n * HOUR, [{"id": "a", **GOOD}], [{"score": 0.5}]) for n in (7, 9)]
    traffic.append("older_arrivals", [once, once, raw(MONDAY + 2 * HOUR, [GOOD], None), *keyed], "ai_platform")
    subject = _subject(model)
    log.count(subject, MONDAY, MONDAY + DAY)
    kept = log.read(subject, MONDAY, MONDAY + DAY)
    counts = kept.arrivals[MONDAY]

    assert (_placed(counts), counts.n_unseen, counts.n_high) == ({1: 4, 2: 1, 7: 1, 9: 1}, 3, 2)
    assert kept.windows[MONDAY]["delay"].n == 5
    assert log.unknown_names(subject, MONDAY, MONDAY + DAY) == {"extra": 2}


def test_volumes_are_of_requests() -> None:
    """Of every fourth request that is logged; the rest is of rows."""
    counts = Counts(240, 0, 0, 12, 0, 3, (10,) * 24, unlogged=720.0)

    assert arrival(MONDAY, DAY, counts) == Arrival(
        start=MONDAY, volume=960, rows=240, repeats=12, silence_s=327, unknown_rows=3
    )


@pytest.mark.parametrize(
    ("counts", "hours"),
    [
        (arrived(2400), 1 / 101),  # a hundred an hour until the end
        (arrived(24), 0.5),
        (arrived(2400, until=20), 4 + 1 / 121),
        (arrived(1, until=1), 23.5),
        (arrived(0), 24),
    ],
)
def test_silence_is_known_to_a_part_of_the_window(counts: Counts, hours: float) -> None:
    """From the last part with rows, in which they are taken to lie evenly."""
    assert arrival(MONDAY, DAY, counts).silence_s == round(hours * 3600)
