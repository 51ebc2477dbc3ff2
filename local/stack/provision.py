"""``python -m local.stack.provision``: create in the local servers what Terraform creates in the cloud.

Endpoints are created by ``endpoints.py`` beside it, at the same time. Addresses and settings come from the
environment. Run again, it changes nothing but what differs.
"""

import argparse
import os
import sys
from collections.abc import Mapping

from google.api_core.exceptions import Conflict

from gcp.bigquery import BigQuery
from gcp.bigquery import connect as connect_bigquery
from gcp.drift_log import DriftStatements
from gcp.storage import connect as connect_storage
from gcp.tables import ensure_tables, request_log
from local.stack import messaging, tables
from local.stack.resources import ROOT, Resources, load_resources
from monitoring import labels
from monitoring import tables as drift_tables
from retraining import names
from retraining.errors import BadConfig
from retraining.modelfile import load_models
from retraining.modelspec import ModelSpec
from retraining.settings import Settings


def provision(environ: Mapping[str, str], resources: Resources) -> None:
    """Create everything at the addresses in ``environ``."""
    settings = Settings.from_env(environ)
    models = load_models(ROOT / settings.models)
    create_buckets(settings, [settings.state_bucket, settings.artifact_bucket, environ["RETRAIN_STAGING_BUCKET"]])
    create_tables(settings, models)
    messaging.create_topics(settings.project, resources)
    messaging.create_subscriptions(settings.project, resources, environ["RETRAIN_FUNCTIONS"])
    messaging.create_jobs(
        settings.project, settings.region, resources.all_jobs(models), environ["RETRAIN_SCHEDULER_API"]
    )


def create_buckets(settings: Settings, names: list[str]) -> None:
    """Each bucket, once."""
    client = connect_storage(settings.project)
    for name in names:
        try:
            client.create_bucket(name, location=settings.region)
        except Conflict:
            continue


def create_tables(settings: Settings, models: Mapping[str, ModelSpec]) -> None:
    """Datasets, this system's own tables and the models' source tables."""
    client = connect_bigquery(settings.project)
    logs = [request_log(names.log_table(spec.endpoint)) for spec in models.values()]
    ensure_tables(client, settings.dataset, logs)
    run = DriftStatements(BigQuery(client), settings.dataset)
    drift_tables.ensure(run, settings.project, settings.dataset)
    labels.ensure(run, settings.project, settings.dataset)
    sources = [spec.source.table.partition(".")[0] for spec in models.values()]
    tables.create_datasets(client, sources)
    tables.create_source_tables(client, models.values())


def main() -> int:
    """Read the command line and the environment; 0 when everything is there."""
    parser = argparse.ArgumentParser(prog="python -m local.stack.provision", description=__doc__)
    parser.add_argument("--cron", action="append", default=[], help="NAME=CRON: another time for a Scheduler job")
    pairs = [one.partition("=") for one in parser.parse_args().cron]
    try:
        provision(os.environ, load_resources().with_crons({name: cron for name, _, cron in pairs}))
    except BadConfig as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
