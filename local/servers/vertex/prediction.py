"""Online prediction: the endpoint's split picks a deployed model, its server answers, the log gets a copy.

``Endpoint.raw_predict`` of the high-level SDK posts to ``https://REGION-aiplatform.googleapis.com`` whatever
``api_endpoint`` says, and has no setting for it (2.7.0). RawPredict works here through the GAPIC
``PredictionServiceClient``, over gRPC and REST, and as plain HTTP at ``/v1/ENDPOINT:rawPredict``.
"""

import json
import random
import threading
from collections.abc import Mapping
from typing import Any, NoReturn

import grpc
from google.api import httpbody_pb2

from local.servers.rpc import RpcError, failed_precondition, invalid
from local.servers.vertex.calls import Handler
from local.servers.vertex.endpoints import Endpoints
from local.servers.vertex.messages import new, to_python, to_value
from local.servers.vertex.models import Models
from local.servers.vertex.request_log import RequestLog
from local.servers.vertex.rules import missing_field
from local.servers.vertex.servers import ModelServers
from local.servers.vertex.serving_metrics import ServingMetrics

_LIMIT_BYTES = 1_572_864
_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}


class Prediction:
    """The calls that predict."""

    def __init__(
        self,
        endpoints: Endpoints,
        models: Models,
        servers: ModelServers,
        log: RequestLog,
        metrics: ServingMetrics,
        random_seed: int | None,
    ) -> None:
        self._endpoints = endpoints
        self._models = models
        self._servers = servers
        self._log = log
        self._metrics = metrics
        self._random = random.Random(random_seed)
        self._lock = threading.Lock()

    def handlers(self) -> Mapping[str, Handler]:
        """Predict and RawPredict."""
        return {"Predict": self._predict, "RawPredict": self._raw_predict}

    def _predict(self, request: Any) -> Any:
        if not request.instances:
            raise missing_field("instances")
        _check_size(request)
        endpoint = self._endpoints.get(request.endpoint)
        deployed = self._choose(endpoint)
        instances = [to_python(instance) for instance in request.instances]
        body: dict[str, Any] = {"instances": instances}
        if request.HasField("parameters"):
            body["parameters"] = to_python(request.parameters)
        with self._metrics.answer(endpoint.name, deployed.id):
            answer = self._ask(endpoint, deployed, json.dumps(body).encode())
        response = new(
            "PredictResponse",
            deployed_model_id=deployed.id,
            model=deployed.model,
            model_version_id=deployed.model_version_id,
            model_display_name=self._models.version(f"{deployed.model}@{deployed.model_version_id}").display_name,
        )
        response.predictions.extend(to_value(prediction) for prediction in answer["predictions"])
        if "metadata" in answer:
            response.metadata.CopyFrom(to_value(answer["metadata"]))
        self._log.add(endpoint, deployed.id, instances, answer["predictions"])
        return response

    def _raw_predict(self, request: Any) -> Any:
        _check_size(request)
        endpoint = self._endpoints.get(request.endpoint)
        deployed = self._choose(endpoint)
        content_type = request.http_body.content_type or "application/json"
        with self._metrics.answer(endpoint.name, deployed.id):
            server = self._servers.get(endpoint.name, deployed.id)
            code, data, answer_type = server.post(request.http_body.data, content_type)
            if code >= 300:
                _refuse(code, data, deployed.id)
        self._log.add_raw(endpoint, deployed.id, request.http_body.data, data)
        return httpbody_pb2.HttpBody(content_type=answer_type, data=data)

    def _choose(self, endpoint: Any) -> Any:
        split = endpoint.traffic_split
        if not split:
            raise failed_precondition(f"The Endpoint {endpoint.name!r} doesn't have a traffic_split.")
        ids = sorted(split)
        with self._lock:
            (chosen,) = self._random.choices(ids, [split[key] for key in ids])
        return next(deployed for deployed in endpoint.deployed_models if deployed.id == chosen)

    def _ask(self, endpoint: Any, deployed: Any, body: bytes) -> dict[str, Any]:
        """The server's JSON answer, with its list ``predictions``."""
        code, data, _ = self._servers.get(endpoint.name, deployed.id).post(body, "application/json")
        if code >= 300:
            _refuse(code, data, deployed.id)
        try:
            answer = json.loads(data, parse_constant=_no_constant)
        except ValueError as error:
            raise _bad_answer(deployed.id, f"{error}: {data[:200]!r}") from error
        if not isinstance(answer, dict) or not isinstance(answer.get("predictions"), list):
            raise _bad_answer(deployed.id, repr(data[:200]))
        return answer


def _check_size(request: Any) -> None:
    size = request.ByteSize()
    if size > _LIMIT_BYTES:
        raise invalid(f"The request size ({size} bytes) exceeds {_LIMIT_BYTES} bytes limit.")


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _bad_answer(deployed: str, what: str) -> RpcError:
    return RpcError(
        grpc.StatusCode.INTERNAL,
        f'The model server of DeployedModel {deployed} must answer JSON {{"predictions": [...]}}, got {what}',
    )


def _refuse(code: int, data: bytes, deployed: str) -> NoReturn:
    text = data.decode("utf-8", errors="replace")[:2000]
    status = _CODES.get(code, grpc.StatusCode.INVALID_ARGUMENT if code < 500 else grpc.StatusCode.INTERNAL)
    raise RpcError(status, f"The model server of DeployedModel {deployed} answered HTTP {code}: {text}")
