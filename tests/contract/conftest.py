"""Servers that the Google adapters run against, started once per session."""

from tests.servers import bigquery, gcs  # noqa: F401
