"""One statement that counts the rows of a window beside ordinary earlier ones, and how its answer is read."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from gcp.bigquery import Query, Value
from gcp.sql import Sql, column, statement
from retraining.modelspec import ModelSpec
from retraining.views import ColumnCounts, DataCounts

PERIODS = 4  # earlier windows that say what is ordinary

_WEEK = timedelta(days=7)
_MICROSECOND = timedelta(microseconds=1)
_NUMBERS = frozenset({"INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC"})
_NO_NUMBER = Sql("CAST(NULL AS FLOAT64)")


def query(
    spec: ModelSpec, run_id: str, table: Sql, types: Mapping[str, str], since: datetime, until: datetime
) -> Query:
    """The statement over [since, until). ``types`` are the table's columns."""
    source = spec.source
    stride = max(-((since - until) // _WEEK), 1) * _WEEK  # whole weeks, no shorter than the window
    names = (source.timestamp, source.key, source.label, *spec.features)
    sql = statement(
        "counts",
        table=table,
        timestamp=column(source.timestamp),
        key=column(source.key),
        label=column(source.label),
        label_number=_number(source.label, types[source.label]),
        columns=Sql(",\n    ".join(column(name) for name in names)),
        column_counts=Sql(
            ",\n  ".join(
                statement(
                    "column_counts",
                    column=column(name),
                    alias=_alias(number),
                    size=_size(name, types[name]),
                )
                for number, name in enumerate(spec.features)
            )
        ),
    )
    values: dict[str, Value] = {
        "since": since,
        "until": until,
        "last": until - _MICROSECOND,  # the latest moment that still belongs to the window
        "oldest": since - PERIODS * stride,
        "mature": until - source.label_delay,
        "stride": stride // _MICROSECOND,
        "length": (until - since) // _MICROSECOND,
    }
    return Query(sql, source.table.partition(".")[0], "counts", values, run_id)


def read(spec: ModelSpec, types: Mapping[str, str], row: Mapping[str, Any], bytes_estimate: int) -> DataCounts:
    """The statement's one row in our words."""
    usual = row["usual_rows"] > 0
    return DataCounts(
        rows=row["row_count"],
        # Windows before the table began, or in which nothing came, say nothing about what is ordinary.
        usual_rows=row["usual_rows"] / row["usual_periods"] if usual else 0.0,
        newest=row["newest"],
        duplicates=row["duplicates"],
        mature_rows=row["mature_rows"],
        labelled_rows=row["labelled_rows"],
        label_mean=row["label_mean"],
        usual_label_mean=row["usual_label_mean"],
        columns=tuple(
            ColumnCounts(
                name=name,
                type=types[name],
                nulls=row[f"{_alias(number)}_nulls"],
                distinct=row[f"{_alias(number)}_distinct"],
                mean_abs=row[f"{_alias(number)}_mean_abs"],
                usual_nulls_share=row[f"{_alias(number)}_usual_nulls"],
                usual_mean_abs=row[f"{_alias(number)}_usual_mean_abs"],
            )
            for number, name in enumerate(spec.features)
        ),
        bytes_estimate=bytes_estimate,
    )


def _alias(number: int) -> Sql:
    return Sql(f"column_{number}")


def _number(name: str, kind: str) -> Sql:
    """The column as a number; NULL where its type has none."""
    if kind == "BOOL":
        return Sql(f"CAST(CAST({column(name)} AS INT64) AS FLOAT64)")
    return Sql(f"CAST({column(name)} AS FLOAT64)") if kind in _NUMBERS else _NO_NUMBER


def _size(name: str, kind: str) -> Sql:
    """The size of a finite number; NULL for anything else."""
    if kind not in _NUMBERS:
        return _NO_NUMBER
    number = _number(name, kind)
    return Sql(f"IF(IS_NAN({number}) OR IS_INF({number}), NULL, ABS({number}))")
