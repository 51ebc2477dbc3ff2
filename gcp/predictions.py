"""Questions to an endpoint, as its clients ask them: through the serving API and its traffic split."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.cloud.aiplatform_v1 import PredictionServiceClient
from google.protobuf import json_format, struct_pb2

from gcp.errors import translated
from gcp.vertex import connect
from retraining.settings import Settings

PATIENCE_SECONDS = 60.0  # a replica that just started may be slow once


@dataclass(frozen=True)
class Answered:
    """What an endpoint said."""

    answers: list[Any]  # JSON values, one for each instance if all is well
    deployed_id: str  # which deployed model answered
    seconds: float


class VertexPredictions:
    """Predictions of Vertex AI endpoints."""

    def __init__(self, settings: Settings) -> None:
        self._client = connect(PredictionServiceClient, settings)

    def ask(self, endpoint: str, instances: Sequence[Mapping[str, Any]]) -> Answered:
        """The answers of ``endpoint`` (a full resource name) to raw rows. Raises Refused or Temporary."""
        values = [json_format.ParseDict(dict(one), struct_pb2.Value()) for one in instances]
        began = time.perf_counter()
        with translated(f"asking {endpoint}"):
            answer = self._client.predict(endpoint=endpoint, instances=values, timeout=PATIENCE_SECONDS)
        seconds = time.perf_counter() - began
        raw = type(answer).pb(answer).predictions
        return Answered([_plain(one) for one in raw], answer.deployed_model_id, seconds)


def _plain(value: struct_pb2.Value) -> Any:
    """The JSON value. By hand: the library's converter refuses NaN and infinity, which are to be seen."""
    match value.WhichOneof("kind"):
        case "struct_value":
            return {name: _plain(one) for name, one in value.struct_value.fields.items()}
        case "list_value":
            return [_plain(one) for one in value.list_value.values]
        case "number_value":
            return value.number_value
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case _:
            return None
