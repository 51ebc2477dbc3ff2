"""Calls over gRPC and the permissions they need: Vertex AI and Pub/Sub.

https://cloud.google.com/vertex-ai/docs/general/iam-permissions lists Vertex AI's by operation; all of them are held
against the project here, where the roles are granted.
"""

from collections.abc import Callable, Mapping
from typing import Any

from google.pubsub_v1 import types as pubsub

from local.recording.calls import Call
from local.recording.needs import Need, UnknownCall
from local.servers.vertex.routes import vertex_api

_V1 = "/google.cloud.aiplatform.v1."
_OPERATION = "/google.longrunning.Operations/GetOperation"
_PUBLISH = "/google.pubsub.v1.Publisher/Publish"

# Who starts a job or deploys a model that acts as an account must be allowed to act as it
# (https://cloud.google.com/vertex-ai/docs/general/custom-service-account).
_ACT = "iam.serviceAccounts.actAs"

# Method → permission, and where the request says whom the work acts as.
_VERTEX: Mapping[str, tuple[str, Callable[[Any], str] | None]] = {
    "JobService/CreateCustomJob": (
        "aiplatform.customJobs.create",
        lambda request: request.custom_job.job_spec.service_account,
    ),
    "JobService/GetCustomJob": ("aiplatform.customJobs.get", None),
    "JobService/ListCustomJobs": ("aiplatform.customJobs.list", None),
    "JobService/CancelCustomJob": ("aiplatform.customJobs.cancel", None),
    "JobService/CreateHyperparameterTuningJob": (
        "aiplatform.hyperparameterTuningJobs.create",
        lambda request: request.hyperparameter_tuning_job.trial_job_spec.service_account,
    ),
    "JobService/GetHyperparameterTuningJob": ("aiplatform.hyperparameterTuningJobs.get", None),
    "JobService/ListHyperparameterTuningJobs": ("aiplatform.hyperparameterTuningJobs.list", None),
    "JobService/CancelHyperparameterTuningJob": ("aiplatform.hyperparameterTuningJobs.cancel", None),
    "ModelService/UploadModel": ("aiplatform.models.upload", None),
    "ModelService/GetModel": ("aiplatform.models.get", None),
    "ModelService/ListModels": ("aiplatform.models.list", None),
    "ModelService/UpdateModel": ("aiplatform.models.update", None),
    "ModelService/MergeVersionAliases": ("aiplatform.models.update", None),  # not in the list; by analogy
    "EndpointService/GetEndpoint": ("aiplatform.endpoints.get", None),
    "EndpointService/ListEndpoints": ("aiplatform.endpoints.list", None),
    "EndpointService/UpdateEndpoint": ("aiplatform.endpoints.update", None),
    "EndpointService/DeployModel": (
        "aiplatform.endpoints.deploy",
        lambda request: request.deployed_model.service_account,
    ),
    "EndpointService/UndeployModel": ("aiplatform.endpoints.undeploy", None),
    "PredictionService/Predict": ("aiplatform.endpoints.predict", None),
    "PredictionService/RawPredict": ("aiplatform.endpoints.predict", None),
}


def needs(call: Call) -> tuple[Need, ...]:
    """What a call over gRPC needs. Raises UnknownCall."""
    if call.method == _PUBLISH:
        return (Need("pubsub.topics.publish", "topic", pubsub.PublishRequest.deserialize(call.body).topic),)
    if call.method == _OPERATION:
        return (_of_operation(call),)
    known = _VERTEX.get(call.method.removeprefix(_V1)) if call.method.startswith(_V1) else None
    if known is None:
        raise UnknownCall(f"{call}: expected a method that local/recording/rpcs.py knows")
    permission, actor = known
    needed = Need(permission, "project")
    if actor is None:
        return (needed,)
    account = actor(_request(call))
    if not account:
        raise UnknownCall(
            f"{call}: expected an account to act as; without one it would act as Vertex AI's own agent"
        )
    return (needed, Need(_ACT, "account", account))


def _request(call: Call) -> Any:
    return vertex_api().rpcs[call.method].request.FromString(call.body)


def _of_operation(call: Call) -> Need:
    """Looking at projects/P/locations/L/KIND/ID/operations/O needs what looking at KIND/ID needs."""
    name = str(_request(call).name)
    parts = name.split("/")
    if len(parts) < 8 or parts[-2] != "operations" or parts[4] not in ("endpoints", "models"):
        raise UnknownCall(f"operation {name}: expected one of an endpoint or a model")
    return Need(f"aiplatform.{parts[4]}.get", "project")
