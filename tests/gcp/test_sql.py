"""Statements from files: what may be pasted into them."""

from pathlib import Path
from string import Formatter

import pytest

from gcp.sql import column, statement, table, text

QUERIES = sorted((Path(__file__).parents[2] / "gcp" / "queries").glob("*.sql"))


def test_parts_stand_where_they_are_named() -> None:
    """A statement is its file with the parts in place."""
    sql = statement(
        "watermark", table=table("acme-1.flights.history"), timestamp=column("departure"), label=column("ontime")
    )

    assert "FROM `acme-1.flights.history`" in sql
    assert "MAX(`departure`) AS newest" in sql
    assert "`ontime` IS NOT NULL" in sql


def test_a_missing_part_is_an_error() -> None:
    """No statement leaves with a hole."""
    with pytest.raises(ValueError, match=r"watermark.sql: expected parts \['label', 'table', 'timestamp'\]"):
        statement("watermark", table=table("acme-1.flights.history"))


def test_a_part_without_a_place_is_an_error() -> None:
    """A mistyped part does not pass in silence."""
    with pytest.raises(ValueError, match="part_by_day"):
        statement("part_by_day", timestamp=column("departure"), tabel=column("x"))


@pytest.mark.parametrize("name", ["a b", "a`b", "a;DROP", "", "a.b", "1a", "a'"])
def test_only_plain_names_are_columns(name: str) -> None:
    """Nothing that could end the back-ticks gets in."""
    with pytest.raises(ValueError, match="column"):
        column(name)


@pytest.mark.parametrize("name", ["flights.history", "p.d.t; --", "p.d.`t`", "p..t"])
def test_only_full_names_are_tables(name: str) -> None:
    """A table is project, dataset and table."""
    with pytest.raises(ValueError, match="table"):
        table(name)


@pytest.mark.parametrize("value", ["it's", "a\\", "a\nb", 'a"b'])
def test_only_tame_text_is_a_literal(value: str) -> None:
    """Nothing that could end the quotes gets in."""
    with pytest.raises(ValueError, match="text"):
        text(value)


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_every_reading_of_rows_is_bound_by_time(path: Path) -> None:
    """A statement over a table of rows always filters its timestamp, which partitions it."""
    sql = path.read_text()
    places = {place for _, place, _, _ in Formatter().parse(sql) if place}

    assert sql.count("{table}") == sql.count("FROM {table}")
    for reading in sql.split("FROM {table}")[1:]:
        assert "WHERE {timestamp} >=" in " ".join(reading.split())[:30]
    assert places <= {
        *("table", "log", "timestamp", "key", "key_path", "label", "label_number", "label_type", "columns"),
        *("column_counts", "column", "alias", "size", "part", "train_uri", "eval_uri", "test_uri"),
        *("score", "valid", "loss"),
    }
