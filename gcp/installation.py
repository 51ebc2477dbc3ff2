"""What an installation has, read through Google's own clients: these services answer on one machine, too.

Nothing is changed here, except by ``probe``, which cleans up after itself, and by ``backlog``, which puts back
what it looked at.
"""

import json
import secrets
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import grpc
from google.api_core.exceptions import NotFound, PreconditionFailed
from google.api_core.grpc_helpers import wrap_errors

from gcp.bigquery import BigQuery, Query
from gcp.bigquery import connect as connect_bigquery
from gcp.errors import translated
from gcp.installed import Bucket, Dataset, Endpoint, Job, LabelAge, Labels, Subscription, Table, Topic
from gcp.sql import column, statement, table
from gcp.storage import connect as connect_storage
from gcp.storage import patience
from gcp.vertex import CALL_SECONDS, READS, connect, parent
from retraining.modelspec import ModelSpec
from retraining.settings import Settings

if TYPE_CHECKING:
    from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
    from google.cloud.scheduler_v1 import CloudSchedulerClient

_PROBE = "doctor/probe-"
_SHORT = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "DECIMAL": "NUMERIC"}


class Installation:
    """Readers over one project and region. Every one raises Refused or Temporary; what is missing is left out."""

    def __init__(self, settings: Settings, scheduler_api: str = "", patience_s: float = CALL_SECONDS) -> None:
        """``scheduler_api`` (host:port, without TLS) names another Cloud Scheduler than Google's."""
        self._settings = settings
        self._scheduler_api = scheduler_api
        self._patience = patience_s
        self._retry = READS.with_timeout(patience_s)
        self._http_retry = patience(patience_s)

    # Messages -------------------------------------------------------------------------

    def topics(self) -> dict[str, Topic]:
        """Every topic of the project, by name."""
        with translated("listing topics"):
            found = list(
                self._publisher.list_topics(
                    project=f"projects/{self._settings.project}", timeout=self._patience, retry=self._retry
                )
            )
        return {
            _last(item.name): Topic(
                _last(item.name),
                _seconds(item, "message_retention_duration"),
                tuple(item.message_storage_policy.allowed_persistence_regions),
            )
            for item in found
        }

    def subscriptions(self) -> dict[str, Subscription]:
        """Every subscription of the project, by name."""
        with translated("listing subscriptions"):
            found = list(
                self._subscriber.list_subscriptions(
                    project=f"projects/{self._settings.project}", timeout=self._patience, retry=self._retry
                )
            )
        return {_last(item.name): _subscription(item) for item in found}

    def backlog(self, subscription: str, at_most: int = 10) -> int:
        """How many messages wait in ``subscription``, up to ``at_most``; they are put back at once."""
        from google.pubsub_v1.types import PullRequest

        name = f"projects/{self._settings.project}/subscriptions/{subscription}"
        with translated(f"looking into subscription {subscription}"):
            # The client warns of return_immediately; without it, a pull that gives up may still get a message.
            pull = wrap_errors(self._subscriber.transport.pull)  # type: ignore[no-untyped-call]
            request = PullRequest(subscription=name, max_messages=at_most, return_immediately=True)
            found = pull(request, timeout=self._patience)
            ids = [item.ack_id for item in found.received_messages]
            if ids:
                self._subscriber.modify_ack_deadline(
                    subscription=name, ack_ids=ids, ack_deadline_seconds=0, timeout=self._patience
                )
        return len(ids)

    def jobs(self) -> dict[str, Job]:
        """Every job of Cloud Scheduler in the region, by name."""
        from google.cloud.scheduler_v1 import Job as SchedulerJob

        with translated("listing Scheduler jobs"):
            found = list(
                self._scheduler.list_jobs(parent=parent(self._settings), timeout=self._patience, retry=self._retry)
            )
        return {
            _last(item.name): Job(
                name=_last(item.name),
                cron=item.schedule,
                time_zone=item.time_zone,
                topic=_last(item.pubsub_target.topic_name),
                body=_decoded(item.pubsub_target.data),
                paused=item.state == SchedulerJob.State.PAUSED,
            )
            for item in found
        }

    # Storage and tables -----------------------------------------------------------------

    def bucket(self, name: str) -> Bucket | None:
        """The bucket, or None when there is none."""
        with translated(f"looking at bucket {name}"):
            found = self._storage.lookup_bucket(name, timeout=self._patience, retry=self._http_retry)
        if found is None:
            return None
        guard = found.iam_configuration
        return Bucket(
            name,
            str(found.location or "").lower(),
            bool(found.versioning_enabled),
            bool(guard.uniform_bucket_level_access_enabled),
            str(guard.public_access_prevention),
        )

    def probe(self, name: str) -> list[str]:
        """Write, read and delete an object of ``name``; what went otherwise than it must, one sentence each."""
        problems: list[str] = []
        blob = self._storage.bucket(name).blob(f"{_PROBE}{secrets.token_hex(8)}")
        body = secrets.token_hex(8)
        with translated(f"probing bucket {name}"):
            blob.upload_from_string(body, if_generation_match=0, timeout=self._patience, retry=self._http_retry)
            try:
                if blob.download_as_bytes(timeout=self._patience).decode() != body:
                    problems.append("what was read is not what was written")
                second = self._storage.bucket(name).blob(blob.name)
                try:
                    second.upload_from_string(
                        "second", if_generation_match=0, timeout=self._patience, retry=self._http_retry
                    )
                    problems.append("a second create of the same object was not refused")
                except PreconditionFailed:
                    pass
            finally:
                self._storage.bucket(name).blob(blob.name).delete(timeout=self._patience)
            if self._storage.bucket(name).blob(blob.name).exists(timeout=self._patience):
                problems.append("a deleted object is still there")
        return problems

    def dataset(self, name: str) -> Dataset | None:
        """The dataset, or None when there is none."""
        client = self._bigquery.client
        with translated(f"looking at dataset {name}"):
            try:
                found = client.get_dataset(
                    f"{client.project}.{name}", timeout=self._patience, retry=self._http_retry
                )
            except NotFound:
                return None
        return Dataset(name, str(found.location or "").lower())

    def table(self, name: str) -> Table | None:
        """The table ``dataset.table``, or None when there is none."""
        client = self._bigquery.client
        with translated(f"looking at table {name}"):
            try:
                found = client.get_table(f"{client.project}.{name}", timeout=self._patience, retry=self._http_retry)
            except NotFound:
                return None
        partitioning = found.time_partitioning
        return Table(
            name,
            {item.name: (_SHORT.get(item.field_type, item.field_type), item.mode) for item in found.schema},
            partitioning.field if partitioning else None,
        )

    def labels(self, spec: ModelSpec, since: datetime, now: datetime) -> Labels:
        """Ages of the rows in [since, now) of the model's table, and which have labels."""
        text = statement(
            "label_ages",
            table=table(f"{self._bigquery.client.project}.{spec.source.table}"),
            timestamp=column(spec.source.timestamp),
            label=column(spec.source.label),
        )
        dataset = spec.source.table.partition(".")[0]
        rows = self._bigquery.rows(Query(text, dataset, "doctor-labels", {"since": since, "now": now}))
        return Labels(
            newest=max((row["newest"] for row in rows), default=None),
            newest_labelled=max((row["newest_labelled"] for row in rows if row["newest_labelled"]), default=None),
            ages=tuple(LabelAge(row["age_hours"], row["row_count"], row["labelled"]) for row in rows),
        )

    # Serving ----------------------------------------------------------------------------

    def endpoints(self) -> list[Endpoint]:
        """Every endpoint of the region."""
        from google.cloud.aiplatform_v1 import EndpointServiceClient

        with translated("listing endpoints"):
            client = connect(EndpointServiceClient, self._settings)
            request = {"parent": parent(self._settings), "page_size": 100}
            found = list(client.list_endpoints(request=request, timeout=self._patience, retry=self._retry))
        return [
            Endpoint(
                name=item.name,
                display_name=item.display_name,
                log=item.predict_request_response_logging_config.bigquery_destination.output_uri
                if item.predict_request_response_logging_config.enabled
                else "",
                deployed=tuple(sorted(one.id for one in item.deployed_models)),
            )
            for item in found
        ]

    # Clients, built when they are first used ------------------------------------------------

    @cached_property
    def _publisher(self) -> "PublisherClient":
        from google.cloud.pubsub_v1 import PublisherClient

        return PublisherClient()

    @cached_property
    def _subscriber(self) -> "SubscriberClient":
        from google.cloud.pubsub_v1 import SubscriberClient

        return SubscriberClient()

    @cached_property
    def _scheduler(self) -> "CloudSchedulerClient":
        from google.cloud.scheduler_v1 import CloudSchedulerClient

        if not self._scheduler_api:
            return CloudSchedulerClient()
        transport = CloudSchedulerClient.get_transport_class("grpc")
        return CloudSchedulerClient(transport=transport(channel=grpc.insecure_channel(self._scheduler_api)))

    @cached_property
    def _storage(self) -> Any:
        return connect_storage(self._settings.project)

    @cached_property
    def _bigquery(self) -> BigQuery:
        return BigQuery(connect_bigquery(self._settings.project))


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _seconds(item: Any, field: str) -> float | None:
    value = getattr(item, field)
    return float(value.total_seconds()) if value else None


def _decoded(data: bytes) -> Any:
    text = data.decode(errors="replace")
    try:
        return json.loads(text)
    except ValueError:
        return text


def _subscription(item: Any) -> Subscription:
    token, dead, policy = item.push_config.oidc_token, item.dead_letter_policy, item.retry_policy
    has: Callable[[str], bool] = type(item).pb(item).HasField
    return Subscription(
        name=_last(item.name),
        topic=_last(item.topic),
        endpoint=item.push_config.push_endpoint,
        account=token.service_account_email,
        audience=token.audience,
        dead_letter_topic=_last(dead.dead_letter_topic),
        max_attempts=dead.max_delivery_attempts,
        min_backoff_s=_seconds(policy, "minimum_backoff") if has("retry_policy") else None,
        max_backoff_s=_seconds(policy, "maximum_backoff") if has("retry_policy") else None,
        ack_deadline_s=item.ack_deadline_seconds,
        retention_s=_seconds(item, "message_retention_duration") or 0.0,
        # A policy that is there and says nothing is "never"; without one Google ends it after 31 idle days.
        expires_s=_seconds(item.expiration_policy, "ttl") if has("expiration_policy") else 2_678_400.0,
    )
