"""What every Warehouse promises, in memory and over BigQuery's protocol."""

import itertools
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pytest

from gcp.bigquery import BigQuery
from gcp.bigquery import connect as connect_bigquery
from gcp.storage import connect as connect_storage
from gcp.warehouse import BigQueryWarehouse
from local.memory.warehouse import MemoryWarehouse
from retraining.errors import Refused
from retraining.modelspec import ModelSpec
from retraining.ports import Warehouse
from retraining.views import Watermark
from tests.contract.rows import Tables
from tests.contract.specs import NOW, spec

Fill = Callable[[Sequence[datetime]], ModelSpec]  # labelled rows at these moments → the model over them

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
RUNS = itertools.count(1)


def new_run() -> str:
    """A run id that no test has used."""
    return f"punctual-20130610-000000-{next(RUNS):04x}"


class WarehouseContract:
    """Facts about any Warehouse."""

    def test_the_watermark_is_the_newest_labelled_row(self, warehouse: Warehouse, fill: Fill) -> None:
        model = fill([NOW - 3 * DAY, NOW - 2 * DAY, NOW - 30 * DAY])

        assert warehouse.watermark(model, None, NOW) == Watermark(newest=NOW - 2 * DAY, new_rows=3)

    def test_only_rows_after_the_asked_moment_are_new(self, warehouse: Warehouse, fill: Fill) -> None:
        model = fill([NOW - 3 * DAY, NOW - 2 * DAY, NOW - DAY])

        seen = warehouse.watermark(model, NOW - 2 * DAY, NOW)

        assert seen == Watermark(newest=NOW - DAY, new_rows=1)

    def test_rows_of_the_future_are_not_seen(self, warehouse: Warehouse, fill: Fill) -> None:
        model = fill([NOW - DAY, NOW + DAY])

        assert warehouse.watermark(model, NOW - 2 * DAY, NOW) == Watermark(newest=NOW - DAY, new_rows=1)

    def test_a_table_without_labelled_rows_has_no_watermark(self, warehouse: Warehouse, fill: Fill) -> None:
        model = fill([])

        assert warehouse.watermark(model, None, NOW) == Watermark(newest=None, new_rows=0)

    def test_counting_a_missing_table_is_refused_by_name(self, warehouse: Warehouse) -> None:
        with pytest.raises(Refused, match=r"nowhere\.none"):
            warehouse.count_data(spec("nowhere.none"), new_run(), NOW - DAY, NOW)

    def test_a_snapshot_holds_the_training_window(self, warehouse: Warehouse, fill: Fill) -> None:
        inside = [NOW - 60 * DAY, NOW - 30 * DAY, NOW - HOUR]
        model = fill([NOW - 61 * DAY, *inside, NOW])

        taken = warehouse.snapshot(model, new_run(), NOW, f"gs://artifacts/snapshots/{new_run()}")

        assert set(taken.rows) == {"train", "eval", "test"}
        assert taken.last == NOW - HOUR
        assert taken.first is not None
        assert taken.first >= NOW - 60 * DAY

    def test_a_snapshot_taken_again_is_the_same(self, warehouse: Warehouse, fill: Fill) -> None:
        model = fill([NOW - hours * HOUR for hours in range(1, 200)])
        run = new_run()
        first = warehouse.snapshot(model, run, NOW, f"gs://artifacts/snapshots/{run}")

        assert warehouse.snapshot(model, run, NOW, f"gs://artifacts/snapshots/{run}") == first

    def test_other_rows_have_another_digest(self, warehouse: Warehouse, fill: Fill) -> None:
        model = fill([NOW - hours * HOUR for hours in range(1, 50)])
        runs = new_run(), new_run()

        now, earlier = (
            warehouse.snapshot(model, run, until, f"gs://artifacts/snapshots/{run}").digest
            for run, until in zip(runs, (NOW, NOW - DAY), strict=True)
        )

        assert now != earlier

    def test_nothing_logged_means_no_arms(self, warehouse: Warehouse, fill: Fill) -> None:
        model = fill([NOW - DAY])

        assert warehouse.arms(model, NOW - DAY, NOW) == {}


class TestMemoryWarehouse(WarehouseContract):
    """The promises in memory."""

    @pytest.fixture
    def warehouse(self) -> MemoryWarehouse:
        return MemoryWarehouse()

    @pytest.fixture
    def fill(self, warehouse: MemoryWarehouse) -> Fill:
        def write(moments: Sequence[datetime]) -> ModelSpec:
            model = spec("flights.history")
            warehouse.labelled[model.name] = list(moments)
            return model

        return write


class TestBigQueryWarehouse(WarehouseContract):
    """The promises over BigQuery's protocol."""

    @pytest.fixture
    def warehouse(self, bigquery: str, gcs: str) -> BigQueryWarehouse:
        connect_storage("local", gcs).bucket("artifacts").exists() or connect_storage("local", gcs).create_bucket(
            "artifacts"
        )
        return BigQueryWarehouse(BigQuery(connect_bigquery("local", bigquery)), "retraining")

    @pytest.fixture
    def fill(self, bigquery: str) -> Fill:
        tables = Tables(connect_bigquery("local", bigquery))

        def write(moments: Sequence[datetime]) -> ModelSpec:
            rows = [
                {"flight_id": str(number), "departure": at, "ontime": number % 2, "delay": 1.5, "carrier": "AA"}
                for number, at in enumerate(moments)
            ]
            return spec(tables.source(rows))

        return write
