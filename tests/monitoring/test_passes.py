"""One pass over a log serves all models in it, in both formats, within the bytes that the model files allow."""

import json
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from gcp.drift_log import DriftStatements
from monitoring.baseline import definitions
from monitoring.log import DriftLog, Pass, Subject
from monitoring.passes import together
from monitoring.tables import Value, text
from retraining.errors import Refused
from retraining.modelspec import ModelSpec
from tests.monitoring.traffic import MONDAY, Traffic, baseline, raw, request, spec

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
GOOD: dict[str, Any] = {"delay": 5, "hour": 12, "weekend": False, "carrier": "AA"}


class Meter:
    """Statements on the way to a server, or to none, counted by purpose."""

    def __init__(self, inner: DriftStatements | None = None, gigabytes: float = 0.0, fresh: int = 0) -> None:
        self.inner = inner
        self.gigabytes = gigabytes
        self.fresh = fresh  # without a server: so many logs have new rows
        self.asked: Counter[str] = Counter()
        self.limits: list[int | None] = []

    def rows(
        self, text: str, parameters: Mapping[str, Value], purpose: str, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """See Statements."""
        self.asked[purpose] += 1
        self.limits.append(limit)
        if self.inner is not None:
            return self.inner.rows(text, parameters, purpose, limit)
        places = text.count("FROM `") if purpose == "drift-waiting" else 0
        found = [{"place": place, "deployed_model_id": "1"} for place in range(min(places, self.fresh))]
        self.fresh -= len(found)
        return found

    def estimate(self, text: str, parameters: Mapping[str, Value], purpose: str) -> int:
        """See Statements."""
        self.asked["estimate"] += 1
        told = self.inner.estimate(text, parameters, purpose) if self.inner else 0
        return told or int(self.gigabytes * 1e9)


def _model(name: str, **log: Any) -> ModelSpec:
    return ModelSpec.model_validate(spec(name).model_dump(mode="json", by_alias=True) | {"log": log})


def _pass(model: ModelSpec, deployed: str = "1", run: str = "run-1") -> Pass:
    made = baseline(run).but(pairs={"delay × hour": (50,) * 16})
    return Pass(Subject(model, deployed, definitions(model, made)), MONDAY, MONDAY + DAY)


def _counts(log: DriftLog, one: Pass) -> dict[str, tuple[int, ...]]:
    kept = log.read(one.subject, one.start, one.end).windows
    return {name: counts.cells for name, counts in kept.get(MONDAY, {}).items()}


def test_models_that_share_a_log_are_counted_in_one_pass(statements: DriftStatements, traffic: Traffic) -> None:
    """Twelve models, two deployed models with rows: one statement asks, one counts, and each has its own counts."""
    models = [_model(f"shared-{place}", table="retraining.all_requests") for place in range(12)]
    rows = [request(MONDAY, [GOOD] * 2, deployed="d3"), request(MONDAY, [{**GOOD, "delay": 15}], deployed="d7")]
    traffic.append("all_requests", [*rows, request(MONDAY + DAY, [GOOD], deployed="d5")])
    meter = Meter(statements)
    log = DriftLog(meter, "local", "retraining")
    passes = [_pass(model, f"d{place}") for place, model in enumerate(models)]
    failed = log.count_all(passes)

    assert failed == {}
    assert meter.asked == {"drift-waiting": 1, "drift-count": 1, "estimate": 1}
    assert [place for place, one in enumerate(passes) if _counts(log, one)] == [3, 7]
    assert [_counts(log, passes[place])["delay"] for place in (3, 7)] == [(0, 2, 0, 0), (0, 0, 1, 0)]


def test_pairs_are_counted_from_the_cells_of_their_members(statements: DriftStatements, traffic: Traffic) -> None:
    """Delay 5 is in its second quarter, hour 12 in its second; a row without an hour has no cell."""
    model = _model("paired")
    traffic.log(model, [request(MONDAY, [GOOD, GOOD, {**GOOD, "hour": None}])])
    log = DriftLog(statements, "local", "retraining")
    one = _pass(model)
    log.count(one.subject, one.start, one.end)
    pair = log.read(one.subject, MONDAY, MONDAY + DAY).windows[MONDAY]["delay × hour"]

    assert {cell: n for cell, n in enumerate(pair.cells) if n} == {4 * 1 + 1: 2}
    assert (pair.n, pair.n_null) == (3, 1)


def test_a_log_that_is_missing_holds_nobody_up(statements: DriftStatements, traffic: Traffic) -> None:
    """Its model is named with the reason; the others are counted."""
    models = [_model(f"some-{place}") for place in range(5)]
    for place in (0, 1, 3, 4):
        traffic.log(models[place], [request(MONDAY, [GOOD])])
    log = DriftLog(statements, "local", "retraining")
    passes = [_pass(model) for model in models]
    failed = log.count_all(passes)

    assert list(failed) == ["some-2"]
    assert [bool(_counts(log, one)) for one in passes] == [True, True, False, True, True]


def test_a_thousand_endpoints_cost_what_is_new() -> None:
    """Logs of their own, seven with new rows: five statements ask, seven count."""
    meter = Meter(fresh=7)
    failed = DriftLog(meter, "local", "retraining").count_all(_pass(_model(f"own-{n}")) for n in range(1000))

    assert failed == {}
    assert meter.asked == {"drift-waiting": 5, "drift-count": 7, "estimate": 7}


def test_a_thousand_models_of_one_log_need_few_passes() -> None:
    """Equal model files share their part of the text; only the parameters' size divides them."""
    cells = _pass(_model("any"))
    models = [_model(f"one-{n}", table="logs.requests") for n in range(1000)]
    found = list(
        together(
            Pass(Subject(m, str(n), cells.subject.definitions), MONDAY, MONDAY + DAY) for n, m in enumerate(models)
        )
    )

    assert len(found) == 1
    assert len(found[0].parts["inputs"]) < 2000


def test_one_deployed_model_is_counted_once_in_a_pass() -> None:
    """Two sets of cells for the same rows need two passes."""
    model = _model("twice", table="logs.requests")

    assert len(list(together([_pass(model), _pass(model, run="run-2"), _pass(model, deployed="2")]))) == 2


def test_the_older_log_is_read_where_the_model_file_says_so(statements: DriftStatements, traffic: Traffic) -> None:
    """Instances and predictions are lists in text; what was logged twice counts once, what failed has no answer."""
    model = _model("older", table="retraining.older_log", format="ai_platform")
    once = raw(MONDAY + HOUR, [GOOD, {**GOOD, "delay": 15}], [{"score": 0.7}, {"score": 0.2}])
    alone = {**raw(MONDAY + HOUR, [], None), "raw_data": json.dumps({**GOOD, "delay": 25})}
    rows = [once, once, raw(MONDAY + 2 * HOUR, [GOOD], None), raw(MONDAY, [GOOD], None, version="2"), alone]
    traffic.append("older_log", rows, form="ai_platform")
    log = DriftLog(statements, "local", "retraining")
    one = _pass(model)
    log.count(one.subject, one.start, one.end)
    found = log.read(one.subject, MONDAY, MONDAY + DAY).windows[MONDAY]

    assert found["delay"].cells == (0, 2, 1, 1)
    assert (found["(prediction)"].cells, found["(prediction)"].n_null) == ((1, 1), 2)


def test_sampled_rows_stand_for_more_requests(statements: DriftStatements, traffic: Traffic) -> None:
    """Of a log with every fourth request three rows stand for twelve; tests still see three."""
    model = _model("sampled", sampling_rate=0.25)
    traffic.log(model, [request(MONDAY, [GOOD] * 3)])
    log = DriftLog(statements, "local", "retraining")
    one = _pass(model)
    log.count(one.subject, one.start, one.end)
    found = log.read(one.subject, MONDAY, MONDAY + DAY).windows[MONDAY]["delay"]

    assert (found.n, found.requests) == (3, 12)


def test_a_pass_that_would_read_too_much_is_refused_before_it_runs() -> None:
    """The error names the log, what it would read, what is allowed and where that is said."""
    meter = Meter(gigabytes=312.5)

    with pytest.raises(Refused, match=r"local\.retraining\.dear_web_requests.*312\.500 GB, expected at most 200 "):
        DriftLog(meter, "local", "retraining").count(_pass(_model("dear")).subject, MONDAY, MONDAY + DAY)
    assert meter.asked["drift-count"] == 0


def test_the_estimate_is_told_and_the_limit_travels_with_the_statement() -> None:
    """The server itself refuses to bill more than the model file allows."""
    meter, lines = Meter(gigabytes=1.25), list[str]()
    log = DriftLog(meter, "local", "retraining", lines.append)
    log.count(_pass(_model("told", max_gigabytes=3)).subject, MONDAY, MONDAY + DAY)

    assert lines == [
        "told: a pass over `local.retraining.told_web_requests` from 2026-03-02T00:00 to 2026-03-03T00:00 "
        "reads 1.250 GB"
    ]
    assert meter.limits == [3_000_000_000]


@pytest.mark.parametrize(("name", "column"), [("logged_vertex", "logging_time"), ("logged_ai_platform", "time")])
def test_partitions_are_chosen_by_bare_comparisons(name: str, column: str) -> None:
    """A function around the column, or a bound that is no parameter, would make BigQuery read every partition."""
    where = text(name).split("WHERE")[1].split("AND")

    assert [line.strip() for line in where[:2]] == [f"{column} >= @start", f"{column} < @end"]
    assert text("waiting").count("{at} >= @start") == text("waiting").count("{at} < @end") == 1


def test_the_log_is_read_once_in_a_pass() -> None:
    """A part of a statement that is named twice is computed twice, so the rows' way to the counts never forks."""
    steps = ("logged", "instance", "drawn", "valued", "long", "number", "whole", "told", "counted")
    words = text("count").replace("\n", " ").split()
    used = {
        step: sum(words[at + 1].strip(",") == step for at, word in enumerate(words) if word in ("FROM", "JOIN"))
        for step in steps
    }

    assert used == dict.fromkeys(steps, 1)
    assert [text("count").count(part) for part in ("{logged}", "{parser}(request)", "{parser}(response)")] == [
        1
    ] * 3
