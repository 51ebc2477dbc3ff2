"""The classic way to train the flights network, to measure against: CSV files, one-hots, metrics in every step.

Columns, sizes and crosses are those of the well-known wide-and-deep flights example: vocabulary of carriers,
airports hashed to 1,000, positions in five buckets each, crossed into places and places crossed into routes; six
one-hots beside a network of 64 and 32 units that sees raw numbers and embeddings of size 3. It is written with
today's Keras layers, because the feature columns it came with are gone.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from keras import layers

NUMBERS = (
    "dep_delay",
    "taxi_out",
    "distance",
    "dep_hour",
    "is_weekend",
    "dep_lat",
    "dep_lon",
    "arr_lat",
    "arr_lon",
)
TEXTS = ("carrier", "origin", "dest")
BUCKETS = 5
HASHED = 1000
EMBEDDING = 3
BATCH = 64


def write_csv(rows: pd.DataFrame, path: Path) -> None:
    """The label and the twelve columns as CSV."""
    rows[["ontime", *NUMBERS, *TEXTS]].astype({"is_weekend": "float64"}).to_csv(path, index=False)


def read_csv(path: Path) -> tf.data.Dataset:
    """Endless shuffled batches, parsed while the network trains."""
    rows = tf.data.experimental.make_csv_dataset(
        str(path),
        BATCH,
        label_name="ontime",
        column_defaults=[tf.float32] * (1 + len(NUMBERS)) + [tf.string] * len(TEXTS),
        shuffle=True,
        shuffle_buffer_size=10 * BATCH,
        sloppy=True,
        num_parallel_reads=2,
        prefetch_buffer_size=1,
    )
    # Keras flattens a plain dict by its keys, an OrderedDict by its order.
    return rows.map(lambda columns, label: ({name: columns[name][:, None] for name in columns}, label))


def network(carriers: list[str]) -> keras.Model:
    """Raw columns → the chance to arrive on time."""
    numbers = {name: keras.Input([1], name=name) for name in NUMBERS}
    texts = {name: keras.Input([1], name=name, dtype="string") for name in TEXTS}
    ids = {"carrier": (layers.StringLookup(vocabulary=carriers)(texts["carrier"]), len(carriers) + 1)}
    for name in ("origin", "dest"):
        ids[name] = (layers.Hashing(HASHED)(texts[name]), HASHED)
    for end in ("dep", "arr"):
        cells = BUCKETS**2
        latitude = layers.Discretization(np.linspace(20, 50, BUCKETS).tolist())(numbers[f"{end}_lat"])
        longitude = layers.Discretization(np.linspace(-120, -70, BUCKETS).tolist())(numbers[f"{end}_lon"])
        ids[f"{end}_place"] = (layers.HashedCrossing(cells)((latitude, longitude)), cells)
    cells = BUCKETS**4
    ids["route"] = (layers.HashedCrossing(cells)((ids["dep_place"][0], ids["arr_place"][0])), cells)
    embedded = [layers.Flatten()(layers.Embedding(size, EMBEDDING)(column)) for column, size in ids.values()]
    deep = layers.Concatenate()([*numbers.values(), *embedded])
    for units in (64, 32):
        deep = layers.Dense(units, activation="relu")(deep)
    wide = [layers.CategoryEncoding(size, output_mode="one_hot")(column) for column, size in ids.values()]
    out = layers.Dense(1, activation="sigmoid")(layers.Concatenate()([deep, *wide]))
    model = keras.Model(numbers | texts, out)
    metrics = ["accuracy", keras.metrics.RootMeanSquaredError(), keras.metrics.AUC()]
    model.compile(keras.optimizers.Adam(0.001), "binary_crossentropy", metrics=metrics)
    return model


def predict(model: keras.Model, rows: pd.DataFrame) -> np.ndarray[Any, Any]:
    """The network's answers for whole columns, float64 [n]."""
    columns = {name: tf.constant(rows[name].to_numpy(np.float32)[:, None]) for name in NUMBERS}
    columns |= {name: tf.constant(rows[name].tolist())[:, None] for name in TEXTS}
    answers = model.predict(columns, batch_size=8192, verbose=0)
    return np.asarray(answers[:, 0], dtype=np.float64)
