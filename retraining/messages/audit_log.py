"""BigQuery's audit log: rows were added to a table.

Three forms say it: ``tableDataChange`` (resourceName is the table), ``jobChange`` (resourceName is the job) and the
older ``jobservice.jobcompleted``. All give the job's name as key, so that one job told in three forms is one
trigger. Streamed rows leave no such entry; the watermark tick finds them.
"""

import re
from collections.abc import Mapping
from datetime import datetime

from retraining.errors import BadMessage
from retraining.messages.context import Context, Ignored, Parsed, data_triggers
from retraining.messages.fields import Fields, brief, fields, int64, moment, part, text
from retraining.triggers import data_key

EXAMPLE = (
    '{"protoPayload": {"resourceName": "projects/P/datasets/D/tables/T", "metadata": {"tableDataChange": {}}}}'
)
_TABLE = re.compile(r"projects/([^/]+)/datasets/([^/]+)/tables/([^/$@]+)(?:[$@][^/]*)?")
_ADDS_NOTHING = (
    "DELETE",
    "TRUNCATE_TABLE",
    "DROP_",
    "ALTER_",
    "ASSERT",
    "EXPORT_",
    "BEGIN_",
    "COMMIT_",
    "ROLLBACK_",
)


def is_entry(payload: object) -> bool:
    """Whether the payload is a log entry with an audit record."""
    return isinstance(payload, dict) and "protoPayload" in payload


def parse(payload: object, attributes: Mapping[str, str], context: Context) -> Parsed:
    """One data trigger for each model that reads the changed table. Raises BadMessage."""
    del attributes
    entry = fields(payload, EXAMPLE)
    record = part(entry, "protoPayload")
    service = text(record, "serviceName", "bigquery.googleapis.com")
    if service != "bigquery.googleapis.com":
        return Ignored(f"an audit record of {service:.80}, not of BigQuery")
    writer = text(part(record, "authenticationInfo"), "principalEmail", "")
    if writer in context.principals:
        return Ignored(f"our own write, by {writer:.120}")
    if failed := _failure(part(record, "status"), "status"):
        return Ignored(failed)
    at = moment(entry.get("timestamp")) or context.published
    return _change(entry, record, at, context)


def _change(entry: Fields, record: Fields, at: datetime, context: Context) -> Parsed:
    metadata = part(record, "metadata")
    if "tableDataChange" in metadata:
        return _table_change(entry, record, part(metadata, "tableDataChange"), at, context)
    if "jobChange" in metadata:
        return _job_change(part(metadata, "jobChange"), at, context)
    if "serviceData" in record:
        return _job_completed(part(record, "serviceData", "jobCompletedEvent", "job"), at, context)
    events = sorted(key for key in metadata if key not in ("@type", "firstPartyAppMetadata"))
    if events:
        return Ignored(f"a {brief(events[0], 60)} adds no rows")
    return _shortened(entry, record, at, context)


def _table_change(entry: Fields, record: Fields, change: Fields, at: datetime, context: Context) -> Parsed:
    rows = int64(change, "insertedRowsCount")
    if rows <= 0:
        return Ignored("no rows were inserted")
    table, why_not = _ours(text(record, "resourceName"), context)
    if table is None:
        return Ignored(why_not)
    job, stream = text(change, "jobName", ""), text(change, "streamName", "")
    # One stream takes many appends under one name, so the name alone would be a key for only the first.
    source = job or f"{stream}#{_insert_id(entry)}"
    details = {"rows": str(rows), "by": source[:200], "table": table}
    return data_triggers(context, table, data_key(table, source), at, f"{rows} rows were added to {table}", details)


def _job_change(change: Fields, at: datetime, context: Context) -> Parsed:
    job = part(change, "job")
    status = part(job, "jobStatus")
    state = text(change, "after", "") or text(status, "jobState", "")
    if state != "DONE":
        return Ignored(f"the job has not ended ({brief(state, 40) or 'no state'})")
    if failed := _failure(part(status, "errorResult"), "job failed"):
        return Ignored(failed)
    config = part(job, "jobConfig")
    for kind in ("loadConfig", "queryConfig", "tableCopyConfig"):
        if kind in config:
            target = part(config, kind)
            statement = text(target, "statementType", "")
            return _job_wrote(text(job, "jobName"), text(target, "destinationTable", ""), statement, at, context)
    return Ignored("a job that writes no table")


def _job_completed(job: Fields, at: datetime, context: Context) -> Parsed:
    if not job:
        return Ignored("an older audit record without a completed job")
    status = part(job, "jobStatus")
    if text(status, "state", "") != "DONE":
        return Ignored("the job has not ended")
    if failed := _failure(part(status, "error"), "job failed"):
        return Ignored(failed)
    name = part(job, "jobName")
    job_name = f"projects/{text(name, 'projectId')}/jobs/{text(name, 'jobId')}"
    config = part(job, "jobConfiguration")
    for kind in ("load", "query", "tableCopy"):
        if kind in config:
            target = part(config, kind)
            to = part(target, "destinationTable")
            ids = [text(to, key, "") for key in ("projectId", "datasetId", "tableId")]
            table = f"projects/{ids[0]}/datasets/{ids[1]}/tables/{ids[2]}" if all(ids) else ""
            return _job_wrote(job_name, table, text(target, "statementType", ""), at, context)
    return Ignored("a job that writes no table")


def _job_wrote(job: str, resource: str, statement: str, at: datetime, context: Context) -> Parsed:
    if not resource:
        return Ignored("a job without a destination table")
    if statement.startswith(_ADDS_NOTHING):
        return Ignored(f"{statement:.40} adds no rows")
    table, why_not = _ours(resource, context)
    if table is None:
        return Ignored(why_not)
    details = {"rows": "unknown", "by": job[:200], "table": table}
    return data_triggers(context, table, data_key(table, job), at, f"a job wrote {table}", details)


def _shortened(entry: Fields, record: Fields, at: datetime, context: Context) -> Parsed:
    """An entry near the log's size limit keeps its names and loses what happened: rows are unknown, not zero."""
    resource = text(record, "resourceName", "")
    if not _TABLE.fullmatch(resource) or not _writes(text(record, "methodName", "")):
        return Ignored("an audit record without a change of a table")
    table, why_not = _ours(resource, context)
    if table is None:
        return Ignored(why_not)
    source = _insert_id(entry)
    details = {"rows": "unknown", "by": source[:200], "table": table}
    return data_triggers(
        context, table, data_key(table, source), at, f"{table} changed; the log entry lost how much", details
    )


def _writes(method: str) -> bool:
    return method.endswith(("JobService.InsertJob", "JobService.Query", "BigQueryWrite.AppendRows"))


def _insert_id(entry: Fields) -> str:
    found = text(entry, "insertId", "")
    if not found:
        raise BadMessage("insertId: expected the log entry's id, since it names no job; got nothing")
    return found


def _failure(status: Fields, what: str) -> str:
    if not status or not (status.get("code") or status.get("message")):
        return ""
    return f"{what}: {brief(str(status.get('message') or status.get('code')))}"


def _ours(resource: str, context: Context) -> tuple[str | None, str]:
    """``dataset.table`` when the resource is a table in this project, else why not."""
    match = _TABLE.fullmatch(resource)
    if match is None:
        return None, f"not a table: {brief(resource, 120)}"
    project, dataset, table = match.groups()
    if project != context.project:
        return None, f"a table of project {brief(project, 60)}, not of {context.project}"
    if dataset.startswith("_") or table.startswith("anon"):
        return None, "an anonymous table with a query's result"
    return f"{dataset}.{table}", ""
