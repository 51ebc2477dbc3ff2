"""Counting the rows of a window beside ordinary earlier ones."""

import itertools
from datetime import timedelta
from typing import Any

import pytest

from gcp.warehouse import BigQueryWarehouse
from retraining.errors import Refused
from retraining.views import ColumnCounts, DataCounts
from tests.contract.rows import Row, Tables
from tests.contract.specs import NOW, spec

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
RUNS = itertools.count(1)
IDS = itertools.count(1)


def row(at: Any, **changes: Any) -> Row:
    """A sound row at this moment."""
    sound = {"flight_id": f"f{next(IDS)}", "departure": at, "ontime": 1}
    return sound | {"delay": 10.0, "weekend": False, "carrier": "AA"} | changes


def count(warehouse: BigQueryWarehouse, table: str, days: int = 1, **changes: Any) -> DataCounts:
    """The counts of the last ``days`` before NOW."""
    run = f"punctual-20130610-010000-{next(RUNS):04x}"
    return warehouse.count_data(spec(table, **changes), run, NOW - days * DAY, NOW)


def column(counts: DataCounts, name: str) -> ColumnCounts:
    """The counts of one column."""
    return next(item for item in counts.columns if item.name == name)


def test_rows_are_those_of_the_window(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """The first moment belongs to the window, the last does not."""
    rows = [row(NOW - DAY - HOUR), row(NOW - DAY), row(NOW - HOUR), row(NOW)]

    counts = count(warehouse, tables.source(rows))

    assert counts.rows == 2
    assert counts.newest == NOW - HOUR


def test_usual_rows_are_the_mean_over_the_same_weekday(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """A day is compared with the same day of four earlier weeks, and with no other day."""
    weeks = [
        row(NOW - week * 7 * DAY - HOUR) for week, copies in ((1, 4), (2, 2), (3, 4), (4, 2)) for _ in range(copies)
    ]
    others = [row(NOW - day * DAY - HOUR) for day in (1, 2, 3, 8, 35)]

    counts = count(warehouse, tables.source([*weeks, *others]))

    assert counts.usual_rows == 3.0


def test_empty_windows_say_nothing_about_what_is_usual(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """A table that began two weeks ago is compared with the weeks it has."""
    rows = [row(NOW - week * 7 * DAY - HOUR) for week in (0, 1, 2) for _ in range(5)]

    assert count(warehouse, tables.source(rows)).usual_rows == 5.0


def test_a_long_window_is_shifted_by_whole_weeks(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """Ten days are compared with ten days that lie two, four, six and eight weeks before."""
    rows = [row(NOW - day * DAY - HOUR) for day in range(10 + 8 * 7)]

    counts = count(warehouse, tables.source(rows), days=10)

    assert counts.rows == 10
    assert counts.usual_rows == 10.0


def test_no_history_is_zero_usual_rows(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """A new table has nothing to compare with."""
    counts = count(warehouse, tables.source([row(NOW - HOUR)]))

    assert counts.usual_rows == 0.0
    assert counts.usual_label_mean is None
    assert column(counts, "delay").usual_mean_abs is None


def test_an_empty_window_has_zero_of_everything(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """No rows at all is an answer, not an error."""
    counts = count(warehouse, tables.source([]))

    assert (counts.rows, counts.duplicates, counts.mature_rows, counts.labelled_rows) == (0, 0, 0, 0)
    assert counts.newest is None
    assert counts.label_mean is None


def test_every_copy_of_a_repeated_key_counts(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """Three rows of one key are three duplicates; a copy outside the window is none."""
    rows = [row(NOW - HOUR, flight_id="a") for _ in range(3)]
    rows += [row(NOW - HOUR, flight_id="b"), row(NOW - 3 * DAY, flight_id="b")]

    assert count(warehouse, tables.source(rows)).duplicates == 3


def test_labels_are_expected_after_their_delay_only(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """Rows younger than the label delay may lack their label."""
    rows = [row(NOW - HOUR, ontime=None), row(NOW - 2 * DAY, ontime=None), row(NOW - 2 * DAY, ontime=0)]

    counts = count(warehouse, tables.source(rows), days=3)

    assert counts.mature_rows == 2
    assert counts.labelled_rows == 1


def test_the_mean_label_stands_beside_the_usual_one(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """Means are over labelled rows."""
    fresh = [row(NOW - HOUR, ontime=value) for value in (1, 1, 0, 0, None)]
    usual = [row(NOW - 7 * DAY - HOUR, ontime=value) for value in (1, 1, 1, 0)]

    counts = count(warehouse, tables.source([*fresh, *usual]))

    assert counts.label_mean == pytest.approx(0.5)
    assert counts.usual_label_mean == pytest.approx(0.75)


def test_a_boolean_label_has_a_mean(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """TRUE counts as one."""
    rows = [row(NOW - HOUR, ontime=value) for value in (True, False, False, False)]

    assert count(warehouse, tables.source(rows, ontime="BOOL")).label_mean == pytest.approx(0.25)


def test_a_label_of_text_has_no_mean(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """Classes by name cannot be averaged."""
    table = tables.source([row(NOW - HOUR, ontime="late")], ontime="STRING")

    assert count(warehouse, table).label_mean is None


def test_columns_are_counted_in_the_file_s_order(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """Nulls, distinct values and types are those of the window."""
    rows = [row(NOW - HOUR, carrier=name) for name in ("AA", "UA", None)]

    counts = count(warehouse, tables.source(rows))

    assert [item.name for item in counts.columns] == ["delay", "weekend", "carrier"]
    assert [item.type for item in counts.columns] == ["FLOAT64", "BOOL", "STRING"]
    assert (column(counts, "carrier").nulls, column(counts, "carrier").distinct) == (1, 2)
    assert column(counts, "carrier").mean_abs is None


def test_sizes_show_a_change_of_unit(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """The mean size is over absolute values, fresh beside usual."""
    fresh = [row(NOW - HOUR, delay=value) for value in (-600.0, 600.0)]
    usual = [row(NOW - 7 * DAY - HOUR, delay=value) for value in (-10.0, 10.0, None)]

    delay = column(count(warehouse, tables.source([*fresh, *usual])), "delay")

    assert delay.mean_abs == pytest.approx(600)
    assert delay.usual_mean_abs == pytest.approx(10)
    assert delay.usual_nulls_share == pytest.approx(1 / 3)


def test_not_a_number_and_infinity_have_no_size(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """One such value does not hide all others."""
    table = tables.source([row(NOW - HOUR, delay=5.0)])
    for value in ("NaN", "inf"):
        tables.client.query(
            f"INSERT INTO {table} (flight_id, departure, delay) "
            f"VALUES ('{value}', TIMESTAMP '2013-06-09 23:00:00', CAST('{value}' AS FLOAT64))"
        ).result()

    assert column(count(warehouse, table), "delay").mean_abs == pytest.approx(5)


def test_the_same_question_of_a_run_is_one_job(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """Rows that come in between do not change the answer to a run's repeated question."""
    table = tables.source([row(NOW - HOUR)])
    model = spec(table)
    run = f"punctual-20130610-010000-{next(RUNS):04x}"
    first = warehouse.count_data(model, run, NOW - DAY, NOW)
    tables.client.query(
        f"INSERT INTO {table} (flight_id, departure) VALUES ('new', TIMESTAMP '2013-06-09 23:00:00')"
    ).result()

    assert warehouse.count_data(model, run, NOW - DAY, NOW) == first
    assert count(warehouse, table).rows == 2


def test_jobs_carry_our_labels_and_a_limit(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """Whoever watches BigQuery's jobs can tell ours, and each is bound in bytes."""
    run = f"punctual-20130610-010000-{next(RUNS):04x}"
    warehouse.count_data(spec(tables.source([row(NOW - HOUR)])), run, NOW - DAY, NOW)

    (job,) = [job for job in tables.client.list_jobs(max_results=50) if job.job_id.startswith(run)]

    assert job.labels == {"retrain-own": "true", "run_id": run, "purpose": "counts"}
    assert job.maximum_bytes_billed == 10**12


def test_a_missing_column_is_named_with_those_there(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """The message says what is missing and what could have been meant."""
    table = tables.source([row(NOW - HOUR)])
    features = {"delay": {"type": "numeric"}, "taxi_out": {"type": "numeric"}}

    with pytest.raises(Refused, match=r"no column taxi_out; it has flight_id, departure, ontime, delay"):
        count(warehouse, table, features=features)


def test_a_missing_table_is_named_with_those_there(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """The message lists the tables of the dataset."""
    there = tables.source([]).partition(".")[2]

    with pytest.raises(Refused, match=rf"flights\.histroy: not found; flights holds .*{there}"):
        count(warehouse, "flights.histroy")


def test_a_timestamp_of_another_type_is_refused(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """Windows need moments: a text that looks like one is not enough."""
    source = {"table": tables.source([]), "timestamp": "carrier", "key": "flight_id", "label": "ontime"}

    with pytest.raises(Refused, match=r"carrier of .*: expected TIMESTAMP, found STRING"):
        count(
            warehouse,
            source["table"],
            source=source | {"label_delay": "1d"},
            features={"delay": {"type": "numeric"}},
        )
