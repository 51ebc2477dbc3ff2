"""An endpoint for each model, which logs every request."""

from collections.abc import Iterable

from google.cloud.aiplatform_v1 import EndpointServiceClient, types

from gcp.vertex import connect, parent
from retraining.modelspec import ModelSpec
from retraining.settings import Settings


def log_table(settings: Settings, spec: ModelSpec) -> str:
    """Where the endpoint of ``spec`` logs its requests: project.dataset.table."""
    return f"{settings.project}.{settings.dataset}.{spec.endpoint.replace('-', '_')}_requests"


def create_endpoints(settings: Settings, specs: Iterable[ModelSpec]) -> None:
    """Each endpoint, once, found again by its display name."""
    client = connect(EndpointServiceClient, settings)
    known = {one.display_name for one in client.list_endpoints(parent=parent(settings))}
    for spec in specs:
        if spec.endpoint in known:
            continue
        logging = types.PredictRequestResponseLoggingConfig(
            enabled=True,
            sampling_rate=1.0,
            bigquery_destination=types.BigQueryDestination(output_uri=f"bq://{log_table(settings, spec)}"),
        )
        endpoint = types.Endpoint(
            display_name=spec.endpoint,
            labels={"model": spec.name},
            predict_request_response_logging_config=logging,
        )
        client.create_endpoint(parent=parent(settings), endpoint=endpoint).result(timeout=60)
        known.add(spec.endpoint)
