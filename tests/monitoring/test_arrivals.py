"""How rows arrived, from the statement that runs in the cloud."""

from datetime import timedelta
from typing import Any

from gcp.drift_log import DriftStatements
from monitoring.arrivals import ArrivalLog
from monitoring.baseline import definitions
from monitoring.log import Subject
from tests.monitoring.traffic import MONDAY, Traffic, baseline, request, spec

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
GOOD: dict[str, Any] = {"delay": 5, "hour": 12, "weekend": False, "carrier": "AA"}


def test_rows_that_come_again_are_told(statements: DriftStatements, traffic: Traffic) -> None:
    """By key, or without one by request; the last row, and names that the model file does not know."""
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
            request(MONDAY + 2 * DAY, [{"id": "a", **GOOD}]),
        ],
    )
    subject = Subject(model, "1", definitions(model, baseline()))
    first, second = ArrivalLog(statements, "local", "retraining").arrivals(subject, MONDAY, MONDAY + 3 * DAY)

    assert (first.start, first.rows, first.volume, first.repeats) == (MONDAY, 8, 8, 3)
    assert first.silence_s == 20 * 3600
    assert first.unknown == {"trace": 2, "age": 1}
    assert (second.start, second.rows, second.repeats, second.unknown) == (MONDAY + 2 * DAY, 1, 0, {})
