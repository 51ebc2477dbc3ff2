"""BigQuery Data Transfer and scheduled queries: a transfer run ended."""

import re
from collections.abc import Mapping

from retraining.errors import BadMessage
from retraining.messages.context import Context, Ignored, Parsed, data_triggers
from retraining.messages.fields import Fields, brief, fields, moment, part, text
from retraining.triggers import data_key

EXAMPLE = '{"name": "projects/P/locations/L/transferConfigs/C/runs/R", "state": "SUCCEEDED"}'
_NAME = re.compile(r"projects/[^/]+/(?:locations/[^/]+/)?transferConfigs/[^/]+/runs/[^/]+")
_UNKNOWN = "table unknown; the watermark tick will see it"


def is_run(payload: object, attributes: Mapping[str, str]) -> bool:
    """Whether the message is a notice that a transfer run ended."""
    if attributes.get("eventType") == "TRANSFER_RUN_FINISHED":
        return True
    name = payload.get("name") if isinstance(payload, dict) else None
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def parse(payload: object, attributes: Mapping[str, str], context: Context) -> Parsed:
    """One data trigger for each model that reads the table the run wrote. Raises BadMessage."""
    del attributes
    run = fields(payload, EXAMPLE)
    name = text(run, "name")
    if not _NAME.fullmatch(name):
        raise BadMessage(f"name: expected projects/P/locations/L/transferConfigs/C/runs/R, got {name!r:.120}")
    state = text(run, "state")
    table = _table(run)
    if state in ("FAILED", "CANCELLED"):
        return _failed(run, state, table, context)
    if state != "SUCCEEDED":
        return Ignored(f"the transfer run has not ended ({brief(state, 40)})")
    if not table:
        return Ignored(_UNKNOWN)
    at = moment(run.get("endTime")) or context.published
    details = {"rows": "unknown", "by": name[:200], "table": table}
    return data_triggers(context, table, data_key(table, name), at, f"a transfer run wrote {table}", details)


def _failed(run: Fields, state: str, table: str, context: Context) -> Ignored:
    error = brief(str(part(run, "errorStatus").get("message", "")))
    reason = f"transfer run {state.lower()}: {error or 'no reason given'}"
    fed = context.fed_by(table) if table else []
    return Ignored(reason, audit="feed failed", model=fed[0].name if fed else "")


def _table(run: Fields) -> str:
    """``dataset.table`` that the run wrote; empty when the notice does not say.

    A partition decorator (``table${run_date}``) still names the table. A date elsewhere makes a table per run,
    which no model can read.
    """
    dataset = text(run, "destinationDatasetId", "")
    template = text(part(run, "params"), "destination_table_name_template", "")
    table = template.partition("$")[0].strip()
    return f"{dataset}.{table}" if dataset and table and "{" not in table else ""
