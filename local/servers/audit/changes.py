"""Which table a finished job changed, and by how many rows. Reads job resources as the REST API gives them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import exp

OWN_LABEL = "retrain-own"
"""Jobs that this system runs on its own behalf carry it with the value ``true``; they must not trigger anything."""

Job = Mapping[str, Any]
"""A job resource: jobReference, configuration, statistics, status, user_email."""

_DML = (exp.Insert, exp.Merge, exp.Update, exp.Delete)


@dataclass(frozen=True)
class Table:
    """A table's full name."""

    project: str
    dataset: str
    table: str

    def __str__(self) -> str:
        return f"{self.project}.{self.dataset}.{self.table}"

    @property
    def anonymous(self) -> bool:
        """Whether it only holds the result of a query."""
        return self.dataset.startswith("_") or self.table.startswith("anon")


@dataclass(frozen=True)
class Change:
    """Rows that one job put into and took out of one table. ``inserted`` is None where the job does not tell.

    ``truncated``: what was in the table before is gone.
    """

    table: Table
    inserted: int | None
    deleted: int = 0
    truncated: bool = False
    reason: str = "QUERY"


def is_own(job: Job, excluded: Collection[str]) -> bool:
    """Whether the job is the system's own work: by its label or by who ran it."""
    labels = job["configuration"].get("labels") or {}
    return labels.get(OWN_LABEL) == "true" or job.get("user_email") in excluded


def finished(job: Job) -> bool:
    """Whether the job will not change any more."""
    return bool(job["status"]["state"] == "DONE")


def failed(job: Job) -> bool:
    """Whether a finished job failed; such a job leaves no entry."""
    return bool(job["status"].get("errorResult"))


def change(job: Job) -> Change | None:
    """What a finished job changed; None for one that changed no table, or one whose result is anonymous."""
    configuration, statistics = job["configuration"], job.get("statistics", {})
    found: Change | None = None
    if "load" in configuration:
        rows = statistics.get("load", {}).get("outputRows")
        found = _written(configuration["load"], rows, "JOB")
    elif "copy" in configuration:
        found = _written(configuration["copy"], statistics.get("copy", {}).get("copiedRows"), "JOB")
    elif "query" in configuration:
        found = _queried(job, configuration["query"], statistics.get("query", {}))
    return None if found is None or found.table.anonymous else found


def _written(settings: Mapping[str, Any], rows: str | None, reason: str) -> Change:
    truncated = settings.get("writeDisposition") == "WRITE_TRUNCATE"
    return Change(_table(settings["destinationTable"]), _count(rows), truncated=truncated, reason=reason)


def _queried(job: Job, settings: Mapping[str, Any], statistics: Mapping[str, Any]) -> Change | None:
    rows = statistics.get("dmlStats")
    if rows is not None:
        target = _dml_target(job, settings)
        inserted, deleted = int(rows.get("insertedRowCount", 0)), int(rows.get("deletedRowCount", 0))
        # An update is kept as rows that went and rows that came.
        updated = int(rows.get("updatedRowCount", 0))
        return None if target is None else Change(target, inserted + updated, deleted + updated)
    if statistics.get("statementType") == "CREATE_TABLE_AS_SELECT":
        return Change(_table(statistics["ddlTargetTable"]), None, truncated=True)
    if "destinationTable" in settings:
        return _written(settings, None, "QUERY")
    return None


def _dml_target(job: Job, settings: Mapping[str, Any]) -> Table | None:
    """The table a DML statement writes: BigQuery names it as the destination, the local server only in the SQL.

    A statement of a script carries the text of the whole script, so what it referenced narrows the choice.
    """
    if "destinationTable" in settings:
        return _table(settings["destinationTable"])
    statistics = job["statistics"]["query"]
    referenced = [_table(one) for one in statistics.get("referencedTables", [])]
    if len(referenced) == 1:
        return referenced[0]
    default = {"projectId": job["jobReference"]["projectId"], **settings.get("defaultDataset", {})}
    targets = _written_by(settings["query"], statistics.get("statementType", ""), default)
    return next((one for one in targets if one in referenced or not referenced), None)


def _written_by(sql: str, statement_type: str, default: Mapping[str, str]) -> list[Table]:
    """The tables that the statements of this type in ``sql`` write."""
    try:
        statements = sqlglot.parse(sql, read="bigquery")
    except sqlglot.errors.SqlglotError:
        return []
    found = []
    for statement in statements:
        if not isinstance(statement, _DML) or statement.key.upper() != statement_type:
            continue
        target = statement.find(exp.Table) if isinstance(statement.this, exp.Schema) else statement.this
        if isinstance(target, exp.Table):
            project = target.catalog or default["projectId"]
            found.append(Table(project, target.db or default.get("datasetId", ""), target.name))
    return found


def _table(reference: Mapping[str, str]) -> Table:
    # A partition's decorator names a part of the table, and the log names the table.
    return Table(reference["projectId"], reference["datasetId"], reference["tableId"].split("$")[0])


def _count(rows: str | None) -> int | None:
    return None if rows is None else int(rows)
