"""Answers meet their late labels: exact integers by prediction day, from the statement that runs in the cloud."""

import itertools
import json
import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.cloud.bigquery import LoadJobConfig, SchemaField

from gcp.bigquery import BigQuery
from gcp.drift_log import DriftStatements
from monitoring.baseline import definitions
from monitoring.labels import LabelLog, ensure
from monitoring.log import Subject
from monitoring.performance import MICRO, DayCounts, measure
from retraining.modelspec import ModelSpec
from tests.monitoring.traffic import MONDAY, Traffic, baseline, request, spec

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
LATER = MONDAY + 30 * DAY
SCHEMAS = Path(__file__).parents[2] / "terraform" / "tables"
_NUMBERS = itertools.count(1)
_TYPES = {"binary": "INT64", "multiclass": "STRING", "regression": "FLOAT64"}


@pytest.fixture
def labels(statements: DriftStatements) -> LabelLog:
    """The table is there, as Terraform leaves it."""
    ensure(statements, "local", "retraining")
    return LabelLog(statements, "local", "retraining")


class Desk:
    """One model with its log and its table of labels."""

    def __init__(self, warehouse: BigQuery, traffic: Traffic, task: str = "binary", by: Sequence[str] = ()) -> None:
        self._client, self._traffic, self._task = warehouse.client, traffic, task
        number = next(_NUMBERS)
        plain = spec(f"labels{number}", task=task)
        gate = plain.gate.model_copy(update={"slices": plain.gate.slices.model_copy(update={"by": tuple(by)})})
        source = plain.source.model_copy(update={"table": f"labels.facts_{number}"})
        self.model: ModelSpec = plain.model_copy(update={"gate": gate, "source": source})
        self.subject = Subject(self.model, "1", definitions(self.model, baseline(task=task)))
        self.label({})

    def answer(self, answers: dict[str, Any], at: datetime = MONDAY, **inputs: Any) -> None:
        """One request; key → answer."""
        instances = [{"id": key, "carrier": "AA", "weekend": False} | inputs for key in answers]
        self._traffic.log(self.model, [request(at, instances, list(answers.values()))])

    def label(self, labels: dict[str, Any], at: datetime = MONDAY) -> None:
        """Key → label, as facts of the source table."""
        schema = [SchemaField("id", "STRING"), SchemaField("at", "TIMESTAMP"), SchemaField("y", _TYPES[self._task])]
        rows = [{"id": key, "at": at.isoformat(), "y": value} for key, value in labels.items()]
        self._client.create_dataset("labels", exists_ok=True)
        name = f"local.{self.model.source.table}"
        if rows:
            config = LoadJobConfig(schema=schema)
            self._client.load_table_from_json(rows, name, job_config=config).result()
        else:
            self._client.query(f"CREATE TABLE `{name}` (id STRING, at TIMESTAMP, y {_TYPES[self._task]})").result()


def _counted(desk: Desk, labels: LabelLog, now: datetime = LATER, days: int = 1) -> list[DayCounts]:
    labels.join(desk.subject, MONDAY, MONDAY + days * DAY, now)
    return labels.days(desk.subject, MONDAY, MONDAY + days * DAY)


def test_answers_meet_their_labels(warehouse: BigQuery, traffic: Traffic, labels: LabelLog) -> None:
    """Two cells at the edge 0.5: rows, labels, right answers, and sums in millionths."""
    desk = Desk(warehouse, traffic)
    desk.answer({"a": {"score": 0.25}, "b": {"score": 0.75}, "c": {"score": 0.5}, "d": {"score": 0.9}})
    desk.label({"a": 1, "b": 1, "c": 0})
    (day,) = _counted(desk, labels)
    low, high = day.bins

    assert (low.answered, low.due, low.labelled, low.positive, low.correct) == (1, 1, 1, 1, 0)
    assert (high.answered, high.due, high.labelled, high.positive, high.correct) == (3, 3, 2, 1, 1)
    assert (low.score, high.score, low.label, high.label) == (250_000, 1_250_000, MICRO, MICRO)
    assert low.loss == round(-MICRO * math.log(0.25))
    assert high.loss == round(-MICRO * math.log(0.75)) + round(-MICRO * math.log(0.5))
    assert (low.error, low.error_sq) == (562_500, round(MICRO * 0.5625**2))


def test_counting_again_changes_nothing(warehouse: BigQuery, traffic: Traffic, labels: LabelLog) -> None:
    """The second run finds the first one's rows."""
    desk = Desk(warehouse, traffic, by=["carrier"])
    desk.answer({"a": {"score": 0.25}, "b": {"score": 0.75}})
    desk.label({"a": 1})
    first = _counted(desk, labels)

    assert _counted(desk, labels) == first


def test_a_late_label_changes_its_own_day_only(warehouse: BigQuery, traffic: Traffic, labels: LabelLog) -> None:
    """A label that came after ten days belongs to the day of the prediction."""
    desk = Desk(warehouse, traffic)
    for number in range(3):
        desk.answer({f"k{number}": {"score": 0.25}}, at=MONDAY + number * DAY)
    before = _counted(desk, labels, days=3)
    desk.label({"k1": 1}, at=MONDAY + DAY)
    after = _counted(desk, labels, days=3)

    assert [day.total.labelled for day in after] == [0, 1, 0]
    assert (after[0], after[2]) == (before[0], before[2])


def test_labels_count_only_where_they_are_due(warehouse: BigQuery, traffic: Traffic, labels: LabelLog) -> None:
    """Labels come within a day; six hours after the second request's the first alone is judged."""
    desk = Desk(warehouse, traffic)
    desk.answer({"a": {"score": 0.25}}, at=MONDAY)
    desk.answer({"b": {"score": 0.25}}, at=MONDAY + 20 * HOUR)
    desk.label({"a": 1, "b": 1})
    (day,) = _counted(desk, labels, now=MONDAY + 26 * HOUR)

    assert (day.total.answered, day.total.due, day.total.labelled) == (2, 1, 1)
    assert not day.is_mature(0.5)


def test_a_key_counts_once_a_day(warehouse: BigQuery, traffic: Traffic, labels: LabelLog) -> None:
    """The first answer of a day stands; requests without a key all count."""
    desk = Desk(warehouse, traffic)
    desk.answer({"a": {"score": 0.25}})
    desk.answer({"a": {"score": 0.75}}, at=MONDAY + HOUR)
    desk.answer({"x": {"score": 0.75}, "y": {"score": 0.75}}, at=MONDAY + HOUR, id=None)
    (day,) = _counted(desk, labels)

    assert [cell.answered for cell in day.bins] == [1, 2]


@pytest.mark.parametrize("answer", [{"score": 1.5}, {"score": None}, {}, "no json", {"score": "NaN"}])
def test_an_unsound_answer_is_counted_apart(
    warehouse: BigQuery, traffic: Traffic, labels: LabelLog, answer: Any
) -> None:
    """It has no cell, is not due and has no loss."""
    desk = Desk(warehouse, traffic)
    desk.answer({"a": answer, "b": {"score": 0.5}})
    desk.label({"a": 1, "b": 1})
    (day,) = _counted(desk, labels)

    assert (day.invalid, day.total.answered, day.total.due, day.total.labelled) == (1, 1, 1, 1)


def test_groups_are_counted_beside_the_whole(warehouse: BigQuery, traffic: Traffic, labels: LabelLog) -> None:
    """Listed values by name, the others and missing ones together; booleans however they are written."""
    desk = Desk(warehouse, traffic, by=["carrier", "weekend"])
    desk.answer({"a": {"score": 0.25}}, carrier="AA")
    desk.answer({"b": {"score": 0.75}}, carrier="ZZ", weekend=1)
    desk.answer({"c": {"score": 0.75}}, carrier=None, weekend="TRUE")
    found = {(day.column, day.value): day.total.answered for day in _counted(desk, labels)}

    assert found == {
        ("", ""): 3,
        ("carrier", "AA"): 1,
        ("carrier", "(other)"): 2,
        ("weekend", "false"): 1,
        ("weekend", "true"): 2,
    }


def test_classes_are_cells_of_their_own(warehouse: BigQuery, traffic: Traffic, labels: LabelLog) -> None:
    """The best class names the cell, its score is what was said; the loss is that of the true class."""
    desk = Desk(warehouse, traffic, task="multiclass")
    desk.answer(
        {
            "a": {"classes": ["late", "ontime"], "scores": [0.8, 0.2]},
            "b": {"classes": ["late", "ontime"], "scores": [0.3, 0.7]},
            "c": {"classes": ["early", "late"], "scores": [0.6, 0.4]},
        }
    )
    desk.label({"a": "late", "b": "late", "c": "nobody knows"})
    (day,) = _counted(desk, labels)

    assert [cell.answered for cell in day.bins] == [1, 1, 1]
    assert [cell.correct for cell in day.bins] == [1, 0, 0]
    assert day.bins[1].loss == round(-MICRO * math.log(0.3))
    assert day.bins[2].loss == round(-MICRO * math.log(1e-7))


def test_a_regression_has_squared_and_absolute_errors(
    warehouse: BigQuery, traffic: Traffic, labels: LabelLog
) -> None:
    """In units of the answers' spread; read back in those of the label."""
    desk = Desk(warehouse, traffic, task="regression")
    desk.answer({"a": {"value": 0.25}, "b": {"value": 0.75}, "c": {"value": 1e300}})
    desk.label({"a": 1.0, "b": 0.5, "c": 0.0})
    (day,) = _counted(desk, labels)
    unit = 10.0**day.power
    errors = [0.75, 0.25, 30 * unit]

    assert day.bins[0].error == round(MICRO * 0.75 / unit)
    assert measure("regression", day)["mae"].value == pytest.approx(sum(errors) / 3)
    assert measure("regression", day)["mse"].value == pytest.approx(sum(one**2 for one in errors) / 3)


def test_terraform_creates_the_table_that_the_code_uses(warehouse: BigQuery, labels: LabelLog) -> None:
    """Columns and modes of the schema file are those of the statement for one machine."""
    written = json.loads((SCHEMAS / "drift_performance.json").read_text(encoding="utf-8"))
    made = warehouse.client.get_table("local.retraining.drift_performance")

    assert [(one.name, one.mode) for one in made.schema] == [
        (one["name"], one["mode"]) for one in written["schema"]
    ]
