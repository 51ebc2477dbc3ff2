"""Logged requests joined with the labels that have come."""

import itertools
import json
import math
from datetime import timedelta
from typing import Any

import pytest

from gcp.warehouse import BigQueryWarehouse
from retraining.modelspec import ModelSpec
from tests.contract.rows import Row, Tables
from tests.contract.specs import NOW, spec

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
LOGS = itertools.count(1)
REQUESTS = itertools.count(1)
CHAMPION, CHALLENGER = "1000000001", "1000000002"


def logged(model: str, answers: dict[str, Any], at: Any = NOW - HOUR, **changes: Any) -> Row:
    """One request of several instances, flight id → answer."""
    instances = [json.dumps({"flight_id": key, "delay": 3.5}) for key in answers]
    predictions = [answer if isinstance(answer, str) else json.dumps(answer) for answer in answers.values()]
    row = {"endpoint": "e", "deployed_model_id": model, "logging_time": at, "request_id": next(REQUESTS)}
    return row | {"request_payload": instances, "response_payload": predictions} | changes


def setup(tables: Tables, log: list[Row], labels: dict[str, Any], task: str = "binary", **types: str) -> ModelSpec:
    """A model whose endpoint logged ``log`` and whose table holds ``labels``, flight id → label; they are due after
    half an hour."""
    rows = [{"flight_id": key, "departure": NOW - 2 * HOUR, "ontime": label} for key, label in labels.items()]
    endpoint = f"web-{next(LOGS)}"
    tables.log(f"{endpoint.replace('-', '_')}_requests", log)
    return soon(spec(tables.source(rows, **types), task, endpoint=endpoint))


def soon(model: ModelSpec) -> ModelSpec:
    """The model with labels that are due after half an hour."""
    return model.model_copy(update={"source": model.source.model_copy(update={"label_delay": HOUR / 2})})


def test_rows_are_counted_by_deployed_model(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """Instances count, not requests; the newest logging time is kept."""
    log = [
        logged(CHAMPION, {"a": {"score": 0.25}, "b": {"score": 0.75}}),
        logged(CHALLENGER, {"c": {"score": 0.5}}, at=NOW - 2 * HOUR),
    ]

    arms = warehouse.arms(setup(tables, log, {}), NOW - DAY, NOW)

    assert arms[CHAMPION].rows == 2
    assert arms[CHAMPION].mean_score == pytest.approx(0.5)
    assert arms[CHAMPION].last_at == NOW - HOUR
    assert arms[CHALLENGER].rows == 1


def test_only_requests_of_the_window_count(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """The first moment belongs to the window, the last does not."""
    log = [logged(CHAMPION, {key: {"score": 0.5}}, at=at) for key, at in (("a", NOW - DAY), ("b", NOW))]

    arms = warehouse.arms(setup(tables, log, {}), NOW - DAY, NOW)

    assert arms[CHAMPION].rows == 1


def test_the_loss_of_a_binary_model_is_its_log_loss(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """Summed over rows whose label has come, with its squares."""
    log = [logged(CHAMPION, {"a": {"score": 0.8}, "b": {"score": 0.3}, "c": {"score": 0.9}})]

    arm = warehouse.arms(setup(tables, log, {"a": 1, "b": 0, "c": None}), NOW - DAY, NOW)[CHAMPION]

    losses = [-math.log(0.8), -math.log(0.7)]
    assert arm.labelled == 2
    assert arm.loss_sum == pytest.approx(sum(losses))
    assert arm.loss_sq_sum == pytest.approx(sum(loss**2 for loss in losses))


def test_one_sure_mistake_has_a_bounded_loss(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """Probabilities are clipped at 1e-7."""
    log = [logged(CHAMPION, {"a": {"score": 0}})]

    arm = warehouse.arms(setup(tables, log, {"a": 1}), NOW - DAY, NOW)[CHAMPION]

    assert arm.loss_sum == pytest.approx(-math.log(1e-7))


def test_a_boolean_label_is_understood(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """TRUE is the positive class."""
    log = [logged(CHAMPION, {"a": {"score": 0.8}})]

    arm = warehouse.arms(setup(tables, log, {"a": True}, ontime="BOOL"), NOW - DAY, NOW)[CHAMPION]

    assert arm.loss_sum == pytest.approx(-math.log(0.8))


@pytest.mark.parametrize(
    "answer",
    [
        '{"score": NaN}',
        '{"score": Infinity}',
        '{"score": 1.5}',
        '{"score": null}',
        '{"value": 1}',
        "not JSON",
        "[0.5]",
    ],
)
def test_an_unsound_answer_is_invalid_and_has_no_loss(
    warehouse: BigQueryWarehouse, tables: Tables, answer: str
) -> None:
    """What is no probability is counted apart and spoils no mean."""
    log = [logged(CHAMPION, {"a": answer, "b": {"score": 0.5}})]

    arm = warehouse.arms(setup(tables, log, {"a": 1, "b": 1}), NOW - DAY, NOW)[CHAMPION]

    assert (arm.rows, arm.invalid, arm.labelled) == (2, 1, 1)
    assert arm.mean_score == pytest.approx(0.5)
    assert arm.loss_sum == pytest.approx(math.log(2))


def test_a_key_counts_once_per_deployed_model(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """A request that was sent again adds nothing, its first answer stands; another model's answer is its own."""
    log = [
        logged(CHAMPION, {"a": {"score": 0.5}}, at=NOW - 3 * HOUR),
        logged(CHAMPION, {"a": {"score": 0.9}}, at=NOW - 2 * HOUR),
        logged(CHALLENGER, {"a": {"score": 0.7}}),
    ]

    arms = warehouse.arms(setup(tables, log, {"a": 1}), NOW - DAY, NOW)

    assert (arms[CHAMPION].rows, arms[CHAMPION].mean_score) == (1, 0.5)
    assert (arms[CHALLENGER].rows, arms[CHALLENGER].labelled) == (1, 1)


def test_requests_without_a_key_all_count(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """They can never meet a label, but they were answered."""
    payload = {"request_payload": ['{"delay": 1}', '{"delay": 1}'], "response_payload": ['{"score": 0.5}'] * 2}
    log = [logged(CHAMPION, {}, **payload)]

    arm = warehouse.arms(setup(tables, log, {"a": 1}), NOW - DAY, NOW)[CHAMPION]

    assert (arm.rows, arm.labelled) == (2, 0)


def test_a_label_that_is_there_twice_counts_once(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """Duplicates in the source table do not multiply losses."""
    model = setup(tables, [logged(CHAMPION, {"a": {"score": 0.5}})], {"a": 1})
    tables.client.query(
        f"INSERT INTO {model.source.table} (flight_id, departure, ontime) "
        "VALUES ('a', TIMESTAMP '2013-06-09 23:00:00', 1)"
    ).result()

    arm = warehouse.arms(model, NOW - DAY, NOW)[CHAMPION]

    assert (arm.rows, arm.labelled) == (1, 1)


def test_keys_may_be_numbers(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """A key of digits matches whether JSON quotes it or not."""
    request = {"request_payload": ['{"flight_id": 7}'], "response_payload": ['{"score": 0.5}']}
    rows = [{"flight_id": 7, "departure": NOW - 2 * HOUR, "ontime": 1}]
    tables.log("numbers_requests", [logged(CHAMPION, {}, **request)])

    model = soon(spec(tables.source(rows, flight_id="INT64"), endpoint="numbers"))

    assert warehouse.arms(model, NOW - DAY, NOW)[CHAMPION].labelled == 1


def test_the_loss_of_a_regression_is_the_squared_error(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """Any finite value is sound."""
    log = [logged(CHAMPION, {"a": {"value": 12.0}, "b": {"value": -3.0}, "c": '{"value": NaN}'})]
    labels = {"a": 10.0, "b": 0.0, "c": 1.0}

    arm = warehouse.arms(setup(tables, log, labels, "regression", ontime="FLOAT64"), NOW - DAY, NOW)[CHAMPION]

    assert (arm.rows, arm.invalid, arm.labelled) == (3, 1, 2)
    assert arm.mean_score == pytest.approx(4.5)
    assert arm.loss_sum == pytest.approx(13)
    assert arm.loss_sq_sum == pytest.approx(97)


def test_the_loss_of_classes_is_that_of_the_true_one(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """Classes come with the answer, in its order; a class the model does not know costs the most."""
    classes = {"classes": ["early", "late", "never"]}
    log = [
        logged(
            CHAMPION,
            {
                "a": classes | {"scores": [0.1, 0.7, 0.2]},
                "b": classes | {"scores": [0.6, 0.3, 0.1]},
                "c": classes | {"scores": [0.5, 0.4, 0.1]},
                "d": classes | {"scores": [0.5, 0.5]},
            },
        )
    ]
    labels = {"a": "late", "b": "never", "c": "unheard-of", "d": "late"}

    arm = warehouse.arms(setup(tables, log, labels, "multiclass", ontime="STRING"), NOW - DAY, NOW)[CHAMPION]

    assert (arm.rows, arm.invalid, arm.labelled) == (4, 1, 3)
    assert arm.mean_score == pytest.approx((0.7 + 0.6 + 0.5) / 3)
    assert arm.loss_sum == pytest.approx(-math.log(0.7) - math.log(0.1) - math.log(1e-7))


def test_a_label_counts_only_when_it_was_due(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """One that came early is no fair sample: rows are judged when their label has had its time."""
    log = [
        logged(CHAMPION, {"a": {"score": 0.5}, "b": {"score": 0.5}}, at=NOW - HOUR),
        logged(CHAMPION, {"c": {"score": 0.5}}, at=NOW - HOUR / 4),
        logged(CHAMPION, {"d": "not JSON"}),
    ]

    arm = warehouse.arms(setup(tables, log, {"a": 1, "c": 1, "d": 1}), NOW - DAY, NOW)[CHAMPION]

    assert (arm.rows, arm.due, arm.labelled) == (4, 2, 1)
    assert arm.loss_sum == pytest.approx(math.log(2))


def test_requests_are_counted_as_they_came(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """Instances do not count, and what was sent again does: the split draws requests."""
    log = [
        logged(CHAMPION, {"a": {"score": 0.5}, "b": {"score": 0.5}}),
        logged(CHAMPION, {"a": {"score": 0.5}}),
        logged(CHALLENGER, {"a": {"score": 0.5}}),
    ]

    arms = warehouse.arms(setup(tables, log, {}), NOW - DAY, NOW)

    assert {name: (arm.requests, arm.rows) for name, arm in arms.items()} == {CHAMPION: (2, 2), CHALLENGER: (1, 1)}
