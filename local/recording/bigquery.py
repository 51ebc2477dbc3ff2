"""Calls of BigQuery's REST interface and the permissions they need.

Each method's page says its permissions, https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs/insert first.
"""

import json
import re
from typing import Any

from local.recording import statements
from local.recording.calls import Call
from local.recording.needs import Need, UnknownCall

_PROJECT = re.compile(r"/bigquery/v2/projects/(?P<project>[^/]+)(?P<rest>/.*)")
_IN_DATASET = re.compile(r"/datasets/(?P<dataset>[^/]+)(?P<rest>/.*)?")

# Verb and path after the project → permission on the project. An empty one: none.
_OF_PROJECT: tuple[tuple[str, str, str], ...] = (
    ("POST", r"/datasets", "bigquery.datasets.create"),  # datasets.insert
    # jobs.get and jobs.getQueryResults: who creates a job is granted bigquery.jobs.get on it by that
    # (https://cloud.google.com/bigquery/docs/jobs-overview). Nobody here asks for other people's jobs.
    ("GET", r"/jobs/[^/]+", ""),
    ("GET", r"/queries/[^/]+", ""),
)
# Verb and path after the dataset → permission on the dataset.
_OF_DATASET: tuple[tuple[str, str, str], ...] = (
    ("GET", r"", "bigquery.datasets.get"),  # datasets.get
    ("GET", r"/tables", "bigquery.tables.list"),  # tables.list
    ("POST", r"/tables", "bigquery.tables.create"),  # tables.insert
    ("GET", r"/tables/[^/]+", "bigquery.tables.get"),  # tables.get
    ("PATCH", r"/tables/[^/]+", "bigquery.tables.update"),  # tables.patch
    ("DELETE", r"/tables/[^/]+", "bigquery.tables.delete"),  # tables.delete
    ("GET", r"/tables/[^/]+/data", "bigquery.tables.getData"),  # tabledata.list
    ("POST", r"/tables/[^/]+/insertAll", "bigquery.tables.updateData"),  # tabledata.insertAll
)


def needs(call: Call) -> tuple[Need, ...]:
    """What a call of BigQuery needs. Raises UnknownCall."""
    match = _PROJECT.fullmatch(call.path)
    if match is None:
        raise UnknownCall(f"{call}: expected /bigquery/v2/projects/...")
    rest = match["rest"]
    if call.method == "POST" and rest in ("/jobs", "/queries"):
        return (Need("bigquery.jobs.create", "project"), *_of_job(call, json.loads(call.body)))
    for verb, pattern, permission in _OF_PROJECT:
        if call.method == verb and re.fullmatch(pattern, rest):
            return (Need(permission, "project"),) if permission else ()
    if inside := _IN_DATASET.fullmatch(rest):
        return _of_dataset(call, inside["dataset"], inside["rest"] or "")
    raise UnknownCall(f"{call}: expected a call that local/recording/bigquery.py knows")


def _of_dataset(call: Call, dataset: str, rest: str) -> tuple[Need, ...]:
    if dataset.startswith("_"):  # a hidden one, which holds the results of the caller's own jobs
        return ()
    for verb, pattern, permission in _OF_DATASET:
        if call.method == verb and re.fullmatch(pattern, rest):
            return (Need(permission, "dataset", dataset),)
    raise UnknownCall(f"{call}: expected a call on a dataset that local/recording/bigquery.py knows")


def _of_job(call: Call, body: dict[str, Any]) -> tuple[Need, ...]:
    """What a query reads and writes; other kinds of jobs are not ours."""
    configuration = body.get("configuration", {})
    query = configuration.get("query", body if "query" in body else None)
    if query is None or configuration.keys() & {"load", "extract", "copy"}:
        raise UnknownCall(f"{call}: expected a query job, got one with {sorted(configuration)}")
    if query.get("destinationTable") or query.get("defaultDataset"):
        raise UnknownCall(f"{call}: expected a query whose text names every table it reads and writes")
    return statements.needs(query["query"])
