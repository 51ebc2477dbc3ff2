"""The packaged data sets, as the model files name their columns."""

from pathlib import Path

import pandas as pd
import pytest

from local.data import bikes, flights
from retraining.modelfile import load_models
from retraining.modelspec import ModelSpec
from tests.trainer.jobs import ROOT
from trainer.data import check, read_dataset

SPECS = load_models(ROOT / "models")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def all_flights(cache: Path) -> pd.DataFrame:
    return flights.load(cache)


@pytest.fixture(scope="module")
def all_hours(cache: Path) -> pd.DataFrame:
    return bikes.load(cache)


@pytest.fixture(params=["flights", "bikes"])
def table(request: pytest.FixtureRequest) -> tuple[ModelSpec, pd.DataFrame]:
    name = request.param
    return SPECS[name], request.getfixturevalue({"flights": "all_flights", "bikes": "all_hours"}[name])


def test_columns_are_those_of_the_model_file(table: tuple[ModelSpec, pd.DataFrame]) -> None:
    spec, frame = table
    source = spec.source

    assert set(frame.columns) == {source.key, source.timestamp, source.label, *spec.features}
    assert str(frame[source.timestamp].dtype) == "datetime64[us, UTC]"


def test_rows_are_in_order_and_named_once(table: tuple[ModelSpec, pd.DataFrame]) -> None:
    spec, frame = table

    assert frame[spec.source.timestamp].is_monotonic_increasing
    assert frame[spec.source.key].is_unique


def test_nulls_stay_within_what_the_model_file_allows(table: tuple[ModelSpec, pd.DataFrame]) -> None:
    spec, frame = table
    share = frame[list(spec.features)].isna().mean()

    assert {name: s for name, s in share.items() if s > spec.features[str(name)].max_null_share} == {}


def test_trainer_can_read_them(table: tuple[ModelSpec, pd.DataFrame], tmp_path: Path) -> None:
    spec, frame = table
    frame.head(2000).to_parquet(tmp_path / "train-0.parquet", index=False)
    rows = read_dataset(f"{tmp_path}/train-*", spec, tmp_path)
    check(rows, spec)

    assert len(rows) == 2000
    assert str(rows.timestamp[0]) == frame[spec.source.timestamp].iloc[0].strftime("%Y-%m-%dT%H:%M:%S.%f")


def test_prepared_once(cache: Path, all_flights: pd.DataFrame) -> None:
    file = cache / "flights-2013.parquet"
    made = file.stat().st_mtime_ns
    again = flights.load(cache)

    assert file.stat().st_mtime_ns == made
    pd.testing.assert_frame_equal(again, all_flights)


def test_every_labelled_flight_is_there(all_flights: pd.DataFrame) -> None:
    assert len(all_flights) == 327_346
    assert all_flights["ontime"].mean() == pytest.approx(0.763, abs=0.01)


def test_time_on_the_ground_knows_each_day_s_offset(all_flights: pd.DataFrame) -> None:
    """Phoenix, Honolulu and San Juan have no summer time: one offset all year would add an hour in winter."""
    winter = all_flights["departure"].dt.month.isin([1, 2, 12])
    ground = all_flights[winter].groupby("dest")["taxi_out"].mean()

    assert all_flights["taxi_out"].mean() == pytest.approx(31.3, abs=0.1)
    assert ground[["PHX", "HNL", "SJU"]].max() < 45


def test_departure_is_in_utc_and_hour_is_local(all_flights: pd.DataFrame) -> None:
    first = all_flights.iloc[0]

    assert first["flight_id"] == "20130101-UA1545-EWR-0515"
    assert first["departure"] == pd.Timestamp("2013-01-01 10:17", tz="UTC")
    assert first["dep_hour"] == 5


def test_demand_for_bikes_doubles_within_a_year(all_hours: pd.DataFrame) -> None:
    months = all_hours.groupby(all_hours["hour_start"].dt.strftime("%Y-%m"))["rentals"].mean()

    assert len(all_hours) == 17_379
    assert months["2012-03"] > 2 * months["2011-03"]
