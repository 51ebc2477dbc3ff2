"""Datasets and the tables that hold each model's rows, created where they are missing."""

from collections.abc import Iterable

from google.cloud import bigquery

from retraining.modelspec import ModelSpec

_FEATURES = {
    "numeric": "FLOAT64",
    "categorical": "STRING",
    "boolean": "BOOL",
    "timestamp": "TIMESTAMP",
    "text": "STRING",
}
_LABELS = {"regression": "FLOAT64", "binary": "INT64", "multiclass": "STRING"}


def create_datasets(client: bigquery.Client, names: Iterable[str]) -> None:
    """Each dataset, once."""
    for name in sorted(set(names)):
        client.create_dataset(f"{client.project}.{name}", exists_ok=True)


def source_table(project: str, spec: ModelSpec) -> bigquery.Table:
    """The table of a model's labelled rows, as its file describes it: one partition a day."""
    source = spec.source
    types = {source.key: "STRING", source.timestamp: "TIMESTAMP"}
    types |= {name: _FEATURES[feature.type] for name, feature in spec.features.items()}
    types |= {source.label: _LABELS[spec.training.task]}
    if spec.split.column:
        types.setdefault(spec.split.column, "STRING")
    types.setdefault("ingested_at", "TIMESTAMP")
    required = {source.key, source.timestamp}
    schema = [
        bigquery.SchemaField(name, kind, mode="REQUIRED" if name in required else "NULLABLE")
        for name, kind in types.items()
    ]
    table = bigquery.Table(f"{project}.{source.table}", schema=schema)
    table.time_partitioning = bigquery.TimePartitioning(field=source.timestamp)
    return table


def create_source_tables(client: bigquery.Client, specs: Iterable[ModelSpec]) -> None:
    """The source table of each model, where it is missing. One that exists is the owner's: it is left alone."""
    for spec in specs:
        client.create_table(source_table(client.project, spec), exists_ok=True)
