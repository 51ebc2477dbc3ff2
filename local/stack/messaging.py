"""Topics, push subscriptions and Scheduler jobs, created where they are missing and corrected where they differ."""

import contextlib
import json
from collections.abc import Mapping
from datetime import timedelta

import google.cloud.pubsub_v1 as pubsub_v1
import grpc
from google.api_core.exceptions import AlreadyExists
from google.cloud import scheduler_v1
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.pubsub_v1 import types

from local.stack.resources import Delivery, Job, Resources

_CHANGEABLE = FieldMask(paths=["push_config", "retry_policy", "dead_letter_policy", "ack_deadline_seconds"])


def create_topics(project: str, resources: Resources) -> None:
    """Every topic, and a subscription that keeps what could not be delivered."""
    publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
    for topic in resources.topics:
        with contextlib.suppress(AlreadyExists):
            publisher.create_topic(name=_topic(project, topic))
    kept = types.Subscription(
        name=_subscription(project, resources.delivery.dead_letter_subscription),
        topic=_topic(project, resources.delivery.dead_letter_topic),
        message_retention_duration=Duration(seconds=resources.delivery.retention_s),
    )
    with contextlib.suppress(AlreadyExists):
        subscriber.create_subscription(kept)
    subscriber.close()


def create_subscriptions(project: str, resources: Resources, functions: str) -> None:
    """A push subscription for each function; ``functions`` is the base address under which each has its name."""
    subscriber = pubsub_v1.SubscriberClient()
    for name, wanted in resources.subscriptions.items():
        push = types.PushConfig(push_endpoint=f"{functions}/{wanted.function}")
        subscription = types.Subscription(
            name=_subscription(project, name),
            topic=_topic(project, wanted.topic),
            push_config=push,
            **_delivery(project, resources.delivery),
        )
        try:
            subscriber.create_subscription(subscription)
        except AlreadyExists:
            # The host of the functions may listen elsewhere than last time.
            subscriber.update_subscription(subscription=subscription, update_mask=_CHANGEABLE)
    subscriber.close()


def create_jobs(project: str, region: str, jobs: Mapping[str, Job], address: str) -> None:
    """Exactly these Scheduler jobs at ``address`` (host:port): those of models that are gone go, too."""
    transport = scheduler_v1.CloudSchedulerClient.get_transport_class("grpc")
    client = scheduler_v1.CloudSchedulerClient(transport=transport(channel=grpc.insecure_channel(address)))
    parent = f"projects/{project}/locations/{region}"
    known = {job.name for job in client.list_jobs(parent=parent)}
    for name, job in jobs.items():
        wanted = scheduler_v1.Job(
            name=f"{parent}/jobs/{name}",
            schedule=job.cron,
            time_zone=job.time_zone,
            pubsub_target=scheduler_v1.PubsubTarget(
                topic_name=_topic(project, job.topic), data=json.dumps(job.body).encode()
            ),
        )
        if wanted.name in known:
            client.update_job(job=wanted)
        else:
            client.create_job(parent=parent, job=wanted)
    for name in known - {f"{parent}/jobs/{name}" for name in jobs}:
        client.delete_job(name=name)


def _delivery(project: str, delivery: Delivery) -> dict[str, object]:
    return {
        "ack_deadline_seconds": delivery.ack_deadline_s,
        "message_retention_duration": timedelta(seconds=delivery.retention_s),
        "retry_policy": types.RetryPolicy(
            minimum_backoff=timedelta(seconds=delivery.min_backoff_s),
            maximum_backoff=timedelta(seconds=delivery.max_backoff_s),
        ),
        "dead_letter_policy": types.DeadLetterPolicy(
            dead_letter_topic=_topic(project, delivery.dead_letter_topic),
            max_delivery_attempts=delivery.max_attempts,
        ),
    }


def _topic(project: str, name: str) -> str:
    return f"projects/{project}/topics/{name}"


def _subscription(project: str, name: str) -> str:
    return f"projects/{project}/subscriptions/{name}"
