"""Cloud Monitoring's view of the local Vertex AI: what it answers, and what it refuses by name."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.servers.rpc import RpcError
from local.servers.vertex.errors import unimplemented
from local.servers.vertex.serving_metrics import ONLINE, ServingMetrics

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NAME = "projects/acme/locations/us-central1/endpoints/7"
CODES = ["metric.labels.deployed_model_id", "metric.labels.response_code"]


class Scene:
    """Counts under a clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOON
        self.metrics = ServingMetrics(lambda: self.now)

    def answer(self, endpoint: str = NAME) -> None:
        """One answer of a deployed model."""
        with self.metrics.answer(endpoint, "1"):
            pass

    def ask(self, **changes: Any) -> dict[str, Any]:
        """Codes of the endpoint within ten minutes of noon."""
        asked = {
            "filter": [f'metric.type = "{ONLINE}/response_count" AND resource.labels.endpoint_id = "7"'],
            "interval.startTime": [(NOON - 10 * MINUTE).isoformat()],
            "interval.endTime": [(NOON + 10 * MINUTE).isoformat()],
            "aggregation.perSeriesAligner": ["ALIGN_DELTA"],
            "aggregation.crossSeriesReducer": ["REDUCE_SUM"],
            "aggregation.groupByFields": CODES,
        }
        return self.metrics.time_series("acme", asked | changes)


@pytest.fixture
def scene() -> Scene:
    """Nothing was answered yet."""
    return Scene()


def counts(answer: dict[str, Any]) -> list[tuple[str, str]]:
    """Code and number of every series."""
    return [
        (one["metric"]["labels"]["response_code"], one["points"][0]["value"]["int64Value"])
        for one in answer.get("timeSeries", [])
    ]


def test_answers_are_added_up_over_the_window(scene: Scene) -> None:
    for _ in range(3):
        scene.answer()
        scene.now += MINUTE

    assert counts(scene.ask()) == [("200", "3")]
    assert counts(scene.ask(**{"interval.startTime": [(NOON + MINUTE).isoformat()]})) == [("200", "2")]


def test_an_error_counts_by_its_status(scene: Scene) -> None:
    """Whatever else is raised is an internal error."""
    for error in (unimplemented("this"), ValueError("that")):
        with pytest.raises(type(error)), scene.metrics.answer(NAME, "1"):
            raise error

    assert counts(scene.ask()) == [("500", "1"), ("501", "1")]


def test_an_endpoint_is_found_by_its_number_and_project(scene: Scene) -> None:
    scene.answer(NAME.replace("/7", "/77"))
    scene.answer(NAME.replace("acme", "other"))

    assert scene.ask() == {}


def test_what_is_older_than_six_weeks_is_forgotten(scene: Scene) -> None:
    scene.answer()
    scene.now += timedelta(weeks=7)
    scene.answer()

    assert scene.ask() == {}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"filter": []}, "filter: expected one value, got 0"),
        ({"filter": ["metric.type = starts_with('x')"]}, 'expected FIELD = "VALUE" joined by AND'),
        ({"filter": ['metric.type = "compute.googleapis.com/cpu"']}, "compute.googleapis.com/cpu"),
        ({"filter": [f'metric.type = "{ONLINE}/response_count" AND user_labels.x = "1"']}, "user_labels.x"),
        ({"aggregation.perSeriesAligner": ["ALIGN_RATE"]}, "ALIGN_RATE"),
        ({"aggregation.groupByFields": CODES[:1]}, "response_count"),
        ({"interval.startTime": ["yesterday"]}, "expected an RFC 3339 time, got 'yesterday'"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(scene: Scene, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RpcError) as refused:
        scene.ask(**changes)

    assert said in refused.value.message
