"""What others would have got on the same rows: ``python -m local.rehearsal.peers``.

never: the first model for the whole year. calendar: a new model on the first of each month, trained on the same
window as ours, without any gate. oracle: a model that has seen a third of the month it is judged on; its losses
are those of the rest. All train with the same code and parameters as the system's own runs.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import pandas as pd

from local.data import flights
from local.rehearsal.scenario import DAY, END, START, day, prepare
from retraining.modelfile import load_models
from retraining.modelspec import ModelSpec
from trainer.arguments import parser
from trainer.data import Rows
from trainer.predict import predict
from trainer.train import train_and_evaluate

MONTHS = [day(month, 1) for month in range(3, 13)]


def rows_of(spec: ModelSpec, frame: pd.DataFrame) -> Rows:
    """A frame as the trainer's columns."""
    features = {
        name: frame[name].astype(object).to_numpy()
        if feature.type == "categorical"
        else frame[name].to_numpy(dtype=np.float32)
        for name, feature in spec.inputs.items()
    }
    stamp = frame[spec.source.timestamp].dt.tz_localize(None).to_numpy(dtype="M8[us]")
    label = frame[spec.source.label].to_numpy(dtype=np.float64)
    return Rows(features, label, stamp)


def fitted(spec: ModelSpec, train: pd.DataFrame, ask: pd.DataFrame) -> np.ndarray:
    """Train on ``train`` (a fifth of its days kept for validation) and answer ``ask``."""
    days = train[spec.source.timestamp].dt.dayofyear % 5 == 0
    defaults = {name: h.default for name, h in spec.training.hyperparameters.items()}
    top = parser()
    top.set_defaults(**defaults)
    args = top.parse_args(["--model-spec", "unused"])
    quiet = lambda text: None  # noqa: E731
    model = train_and_evaluate(spec, rows_of(spec, train[~days]), rows_of(spec, train[days]), args, "", quiet)
    return predict(model.served.serve, rows_of(spec, ask))


def between(frame: pd.DataFrame, since: datetime, until: datetime) -> pd.DataFrame:
    """The rows of [since, until)."""
    return frame[(frame["departure"] >= since) & (frame["departure"] < until)]


def months() -> Iterator[tuple[datetime, datetime]]:
    """Each month of the replay, from its first moment to the next month's."""
    for number, start in enumerate(MONTHS):
        yield start, MONTHS[number + 1] if number + 1 < len(MONTHS) else END + DAY


def answers(spec: ModelSpec, frame: pd.DataFrame) -> pd.DataFrame:
    """One row per flight: flight_id, departure, ontime, never, calendar, oracle (null where it trained)."""
    year = between(frame, START, END + DAY).copy()
    year["never"] = fitted(spec, between(frame, day(1, 1), START), year)
    third = pd.util.hash_pandas_object(year["flight_id"], index=False) % 3 == 0
    for start, end in months():
        known = between(frame, start - spec.training.window, start - spec.source.label_delay)
        now = (year["departure"] >= start) & (year["departure"] < end)
        year.loc[now, "calendar"] = fitted(spec, known, year[now])
        seen, judged = now & third, now & ~third
        year.loc[judged, "oracle"] = fitted(spec, pd.concat([known, frame.loc[year[seen].index]]), year[judged])
        print(f"{start:%B} is done", flush=True)
    return year[["flight_id", "departure", "ontime", "never", "calendar", "oracle"]]


def main() -> int:
    """Write the answers as Parquet."""
    top = argparse.ArgumentParser(prog="python -m local.rehearsal.peers", description=__doc__)
    top.add_argument("--cache", type=Path, required=True, help="folder of prepared data")
    top.add_argument("--models", type=Path, required=True, help="folder of the rehearsal's model file")
    top.add_argument("--out", type=Path, required=True, help="Parquet file to write")
    args = top.parse_args()
    os.nice(10)  # the rehearsal itself goes first
    spec = load_models(args.models)["flights"]
    answers(spec, prepare(flights.load(args.cache))).to_parquet(args.out, index=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
