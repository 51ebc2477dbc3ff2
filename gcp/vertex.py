"""How every Vertex AI client is built, called and read: over gRPC, with a time limit, in plain values."""

from datetime import UTC, datetime
from typing import Any

import grpc
from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type
from google.cloud.aiplatform_v1 import AcceleratorType, MachineSpec

from gcp.errors import translated
from retraining.errors import Refused
from retraining.modelspec import Machine
from retraining.settings import Settings

CALL_SECONDS = 30.0  # Vertex AI's clients wait for ever unless told otherwise
READS = Retry(
    predicate=if_exception_type(exceptions.ServiceUnavailable, exceptions.TooManyRequests),
    initial=0.2,
    maximum=4.0,
    timeout=20.0,
)  # what only reads may be repeated at once; what writes is looked at again on the next tick


def connect[C](client: type[C], settings: Settings) -> C:
    """A client of the settings' region, or of the server that ``vertex_api`` names."""
    kind: Any = client
    if not settings.vertex_api:
        address = f"{settings.region}-aiplatform.googleapis.com"
        with translated("connecting to Vertex AI"):
            return kind(client_options={"api_endpoint": address})  # type: ignore[no-any-return]
    transport = kind.get_transport_class("grpc")
    return kind(transport=transport(channel=grpc.insecure_channel(settings.vertex_api)))  # type: ignore[no-any-return]


def parent(settings: Settings) -> str:
    """The resource under which jobs, models and endpoints live."""
    return f"projects/{settings.project}/locations/{settings.region}"


def machine_spec(machine: Machine) -> MachineSpec:
    """The machine in Vertex AI's words. Raises Refused when it does not know the accelerator."""
    spec = MachineSpec(machine_type=machine.type)
    if machine.accelerator is not None and machine.accelerator_count:
        known = AcceleratorType.__members__
        if machine.accelerator not in known:
            raise Refused(f"accelerator {machine.accelerator!r}: expected one of {', '.join(sorted(known))}")
        spec.accelerator_type = known[machine.accelerator]
        spec.accelerator_count = machine.accelerator_count
    return spec


def moment(value: datetime | None) -> datetime | None:
    """A time of an answer as a plain datetime; None when it is not set."""
    return None if value is None else datetime.combine(value.date(), value.time(), UTC)


def versioned(model: str, version: str) -> str:
    """The full model name with @version, whether or not the answer's name carried one."""
    return f"{model.partition('@')[0]}@{version}"
