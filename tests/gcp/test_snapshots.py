"""Snapshots as training reads them: Parquet files in a bucket."""

import io
import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gcp.storage import connect
from gcp.warehouse import BigQueryWarehouse
from retraining.views import SnapshotView
from tests.contract.rows import Row, Tables
from tests.contract.specs import NOW, spec
from tests.gcp.conftest import BUCKET

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
RUNS = itertools.count(1)
DAYS = 90


def rows_of_days(label: Any = 1, **changes: Any) -> Iterator[Row]:
    """Three rows a day over 90 days, every third without a label."""
    for hour in range(0, DAYS * 24, 8):
        row = {
            "flight_id": f"f{hour}",
            "departure": NOW - HOUR - hour * HOUR,
            "ontime": label if hour % 24 else None,
        }
        yield row | {"delay": float(hour), "weekend": hour % 2 == 0, "carrier": "AA"} | changes


def take(warehouse: BigQueryWarehouse, table: str, task: str = "binary", **changes: Any) -> SnapshotView:
    """A snapshot before NOW, of a new run."""
    run = f"punctual-20130610-020000-{next(RUNS):04x}"
    return warehouse.snapshot(spec(table, task, **changes), run, NOW, f"gs://{BUCKET}/snapshots/{run}")


def read(address: str, taken: SnapshotView, part: str) -> pa.Table:
    """The rows of one part, as pyarrow reads its files."""
    bucket = connect("local", address).bucket(BUCKET)
    prefix = taken.uri.removeprefix(f"gs://{BUCKET}/")
    files = [blob.download_as_bytes() for blob in bucket.list_blobs(prefix=f"{prefix}/{part}-")]
    return pa.concat_tables(pq.read_table(io.BytesIO(file)) for file in files)


@pytest.fixture(scope="module")
def table(tables: Tables) -> str:
    """A table of ninety days."""
    return tables.source(list(rows_of_days()))


@pytest.fixture(scope="module")
def taken(warehouse: BigQueryWarehouse, table: str) -> SnapshotView:
    """A snapshot of it."""
    return take(warehouse, table)


def test_files_hold_as_many_rows_as_the_counts_say(taken: SnapshotView, gcs: str) -> None:
    """Each part is read back whole."""
    read_back = {part: read(gcs, taken, part).num_rows for part in ("train", "eval", "test")}

    assert read_back == taken.rows
    assert min(read_back.values()) > 0


def test_unlabelled_rows_are_never_exported(taken: SnapshotView, gcs: str) -> None:
    """No part holds a row without a label."""
    for part in taken.rows:
        assert read(gcs, taken, part)["ontime"].null_count == 0


def test_parts_keep_days_together(taken: SnapshotView, gcs: str) -> None:
    """No day has rows in two parts."""
    days = [{at.date() for at in read(gcs, taken, part)["departure"].to_pylist()} for part in taken.rows]

    assert not days[0] & days[1]
    assert not days[0] & days[2]
    assert not days[1] & days[2]


def test_train_reaches_back_to_the_window_and_test_is_fresh(taken: SnapshotView, gcs: str) -> None:
    """Training rows lie in the training window, test rows in the evaluation window."""
    train = read(gcs, taken, "train")["departure"].to_pylist()
    test = read(gcs, taken, "test")["departure"].to_pylist()

    assert NOW - 60 * DAY <= min(train) < NOW - 20 * DAY
    assert min(test) >= NOW - 20 * DAY
    assert max(*train, *test) < NOW


def test_columns_are_key_time_label_and_features_by_type(taken: SnapshotView, gcs: str) -> None:
    """Training meets the same types whatever the source table says."""
    schema = read(gcs, taken, "train").schema

    assert schema.names == ["flight_id", "departure", "ontime", "delay", "weekend", "carrier"]
    assert pa.types.is_string(schema.field("flight_id").type)
    assert pa.types.is_timestamp(schema.field("departure").type)
    assert pa.types.is_int64(schema.field("ontime").type)
    assert pa.types.is_float64(schema.field("delay").type)
    assert pa.types.is_boolean(schema.field("weekend").type)
    assert pa.types.is_string(schema.field("carrier").type)


def test_other_source_types_are_cast(warehouse: BigQueryWarehouse, tables: Tables, gcs: str) -> None:
    """Integers become numbers, codes become text, 0 and 1 become booleans."""
    rows = list(rows_of_days(label=True, delay=7, weekend=1, carrier=12))
    table = tables.source(rows, ontime="BOOL", delay="INT64", weekend="INT64", carrier="INT64")

    (first, *_) = read(gcs, take(warehouse, table), "train").to_pylist()

    assert first["ontime"] == 1
    assert first["delay"] == pytest.approx(7.0)
    assert first["weekend"] is True
    assert first["carrier"] == "12"


def test_a_column_can_say_the_split(warehouse: BigQueryWarehouse, tables: Tables, gcs: str) -> None:
    """TRAIN, VALIDATE and TEST are obeyed; any other word leaves the row out."""
    words = ("TRAIN", "VALIDATE", "TEST", "HOLD")
    rows = [
        {"flight_id": f"{word}-{number}", "departure": NOW - (number + 1) * HOUR, "ontime": 1, "data_split": word}
        for word, copies in zip(words, (4, 3, 2, 1), strict=True)
        for number in range(copies)
    ]
    table = tables.source(rows, data_split="STRING")

    taken = take(warehouse, table, split={"column": "data_split"})

    assert taken.rows == {"train": 4, "eval": 3, "test": 2}
    assert {key.partition("-")[0] for key in read(gcs, taken, "eval")["flight_id"].to_pylist()} == {"VALIDATE"}


def test_the_view_spans_the_exported_rows(taken: SnapshotView, gcs: str) -> None:
    """First and last are the oldest and newest exported moments."""
    moments = [at for part in taken.rows for at in read(gcs, taken, part)["departure"].to_pylist()]

    assert taken.first == min(moments)
    assert taken.last == max(moments)


def test_the_digest_is_of_the_rows_and_not_of_their_order(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """The same rows loaded in another order have the same digest; one changed value gives another."""
    rows = list(rows_of_days())
    changed = [*rows[:-1], rows[-1] | {"departure": NOW - HOUR, "ontime": 0}]

    digests = [take(warehouse, tables.source(content)).digest for content in (rows, rows[::-1], changed)]

    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


def test_no_rows_make_an_empty_snapshot(warehouse: BigQueryWarehouse, tables: Tables) -> None:
    """An empty table is exported as what it is."""
    taken = take(warehouse, tables.source([]))

    assert taken.rows == {"train": 0, "eval": 0, "test": 0}
    assert taken.first is None
    assert taken.last is None


def test_a_repeat_does_not_export_rows_that_came_later(
    warehouse: BigQueryWarehouse, tables: Tables, gcs: str
) -> None:
    """What a run froze stays frozen, in the files as in the view."""
    table = tables.source(list(rows_of_days()))
    run = f"punctual-20130610-020000-{next(RUNS):04x}"
    uri = f"gs://{BUCKET}/snapshots/{run}"
    first = warehouse.snapshot(spec(table), run, NOW, uri)
    tables.client.query(
        f"INSERT INTO {table} (flight_id, departure, ontime) "
        "SELECT CONCAT('late-', CAST(day AS STRING)), TIMESTAMP_SUB(TIMESTAMP '2013-06-10', INTERVAL day DAY), 1 "
        "FROM UNNEST(GENERATE_ARRAY(1, 19)) AS day"
    ).result()

    again = warehouse.snapshot(spec(table), run, NOW, uri)

    assert again == first
    assert {part: read(gcs, again, part).num_rows for part in again.rows} == first.rows
