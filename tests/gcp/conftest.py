"""Servers that the adapters' own tests run against, and clients of them."""

import pytest

from gcp.bigquery import BigQuery
from gcp.bigquery import connect as connect_bigquery
from gcp.storage import connect as connect_storage
from gcp.warehouse import BigQueryWarehouse
from tests.contract.rows import Tables

BUCKET = "exports"


@pytest.fixture(scope="session")
def tables(bigquery: str) -> Tables:
    """Makes tables."""
    return Tables(connect_bigquery("local", bigquery))


@pytest.fixture(scope="session")
def warehouse(bigquery: str, gcs: str) -> BigQueryWarehouse:
    """The adapter over the local BigQuery; exports may go to BUCKET."""
    connect_storage("local", gcs).create_bucket(BUCKET)
    return BigQueryWarehouse(BigQuery(connect_bigquery("local", bigquery)), "retraining")
