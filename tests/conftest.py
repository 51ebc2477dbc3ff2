"""Servers that tests may ask for by name; each starts once per session, when the first test asks."""

from tests.servers import bigquery, gcs

__all__ = ["bigquery", "gcs"]
