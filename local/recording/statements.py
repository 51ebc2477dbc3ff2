"""A statement's text and the permissions it needs, read from its syntax.

https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language says the permissions of DDL,
https://cloud.google.com/bigquery/docs/tables those of tables, .../routines those of functions.
"""

from collections.abc import Iterator

import sqlglot
from sqlglot import exp

from local.recording.needs import Need, UnknownCall

_READ, _CHANGE = "bigquery.tables.getData", "bigquery.tables.updateData"


def needs(text: str) -> tuple[Need, ...]:
    """What running the script needs, besides the job itself. Raises UnknownCall for a kind of statement that nobody
    has thought of, and for a table without a dataset."""
    found: dict[Need, None] = {}
    temporary: set[str] = set()
    for statement in sqlglot.parse(text, dialect="bigquery"):
        if statement is None:
            continue
        for need in _of(statement, temporary):
            found[need] = None
    return tuple(found)


def _of(statement: exp.Expr, temporary: set[str]) -> Iterator[Need]:
    if isinstance(statement, exp.Create) and statement.args.get("kind") == "TABLE" and _is_temporary(statement):
        # A temporary table lies in a hidden dataset of the script's own: no permission to create it.
        yield from _read(statement, temporary | {statement.this.name})
        temporary.add(statement.this.name)
        return
    match statement:
        case exp.Create():
            yield _created(statement)
            yield from _read(statement, temporary, but=statement.this)
        case exp.Export():
            yield from _exported(statement, temporary)
        case exp.Merge() | exp.Update() | exp.Delete():  # they read what they change
            yield Need(_CHANGE, "dataset", _dataset(statement.this))
            yield from _read(statement, temporary)
        case exp.Insert():
            yield Need(_CHANGE, "dataset", _dataset(statement.this))
            yield from _read(statement, temporary, but=statement.this)
        case exp.Query():
            yield from _read(statement, temporary)
        case _:
            raise UnknownCall(f"statement {statement.sql('bigquery')[:80]!r}: expected a kind that is known here")


def _read(statement: exp.Expr, temporary: set[str], but: exp.Expr | None = None) -> Iterator[Need]:
    """Tables that are read and functions that are called."""
    local = temporary | {cte.alias for cte in statement.find_all(exp.CTE)}
    skipped = set() if but is None else {id(node) for node in but.walk()}
    for table in statement.find_all(exp.Table):
        if id(table) not in skipped and not (table.name in local and not table.db) and not _is_row_source(table):
            yield Need(_READ, "dataset", _dataset(table))
    for call in statement.find_all(exp.Anonymous):
        parts = str(call.this if isinstance(call.this, str) else call.this.name).split(".")
        if isinstance(call.parent, exp.Dot):
            parts = [part.name for part in call.parent.parts if part is not call] + parts
        if len(parts) > 1:  # "To reference a routine in a SQL query, you must have" this
            yield Need("bigquery.routines.get", "dataset", parts[-2])


def _is_row_source(table: exp.Table) -> bool:
    """Something that stands where a table may, such as a call."""
    return not isinstance(table.this, exp.Identifier)


def _created(statement: exp.Create) -> Need:
    kind = statement.args.get("kind")
    if kind == "TABLE":
        return Need("bigquery.tables.create", "dataset", _dataset(statement.this))
    if kind == "FUNCTION":
        return Need("bigquery.routines.create", "dataset", _dataset(statement.this))
    raise UnknownCall(f"CREATE {kind}: expected TABLE or FUNCTION")


def _exported(statement: exp.Export, temporary: set[str]) -> Iterator[Need]:
    """https://cloud.google.com/bigquery/docs/exporting-data asks for storage.objects.create and .delete on the
    bucket, and for bigquery.tables.export on an exported table; temporary ones belong to the caller."""
    for need in _read(statement, temporary):
        yield need
        if need.permission == _READ:
            yield Need("bigquery.tables.export", need.kind, need.name)
    options = {
        option.name.lower(): option.args["value"].name
        for option in statement.args["options"].expressions
        if isinstance(option, exp.Property) and "value" in option.args
    }
    where = options["uri"].removeprefix("gs://")
    yield Need("storage.objects.create", "object", where)
    yield Need("storage.objects.delete", "object", where)


def _is_temporary(statement: exp.Create) -> bool:
    return statement.find(exp.TemporaryProperty) is not None


def _dataset(node: exp.Expr) -> str:
    table = node if isinstance(node, exp.Table) else node.find(exp.Table)
    if table is None or not table.db:
        raise UnknownCall(f"{node.sql('bigquery')!r}: expected a name with its dataset")
    return str(table.db)
