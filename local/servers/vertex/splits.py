"""Gives a training job the rows of a tabular dataset, split into training, validation and test CSV files."""

import csv
import fnmatch
import hashlib
import io
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from google.api_core.exceptions import GoogleAPICallError
from requests.exceptions import ConnectionError as RequestsConnectionError

from local.servers.vertex.images import CannotRun
from local.servers.vertex.messages import to_python
from local.servers.vertex.rules import last
from local.servers.vertex.storage import bucket_and_object, storage_client

SETS = ("training", "validation", "test")
_DEFAULT_FRACTIONS = (0.8, 0.1, 0.1)
Chooser = Callable[[int, dict[str, str]], str | None]
"""(row number, row) -> the set that gets the row, or None for no set."""


def export(dataset: Any, config: Any, now: datetime) -> dict[str, str]:
    """Write the three sets below the config's Cloud Storage destination; the ``AIP_*`` variables that name them.

    Raises CannotRun for sources, destinations and splits that this server does not have.
    """
    prefix = config.gcs_destination.output_uri_prefix
    if not prefix:
        raise CannotRun("input_data_config: only gcs_destination is available here")
    choose = chooser(config)
    folder = f"{prefix.rstrip('/')}/dataset-{last(dataset.name)}-tables-{now:%Y-%m-%dT%H:%M:%S.%fZ}"
    try:
        header, sets = _divide(_rows(_sources(dataset)), choose)
        for name in SETS:
            _write(f"{folder}/{name}-00000-of-00001.csv", header, sets[name])
    except (GoogleAPICallError, RequestsConnectionError, ValueError) as error:
        raise CannotRun(f"the dataset {dataset.name!r} cannot be exported: {error}") from error
    env = {f"AIP_{name.upper()}_DATA_URI": f"{folder}/{name}-*.csv" for name in SETS}
    return env | {"AIP_DATA_FORMAT": "csv"}


def chooser(config: Any) -> Chooser:
    """How rows are assigned: by fractions (80/10/10 when nothing is said), or by a column. Raises CannotRun."""
    kind = config.WhichOneof("split")
    if kind == "predefined_split":
        column = config.predefined_split.key
        return lambda _, row: row[column] if row.get(column) in SETS else None
    if kind not in (None, "fraction_split"):
        raise CannotRun(f"input_data_config.{kind} is not available here; use fraction_split or predefined_split")
    split = config.fraction_split
    shares = (split.training_fraction, split.validation_fraction, split.test_fraction)
    return _by_fractions(shares if any(shares) else _DEFAULT_FRACTIONS)


def _by_fractions(shares: tuple[float, float, float]) -> Chooser:
    if min(shares) < 0 or sum(shares) > 1 + 1e-9:
        raise CannotRun(f"fraction_split: expected fractions of at least 0 that sum to at most 1, got {shares}")

    def choose(number: int, _: dict[str, str]) -> str | None:
        # The same row gets the same set in every run.
        digest = hashlib.sha256(str(number).encode()).digest()
        place = int.from_bytes(digest[:8]) / 2**64
        for name, share in zip(SETS, shares, strict=True):
            if place < share:
                return name
            place -= share
        return None

    return choose


def _sources(dataset: Any) -> list[str]:
    source = to_python(dataset.metadata).get("inputConfig", {})
    uris = source.get("gcsSource", {}).get("uri", [])
    if not uris:
        raise CannotRun(f"the dataset {dataset.name!r} has no CSV files in Cloud Storage: {sorted(source)}")
    return [uri for pattern in uris for uri in _matching(pattern)]


def _matching(pattern: str) -> Iterator[str]:
    bucket, name = bucket_and_object(pattern)
    if "*" not in name:
        yield pattern
        return
    for blob in storage_client().list_blobs(bucket, prefix=name.partition("*")[0]):
        if fnmatch.fnmatchcase(blob.name, name):
            yield f"gs://{bucket}/{blob.name}"


def _rows(uris: list[str]) -> Iterator[tuple[list[str], dict[str, str]]]:
    """(header, row) for every row of every file."""
    for uri in uris:
        bucket, name = bucket_and_object(uri)
        reader = csv.DictReader(io.StringIO(storage_client().bucket(bucket).blob(name).download_as_text()))
        header = list(reader.fieldnames or [])
        for row in reader:
            yield header, row


def _divide(
    rows: Iterator[tuple[list[str], dict[str, str]]], choose: Chooser
) -> tuple[list[str], dict[str, list[dict[str, str]]]]:
    header: list[str] = []
    sets: dict[str, list[dict[str, str]]] = {name: [] for name in SETS}
    for number, (columns, row) in enumerate(rows):
        header = header or columns
        chosen = choose(number, row)
        if chosen is not None:
            sets[chosen].append(row)
    if not header:
        raise ValueError("it has no rows")
    return header, sets


def _write(uri: str, header: list[str], rows: list[dict[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, header, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    bucket, name = bucket_and_object(uri)
    storage_client().bucket(bucket).blob(name).upload_from_string(text.getvalue(), content_type="text/csv")
