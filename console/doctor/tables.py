"""The system's own tables, and the models' source tables with what they say about labels."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from console.doctor.finding import Finding
from console.doctor.wanted import Wanted
from gcp.installed import Dataset, LabelAge, Labels, Table
from retraining.modelspec import ModelSpec

_NUMBERS = frozenset({"INTEGER", "FLOAT", "NUMERIC", "BIGNUMERIC"})
FITS = {
    "numeric": _NUMBERS,
    "categorical": frozenset({"STRING", "INTEGER", "BOOLEAN"}),
    "boolean": frozenset({"BOOLEAN", "INTEGER"}),
    "binary": frozenset({"INTEGER", "BOOLEAN"}),
    "multiclass": frozenset({"STRING", "INTEGER"}),
    "regression": _NUMBERS,
    "timestamp": frozenset({"TIMESTAMP"}),
    "text": frozenset({"STRING"}),
}
_KEYS = frozenset({"STRING", "INTEGER"})
_KINDS = {"numeric": "FLOAT64", "boolean": "BOOL", "timestamp": "TIMESTAMP"}  # of a new column; others: STRING
_HOUR = timedelta(hours=1)


def dataset(wanted: Wanted, found: Mapping[str, Dataset | None]) -> list[Finding]:
    """Each dataset is there and, in the cloud, in the region: a statement cannot join two regions."""
    findings = []
    for name, one in found.items():
        own = name == wanted.settings.dataset
        place = f"{wanted.settings.project}:{name}"
        if one is None:
            mend = wanted.again if own else f"bq --location={wanted.settings.region} mk --dataset {place}"
            findings.append(Finding("dataset", "error", f"dataset {name}: expected it to exist", mend))
        elif wanted.cloud and one.location != wanted.settings.region:
            text = f"dataset {name}: expected it in {wanted.settings.region}, got {one.location}"
            mend = f"bq show --format=prettyjson {place}" if own else wanted.env
            findings.append(Finding("dataset", "error", text, mend))
    return findings


def tables(wanted: Wanted, found: Mapping[str, Table | None]) -> list[Finding]:
    """Every table of the system's own dataset is there with the columns and partitions of its file."""
    findings = []
    for name, file in wanted.tables.items():
        table, full = found.get(name), f"{wanted.settings.dataset}.{name}"
        if table is None:
            text = f"table {full}: expected it to exist"
            findings.append(Finding("tables", "error", text, wanted.again))
            continue
        for column in file["schema"]:
            expected, got = (column["type"], column["mode"]), table.columns.get(column["name"])
            if expected != got:
                text = (
                    f"table {full}: column {column['name']}: expected {' '.join(expected)}, "
                    f"got {' '.join(got) if got else 'none'}"
                )
                findings.append(Finding("tables", "error", text, _column(wanted, full, column, got is None)))
        if (table.partition or "") != file["partition"]:
            text = (
                f"table {full}: partitions: expected {file['partition'] or 'none'}, got {table.partition or 'none'}"
            )
            findings.append(Finding("tables", "error", text, _anew(wanted, full)))
    return findings


def source(wanted: Wanted, spec: ModelSpec, table: Table | None) -> list[Finding]:
    """The model's table is there, partitioned, with every column that the model file names, in types that fit."""
    name = spec.source.table
    place = f"{wanted.settings.project}:{name}"
    show = f"bq show --schema --format=prettyjson {place}" if wanted.cloud else "retrain models check"
    if table is None:
        mend = f"bq ls {place.rpartition('.')[0]}" if wanted.cloud else wanted.again
        return [Finding("sources", "error", f"model {spec.name}: table {name}: expected it to exist", mend)]
    kinds = {spec.source.timestamp: frozenset({"TIMESTAMP"}), spec.source.key: _KEYS}
    kinds[spec.source.label] = FITS[spec.training.task]
    kinds |= {column: FITS[feature.type] for column, feature in spec.features.items()}
    if spec.split.column:
        kinds[spec.split.column] = frozenset({"STRING"})
    findings = []
    for column, fitting in kinds.items():
        got = table.columns.get(column)
        if got is None or got[0] not in fitting:
            text = (
                f"model {spec.name}: table {name}: column {column}: "
                f"expected {' or '.join(sorted(fitting))}, got {got[0] if got else 'none'}"
            )
            findings.append(Finding("sources", "error", text, _alter(wanted, spec, column, got is None) or show))
    if table.partition != spec.source.timestamp:
        text = (
            f"model {spec.name}: table {name}: expected partitions by {spec.source.timestamp}, "
            f"got {table.partition or 'none'}: every look at it reads, and bills, all of it"
        )
        findings.append(Finding("sources", "warning", text, show))
    return findings


def labels(wanted: Wanted, spec: ModelSpec, seen: Labels, now: datetime) -> list[Finding]:
    """Rows come, labels follow within ``label_delay``, and there are enough of both to train."""
    delay, name = spec.source.label_delay, f"model {spec.name}: table {spec.source.table}"
    look = _query(wanted, spec)
    if seen.newest is None:
        text = f"{name}: expected rows of the last {_said(spec.training.window)}, got none"
        return [Finding("labels", "warning", text, look)]
    findings = []
    if (age := now - seen.newest) > spec.checks.max_age:
        text = f"{name}: newest row: expected at most {_said(spec.checks.max_age)} old, got {_said(age)}"
        findings.append(Finding("labels", "error", text, look))
    past = [one for one in seen.ages if one.hours * _HOUR >= delay]
    share, least = _share(_fresh(past, delay)), spec.checks.min_label_share
    if share is not None and share < least:
        real = observed_delay(seen.ages, least)
        text = (
            f"{name}: labels of rows older than label_delay ({_said(delay)}): expected {least:.0%}, got {share:.0%}"
        )
        if real is None:
            text += "; at no age enough rows have one"
            mend = f"$EDITOR models/{spec.name}.yaml  # source.label: is {spec.source.label} the right column?"
        else:
            text += f"; from an age of about {_said(real)} enough have one"
            mend = f"sed -i 's/label_delay: [0-9]*[mhd]/label_delay: {_said(real)}/' models/{spec.name}.yaml"
        findings.append(Finding("labels", "error", text, mend))
    least_rows = max(spec.policy.min_new_rows, spec.gate.min_rows)
    if (rows := sum(one.labelled for one in seen.ages)) < least_rows:
        text = (
            f"{name}: labelled rows of {_said(spec.training.window)}: expected {least_rows} for a run, got {rows}"
        )
        findings.append(Finding("labels", "warning", text, look))
    return findings


def _query(wanted: Wanted, spec: ModelSpec) -> str:
    """Rows are their owner's: this shows when the last ones came."""
    source, project = spec.source, wanted.settings.project
    text = f"SELECT DATE({source.timestamp}) AS day, COUNT(*) AS row_count, COUNT({source.label}) AS labelled"
    text += f" FROM {source.table} GROUP BY day ORDER BY day DESC LIMIT 30"
    if wanted.cloud:
        return f"bq --project_id={project} query --use_legacy_sql=false '{text}'"
    body = json.dumps({"query": text, "useLegacySql": False})
    where = f'"$BIGQUERY_EMULATOR_HOST/bigquery/v2/projects/{project}/queries"'
    return f"curl --fail --silent --header 'Content-Type: application/json' --data '{body}' {where}"


def observed_delay(ages: tuple[LabelAge, ...], least: float) -> timedelta | None:
    """The youngest age from which on the rows have enough labels; None when they never do. In days above two."""
    start = None
    for one in sorted(ages, key=lambda one: -one.hours):
        if one.labelled < least * one.rows:
            break
        start = one.hours
    if start is None:
        return None
    hours = start + 1
    return timedelta(hours=hours) if hours < 48 else timedelta(days=-(-hours // 24))


def _fresh(past: list[LabelAge], delay: timedelta) -> list[LabelAge]:
    """The rows that should have got their labels most lately: half of the delay, at least a day."""
    return [one for one in past if one.hours * _HOUR <= delay + max(delay / 2, timedelta(days=1))]


def _share(ages: list[LabelAge]) -> float | None:
    rows = sum(one.rows for one in ages)
    return sum(one.labelled for one in ages) / rows if rows else None


def _said(span: timedelta) -> str:
    hours = span / _HOUR
    if hours < 1:
        return f"{span / timedelta(minutes=1):.0f}m"
    return f"{hours:.0f}h" if hours < 48 else f"{hours / 24:.0f}d"


def _column(wanted: Wanted, full: str, column: Mapping[str, str], missing: bool) -> str:
    """Columns that may be empty can be added; anything else needs the table anew."""
    if not missing or column["mode"] == "REQUIRED" or not wanted.cloud:
        return _anew(wanted, full)
    kind = f"ARRAY<{column['type']}>" if column["mode"] == "REPEATED" else column["type"]
    kind = kind.replace("INTEGER", "INT64").replace("FLOAT", "FLOAT64")
    return (
        f"bq --project_id={wanted.settings.project} query --use_legacy_sql=false "
        f"'ALTER TABLE {full} ADD COLUMN {column['name']} {kind}'"
    )


def _anew(wanted: Wanted, full: str) -> str:
    if not wanted.cloud:
        return "retrain local down && retrain local up --fresh"
    project, name = wanted.settings.project, full.rpartition(".")[2]
    keep = f"bq --project_id={project} cp {project}:{full} {project}:{full}_before"
    return (
        f"{keep} && terraform -chdir=terraform state rm 'google_bigquery_table.own[\"{name}\"]'"
        f" && bq --project_id={project} rm -f -t {project}:{full} && {wanted.again}"
    )


def _alter(wanted: Wanted, spec: ModelSpec, column: str, missing: bool) -> str:
    """A missing column can only be added where it may be empty, and only its owner can fill it."""
    if not missing or column not in spec.features or not wanted.cloud:
        return ""
    kind = _KINDS.get(spec.features[column].type, "STRING")
    return (
        f"bq --project_id={wanted.settings.project} query --use_legacy_sql=false "
        f"'ALTER TABLE {spec.source.table} ADD COLUMN {column} {kind}'"
    )
