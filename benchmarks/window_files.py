"""Columns of a Parquet file or values of a log of JSON requests as Arrow batches, each payload parsed once."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.window_values import as_categories, as_numbers, is_binary, is_number, is_text

Array = np.ndarray[Any, Any]
Kind = Literal["num", "cat"]
Batch = tuple[Any, dict[str, Array]]  # an Arrow record batch, and the rows whose value cannot be read

PAYLOAD = "request_payload"
BATCH = 8_192  # rows whose numbers take 64 KiB: they stay in the cache, and their memory is used again
_SAMPLED = 2_000  # requests from which the names and kinds of a log's values are told
_JSON = (".json", ".jsonl", ".ndjson")


@dataclass(frozen=True)
class Source:
    """A file of rows; ``is_log``: its rows are requests in JSON."""

    path: Path
    is_log: bool

    @property
    def is_text(self) -> bool:
        """Whether it is JSON itself, a request a line."""
        return self.path.name.removesuffix(".gz").endswith(_JSON)


def source(path: Path, *, log: bool) -> Source:
    """A file as it describes itself. Raises ValueError when ``log`` asks for requests and it has none."""
    if path.name.removesuffix(".gz").endswith(_JSON):
        return Source(path, True)
    found = PAYLOAD in pq.read_schema(path).names
    if log and not found:
        raise ValueError(f"{path}: expected a column {PAYLOAD} of requests in JSON, found none")
    return Source(path, found)


def kinds(one: Source) -> dict[str, Kind]:
    """Names of the values and how they are counted: numbers and times by size, all others by value."""
    if one.is_log:
        return _sampled(one)
    schema = pq.read_schema(one.path)
    return {field.name: "num" if is_number(field.type) else "cat" for field in schema}


def _sampled(one: Source) -> dict[str, Kind]:
    with duckdb.connect() as connection:
        rows = connection.execute(f"SELECT payload FROM ({_payloads(one)}) LIMIT {_SAMPLED}", [str(one.path)])
        texts = [text for (text,) in rows.fetchall()]
    found: dict[str, Kind] = {}
    for text in texts:
        for name, value in _object(text).items():
            if value is not None and value != "":
                number = isinstance(value, int | float) and not isinstance(value, bool)
                found[name] = "num" if number and found.get(name, "num") == "num" else "cat"
    if not found:
        raise ValueError(f"{one.path}: expected requests that are JSON objects with values, found none")
    return found


def _object(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def batches(one: Source, wanted: Mapping[str, Kind]) -> Iterator[Batch]:
    """The wanted columns, some thousand rows at a time."""
    if one.is_log:
        yield from _parsed(one, wanted)
        return
    flat = {field.name for field in pq.read_schema(one.path) if not pa.types.is_nested(field.type)}
    words = [name for name, kind in wanted.items() if kind == "cat" and name in flat]
    with pq.ParquetFile(one.path, read_dictionary=words) as file:
        there = [name for name in wanted if name in file.schema_arrow.names]
        for batch in file.iter_batches(BATCH, columns=there, use_threads=False):
            yield _readable(batch, wanted)


def _readable(batch: Any, wanted: Mapping[str, Kind]) -> Batch:
    """The columns as what is counted, whatever their types have become."""
    columns, broken = [], {}
    for name, values in zip(batch.schema.names, batch.columns, strict=True):
        if wanted[name] == "cat":
            columns.append(as_categories(values))
            continue
        numbers, bad = as_numbers(values)
        columns.append(numbers)
        if bad is not None:
            broken[name] = bad
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names), broken


def materialise(one: Source, wanted: Mapping[str, Kind], path: Path) -> Source:
    """A log as columns in a Parquet file, so that one column at a time can be read."""
    fields = [(name, pa.float64() if kind == "num" else pa.string()) for name, kind in wanted.items()]
    with pq.ParquetWriter(path, pa.schema(fields), compression="none") as writer:
        for batch, _ in _parsed(one, wanted):
            writer.write_batch(batch.cast(writer.schema))
    return Source(path, False)


def _payloads(one: Source) -> str:
    """The statement that gives a request a row, as text. A payload is a request, or holds some: as a list, or as
    the ``instances`` of an object."""
    held = _lines() if one.is_text else _rows(one)
    listed = (
        "CASE WHEN json_type(held) = 'ARRAY' THEN json_extract_string(held, '$[*]') "
        "WHEN json_type(held, '$.instances') = 'ARRAY' THEN json_extract_string(held, '$.instances[*]') END"
    )
    # Only what may hold several is parsed to find out: most payloads are requests.
    many = "starts_with(ltrim(held), '[') OR contains(held, '\"instances\"')"
    each = f"CASE WHEN {many} THEN coalesce(TRY({listed}), [held]) ELSE [held] END"
    return f"SELECT unnest({each}) AS payload FROM ({held})"


def _rows(one: Source) -> str:
    """A row of a Parquet file has a payload or a list of them. Raises ValueError for what can be no request."""
    kind = pq.read_schema(one.path).field(PAYLOAD).type
    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    inner = kind.value_type if listed else kind
    inner = inner.value_type if pa.types.is_dictionary(inner) else inner
    if pa.types.is_struct(inner) or pa.types.is_map(inner):
        text = "CAST(to_json(raw) AS VARCHAR)"
    elif is_text(inner) or pa.types.is_null(inner):
        text = "TRY(decode(raw))" if is_binary(inner) else "raw"
    else:
        wanted = "requests in JSON (text, binary, structs, or lists of them)"
        raise ValueError(f"{one.path}: expected {PAYLOAD} to hold {wanted}, got {kind}")
    raw = f"unnest({PAYLOAD})" if listed else PAYLOAD
    return f"SELECT {text} AS held FROM (SELECT {raw} AS raw FROM read_parquet(?))"


def _lines() -> str:
    """A line is a payload, or a row of the log with one payload or a list of them."""
    of_row = f"json_extract_string(line, '$.{PAYLOAD}"
    rows = (
        f"CASE json_type(line, '$.{PAYLOAD}') WHEN 'ARRAY' THEN {of_row}[*]') "
        f"WHEN 'VARCHAR' THEN [{of_row}')] WHEN 'OBJECT' THEN [{of_row}')] END"
    )
    lines = "read_csv(?, columns = {'line': 'VARCHAR'}, delim = '\\0', quote = '', escape = '', header = false)"
    each = f"CASE WHEN contains(line, '\"{PAYLOAD}\"') THEN coalesce(TRY({rows}), [line]) ELSE [line] END"
    return f"SELECT unnest({each}) AS held FROM {lines}"


def _parsed(one: Source, wanted: Mapping[str, Kind]) -> Iterator[Batch]:
    """One parse of each request into a struct; only a number that is not there is looked at again, since a value of
    another kind reads as none."""
    shape = json.dumps({name: "DOUBLE" if kind == "num" else "VARCHAR" for name, kind in wanted.items()})
    values = [f"s.{_name(name)} AS {_name(name)}" for name in wanted]
    checks = [
        f"CASE WHEN broken THEN TRUE WHEN s.{_name(name)} IS NULL THEN "
        f"coalesce(json_type(payload, {_text('$.' + json.dumps(name))}) <> 'NULL' "
        f"AND json_extract_string(payload, {_text('$.' + json.dumps(name))}) <> '', FALSE) ELSE FALSE END "
        f"AS {_name('broken ' + name)}"
        for name, kind in wanted.items()
        if kind == "num"
    ]
    parsed = f"SELECT payload, TRY(from_json(payload, {_text(shape)})) AS s FROM ({_payloads(one)})"
    first = _name(next(iter(wanted)))
    other = f"WHEN s.{first} IS NULL THEN json_type(payload) <> 'OBJECT'"
    none = f"CASE WHEN s IS NULL THEN TRUE {other} ELSE FALSE END"
    text = f"SELECT {', '.join([*values, f'{none} AS broken', *checks])} FROM ({parsed})"
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        connection.execute("SET preserve_insertion_order = false")
        for batch in connection.execute(text, [str(one.path)]).to_arrow_reader(BATCH):
            broken = np.asarray(batch.column("broken").to_numpy(zero_copy_only=False))
            yield (
                batch.select(list(wanted)),
                {
                    name: np.asarray(batch.column(f"broken {name}").to_numpy(zero_copy_only=False))
                    if kind == "num"
                    else broken
                    for name, kind in wanted.items()
                },
            )


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
