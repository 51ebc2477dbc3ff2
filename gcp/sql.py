"""Statements from files: values travel as parameters, and only checked names are ever pasted into the text."""

import re
from functools import cache
from pathlib import Path
from string import Formatter
from typing import NewType

Sql = NewType("Sql", str)  # text that may stand in a statement as it is

_FOLDER = Path(__file__).parent / "queries"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TABLE = re.compile(r"[a-z][a-z0-9-]+\.[A-Za-z_][A-Za-z0-9_]*\.[A-Za-z_][A-Za-z0-9_]*")
_TEXT = re.compile(r"[A-Za-z0-9 :/._*$-]*")


def statement(name: str, **parts: Sql) -> Sql:
    """The text of ``queries/<name>.sql`` with ``parts`` in place of ``{part}``.

    Raises ValueError when a part is missing or has no place: a mistyped name must not pass in silence.
    """
    text = _read(name)
    places = {place for _, place, _, _ in Formatter().parse(text) if place is not None}
    if places != parts.keys():
        raise ValueError(f"{name}.sql: expected parts {sorted(places)}, got {sorted(parts)}")
    return Sql(text.format_map(parts))


def column(name: str) -> Sql:
    """A column in back-ticks. Raises ValueError when it is not a plain name."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"column: expected letters, digits and underscores, got {name!r}")
    return Sql(f"`{name}`")


def table(name: str) -> Sql:
    """``project.dataset.table`` in back-ticks. Raises ValueError when it is anything else."""
    if not _TABLE.fullmatch(name):
        raise ValueError(f"table: expected project.dataset.table, got {name!r}")
    return Sql(f"`{name}`")


def text(value: str) -> Sql:
    """A string literal, for the few places that take no parameter. Raises ValueError at unusual characters."""
    if not _TEXT.fullmatch(value):
        raise ValueError(f"text: expected letters, digits and :/._*$-, got {value!r}")
    return Sql(f"'{value}'")


def cast(name: str, kind: str) -> Sql:
    """A column as ``kind``, under its own name."""
    return Sql(f"CAST({column(name)} AS {kind}) AS {column(name)}")


@cache
def _read(name: str) -> str:
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8").rstrip()
