"""Makes the protobuf messages of the installed Vertex AI client, and reads the few value types they share."""

from datetime import UTC, datetime
from typing import Any

from google.cloud import aiplatform_v1
from google.protobuf import struct_pb2, timestamp_pb2
from google.rpc import status_pb2

JobState = aiplatform_v1.JobState
PipelineState = aiplatform_v1.PipelineState
TrialState = aiplatform_v1.Trial.State


def new(type_name: str, **fields: Any) -> Any:
    """A raw protobuf message of ``aiplatform_v1``, such as ``new("CustomJob", display_name="a")``."""
    return getattr(aiplatform_v1, type_name).pb()(**fields)


def stamp(moment: datetime) -> Any:
    """``moment`` as a protobuf Timestamp."""
    message = timestamp_pb2.Timestamp()
    message.FromDatetime(moment.astimezone(UTC))
    return message


def status(code: int, message: str) -> Any:
    """A google.rpc.Status with the number of a gRPC code."""
    return status_pb2.Status(code=code, message=message)


def to_python(value: Any) -> Any:
    """A protobuf Value as plain Python; a whole number becomes an int, as in Google's JSON."""
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "struct_value":
        return {key: to_python(item) for key, item in value.struct_value.fields.items()}
    if kind == "list_value":
        return [to_python(item) for item in value.list_value.values]
    return None if kind in (None, "null_value") else getattr(value, kind)


def to_value(item: Any) -> Any:
    """Plain Python (what ``json.loads`` gives) as a protobuf Value. Raises ValueError for anything else."""
    value = struct_pb2.Value()
    _fill(value, item)
    return value


def _fill(value: Any, item: Any) -> None:
    match item:
        case None:
            value.null_value = struct_pb2.NULL_VALUE
        case bool():
            value.bool_value = item
        case int() | float():
            value.number_value = item
        case str():
            value.string_value = item
        case list():
            value.list_value.SetInParent()
            for element in item:
                _fill(value.list_value.values.add(), element)
        case dict():
            value.struct_value.SetInParent()
            for key, element in item.items():
                _fill(value.struct_value.fields[key], element)
        case _:
            raise ValueError(f"expected a JSON value, got {type(item).__name__}")
