"""The log of requests on the local BigQuery, and the statements that the monitor runs there."""

from collections.abc import Iterator

import pytest

from gcp.bigquery import BigQuery, connect
from gcp.drift_log import DriftStatements
from gcp.tables import ensure_tables
from monitoring import tables
from tests.monitoring.traffic import Traffic
from tests.servers import bigquery_server

PROJECT = "local"


@pytest.fixture(scope="session")
def warehouse() -> Iterator[BigQuery]:
    """A BigQuery server of this folder's tests, with the dataset and the monitor's tables."""
    with bigquery_server(project=PROJECT) as address:
        bigquery = BigQuery(connect(PROJECT, address))
        ensure_tables(bigquery.client, "retraining", [])
        tables.ensure(DriftStatements(bigquery, "retraining"), PROJECT, "retraining")
        yield bigquery
        bigquery.client.close()


@pytest.fixture
def statements(warehouse: BigQuery) -> DriftStatements:
    """What runs the monitor's statements."""
    return DriftStatements(warehouse, "retraining")


@pytest.fixture
def traffic(warehouse: BigQuery) -> Traffic:
    """Writes rows into logs of requests."""
    return Traffic(warehouse.client)
