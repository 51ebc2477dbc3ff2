"""The rows of models, read and exported by BigQuery."""

from datetime import datetime

from gcp import arms, counts, snapshots
from gcp.bigquery import BigQuery, Query
from gcp.sql import Sql, column, statement, table
from retraining.errors import Refused
from retraining.modelspec import ModelSpec
from retraining.views import ArmCounts, DataCounts, SnapshotView, Watermark


class BigQueryWarehouse:
    """Warehouse over one project; ``dataset`` holds this system's own tables and the request logs."""

    def __init__(self, bigquery: BigQuery, dataset: str) -> None:
        self._bigquery = bigquery
        self._project = bigquery.client.project
        self._dataset = dataset

    def watermark(self, spec: ModelSpec, since: datetime | None, now: datetime) -> Watermark:
        """See Warehouse. Without ``since`` it looks as far back as training would."""
        query = Query(
            statement(
                "watermark",
                table=self._table(spec),
                timestamp=column(spec.source.timestamp),
                label=column(spec.source.label),
            ),
            dataset_of(spec),
            "watermark",
            {"since": since or now - spec.training.window, "now": now},
        )
        (row,) = self._bigquery.rows(query)
        return Watermark(newest=row["newest"], new_rows=row["new_rows"])

    def count_data(self, spec: ModelSpec, run_id: str, since: datetime, until: datetime) -> DataCounts:
        """See Warehouse."""
        types = self._types(spec)
        query = counts.query(spec, run_id, self._table(spec), types, since, until)
        estimate = self._bigquery.bytes_estimate(query)
        (row,) = self._bigquery.rows(query)
        return counts.read(spec, types, row, estimate)

    def snapshot(self, spec: ModelSpec, run_id: str, until: datetime, uri: str) -> SnapshotView:
        """See Warehouse."""
        self._types(spec)
        rows = self._bigquery.rows(snapshots.query(spec, run_id, self._table(spec), until, uri))
        return snapshots.read(uri, rows)

    def arms(self, spec: ModelSpec, since: datetime, until: datetime) -> dict[str, ArmCounts]:
        """See Warehouse. Empty while nothing has been logged."""
        log = spec.endpoint_log(self._dataset)
        if self._bigquery.columns(log) is None:
            return {}
        name = table(f"{self._project}.{log}")
        return arms.read(self._bigquery.rows(arms.query(spec, name, self._table(spec), since, until)))

    def _table(self, spec: ModelSpec) -> Sql:
        return table(f"{self._project}.{spec.source.table}")

    def _types(self, spec: ModelSpec) -> dict[str, str]:
        """Column → type of the source table. Raises Refused naming what is missing, and what is there."""
        source = spec.source
        types = self._bigquery.columns(source.table)
        if types is None:
            there = ", ".join(self._bigquery.tables(dataset_of(spec))) or "nothing"
            raise Refused(f"table {source.table}: not found; {dataset_of(spec)} holds {there}")
        wanted = [source.key, source.timestamp, source.label, *spec.features]
        wanted += [spec.split.column] if spec.split.column else []
        if missing := [name for name in wanted if name not in types]:
            raise Refused(f"table {source.table}: no column {', '.join(missing)}; it has {', '.join(types)}")
        if types[source.timestamp] != "TIMESTAMP":
            found = types[source.timestamp]
            raise Refused(f"column {source.timestamp} of {source.table}: expected TIMESTAMP, found {found}")
        return types


def dataset_of(spec: ModelSpec) -> str:
    """The dataset of the source table."""
    return spec.source.table.partition(".")[0]
