"""Delivers one attempt of a job to its target. An exception is a failed attempt."""

import http.client
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import grpc
from google.cloud.scheduler_v1 import HttpMethod
from google.pubsub_v1 import PublisherClient, PubsubMessage
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

Publish = Callable[[str, bytes, Mapping[str, str]], None]
"""Publishes (topic, data, attributes)."""

_PUBLISH_SECONDS = 10.0
AGENT = "Google-Cloud-Scheduler"


def pubsub_publisher(address: str) -> Publish:
    """Publishes through the real client to the Pub/Sub at ``address`` (host:port)."""
    client = PublisherClient(transport=PublisherGrpcTransport(channel=grpc.insecure_channel(address)))

    def publish(topic: str, data: bytes, attributes: Mapping[str, str]) -> None:
        message = PubsubMessage(data=data, attributes=dict(attributes))
        # The job's own retry settings decide what follows a failure.
        client.publish(topic=topic, messages=[message], retry=None, timeout=_PUBLISH_SECONDS)

    return publish


def attempt(job: Any, slot: datetime, publish: Publish) -> None:
    """Make one attempt. Raises when the target refuses or cannot be reached."""
    if job.WhichOneof("target") == "pubsub_target":
        # As with Google, no attribute tells the slot or the job: the message is what the job's author wrote.
        publish(job.pubsub_target.topic_name, job.pubsub_target.data, job.pubsub_target.attributes)
    else:
        _request(job, slot)


def _request(job: Any, slot: datetime) -> None:
    target, parts = job.http_target, urlsplit(job.http_target.uri)
    headers = {
        "User-Agent": AGENT,
        "X-CloudScheduler": "true",
        "X-CloudScheduler-JobName": job.name.rsplit("/", 1)[1],
        "X-CloudScheduler-ScheduleTime": slot.isoformat(),
        **({"Content-Type": "application/octet-stream"} if target.body else {}),
        **target.headers,
    }
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=job.attempt_deadline.ToTimedelta().total_seconds())
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(HttpMethod(target.http_method).name, path, target.body or None, headers)
        response = connection.getresponse()
        text = response.read()
    finally:
        connection.close()
    if not 200 <= response.status < 300:
        raise ConnectionError(f"{target.uri} answered {response.status}: {text[:200].decode(errors='replace')}")
