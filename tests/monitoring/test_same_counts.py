"""The trainer's arrays and the monitor's SQL reduce the same rows to the same integers, for every kind of value."""

import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from benchmarks.columns import count
from gcp.drift_log import DriftStatements
from monitoring.baseline import PREDICTION, Definitions, definitions
from monitoring.counts import Counts
from monitoring.log import DriftLog, Subject
from retraining.modelspec import ModelSpec
from tests.monitoring.traffic import MONDAY, Traffic, request, spec
from trainer.baseline import baseline
from trainer.data import Rows

ROWS = 600
DAY = timedelta(days=1)
LATIN = ["late", "again", "Öl", "12:30", "naïve", "ok", "OK", "gate-7", "…", "über", "🙂"]
OTHER = ["привет", "МИР", "нет", "你好", "日本の", "テキスト", "שלום"]
Row = dict[str, Any]


def _model() -> ModelSpec:
    plain = spec("contract").model_dump(mode="json", by_alias=True)
    plain["features"] = {
        "delay": {"type": "numeric", "importance": 3},
        "hour": {"type": "numeric"},
        "price": {"type": "numeric", "path": "fare.amounts[1]"},
        "weekend": {"type": "boolean"},
        "carrier": {"type": "categorical", "path": "fare.carrier"},
        "town": {"type": "categorical"},
        "comment": {"type": "text", "path": "note.text"},
        "booked": {"type": "timestamp"},
    }
    return ModelSpec.model_validate(plain)


def _rows() -> list[Row]:
    """Rows in which everything may be missing. Numbers are such as 32 bits hold."""
    draw = random.Random(7)

    def maybe(value: Any) -> Any:
        return None if draw.random() < 0.07 else value

    def one() -> Row:
        at = MONDAY + timedelta(microseconds=draw.randrange(86_400 * 10**6))
        words = " ".join(draw.choices(LATIN + OTHER, k=draw.randrange(6)))
        return {
            "at": at,
            "delay": maybe(draw.randrange(-4000, 9000) / 16),
            "hour": maybe(draw.randrange(24)),
            "price": maybe(draw.lognormvariate(0, 2) // 0.0625 * 0.0625),
            "weekend": maybe(draw.random() < 0.3),
            "carrier": maybe(draw.choice(["AA", "UA", "Lufthansa", "LOT", "é", "A'", "x"])),
            "town": maybe(f"town {int(draw.paretovariate(0.5)) % 90}"),
            "comment": maybe(words),
            "booked": maybe(at - timedelta(seconds=draw.lognormvariate(8, 4))),
            "score": draw.randrange(1000) / 1024,
        }

    return [one() for _ in range(ROWS)]


def _arrays(model: ModelSpec, rows: list[Row]) -> tuple[Rows, np.ndarray]:
    """The rows as the trainer reads them."""

    def numbers(name: str) -> np.ndarray:
        return np.array([np.nan if row[name] is None else row[name] for row in rows], np.float32)

    def texts(name: str) -> np.ndarray:
        return np.array([row[name] or "" for row in rows], dtype=object)

    def times(name: str) -> np.ndarray:
        return np.array([row[name] and row[name].replace(tzinfo=None) for row in rows], dtype="M8[us]")

    features = {name: texts(name) if f.type == "categorical" else numbers(name) for name, f in model.inputs.items()}
    watched = {"comment": texts("comment"), "booked": times("booked")}
    return Rows(features, np.zeros(len(rows)), times("at"), watched), numbers("score").astype(np.float64)


def _logged(row: Row) -> Row:
    booked: datetime | None = row["booked"]
    return {
        "delay": row["delay"],
        "hour": row["hour"],
        "fare": {"amounts": ["ignored", row["price"]], "carrier": row["carrier"]},
        "weekend": row["weekend"],
        "town": row["town"],
        "note": {"text": row["comment"]},
        "booked": booked and booked.isoformat(),
    }


@pytest.fixture(scope="module")
def made() -> tuple[ModelSpec, Definitions, list[Row]]:
    """The model, its cells as the trainer wrote them, and the rows."""
    model, rows = _model(), _rows()
    return model, definitions(model, baseline(model, "run-1", *_arrays(model, rows), [])), rows


@pytest.fixture(scope="module")
def counted(made: tuple[ModelSpec, Definitions, list[Row]], request: pytest.FixtureRequest) -> dict[str, Counts]:
    """The same rows, logged one by one and counted by SQL."""
    model, cells, rows = made
    warehouse = request.getfixturevalue("warehouse")
    _log(Traffic(warehouse.client), model, rows)
    log = DriftLog(DriftStatements(warehouse, "retraining"), "local", "retraining")
    subject = Subject(model, "1", cells)
    log.count(subject, MONDAY, MONDAY + DAY)
    return log.read(subject, MONDAY, MONDAY + DAY).windows[MONDAY]


def _log(traffic: Traffic, model: ModelSpec, rows: list[Row]) -> None:
    traffic.log(model, [request(row["at"], [_logged(row)], [{"score": row["score"]}]) for row in rows])


def test_every_series_has_the_same_counts(
    made: tuple[ModelSpec, Definitions, list[Row]], counted: dict[str, Counts]
) -> None:
    """Cells and missing values of numbers, categories, texts, times and the score."""
    expected = {
        name: (one.training.n, one.training.n_null, one.training.cells)
        for name, one in made[1].features.items()
        if one.kind != "pair"
    }
    found = {name: (counted[name].n, counted[name].n_null, counted[name].cells) for name in expected}

    assert found == expected
    assert {name for name in found if ":" in name} == {
        "comment:length",
        "comment:script",
        "comment:tokens",
        "booked:hour",
        "booked:weekday",
        "booked:age",
    }
    assert PREDICTION in found


def test_every_pair_has_the_same_counts(
    made: tuple[ModelSpec, Definitions, list[Row]], counted: dict[str, Counts]
) -> None:
    """Fifteen pairs of six inputs."""
    pairs = {name: one.training for name, one in made[1].features.items() if one.kind == "pair"}

    assert {name: counted[name].cells for name in pairs} == {name: one.cells for name, one in pairs.items()}
    assert {name: counted[name].n_null for name in pairs} == {name: one.n_null for name, one in pairs.items()}
    assert len(pairs) == 15


def test_nothing_that_training_had_is_new(
    made: tuple[ModelSpec, Definitions, list[Row]], counted: dict[str, Counts]
) -> None:
    """The very rows of training have no unseen value, none out of range, and none that cannot be read."""
    new = {name: (c.n_unseen, c.n_low, c.n_high, c.n_unparseable) for name, c in counted.items()}

    assert {name: one for name, one in new.items() if any(one)} == {}


def test_a_category_that_is_not_listed_is_new_among_many(
    made: tuple[ModelSpec, Definitions, list[Row]], counted: dict[str, Counts], warehouse: Any
) -> None:
    """Of two values without a cell of their own, the baseline knows all but one."""
    model, cells, rows = made
    town = cells.features["town"]
    one = replace(town, others=town.others[1:])
    log = DriftLog(DriftStatements(warehouse, "retraining"), "local", "retraining")
    subject = Subject(model, "1", Definitions("run-2", {"town": one}))
    log.count(subject, MONDAY, MONDAY + DAY)
    found = log.read(subject, MONDAY, MONDAY + DAY).windows[MONDAY]["town"]

    times = sum(row["town"] == town.others[0] for row in rows)
    assert (found.n_unseen, found.cells) == (times, counted["town"].cells)
    assert found == count(one, np.array([row["town"] for row in rows], dtype=object))
    assert (times > 0, town.complete, town.pooled) == (True, True, True)


def test_sums_agree(made: tuple[ModelSpec, Definitions, list[Row]], counted: dict[str, Counts]) -> None:
    """Sums and sums of squares, to the rounding of their order."""
    found = {name: (counted[name].sum, counted[name].sum_sq) for name in made[1].features}

    assert found == {
        name: pytest.approx((one.training.sum, one.training.sum_sq), rel=1e-9)
        for name, one in made[1].features.items()
    }
