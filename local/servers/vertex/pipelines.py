"""Training pipelines: data for a custom job, the job, and the model that it leaves, as one resource."""

import threading
from collections.abc import Mapping
from typing import Any

import grpc
from google.api_core.exceptions import GoogleAPICallError
from google.protobuf import json_format
from requests.exceptions import ConnectionError as RequestsConnectionError

from local.servers.rpc import RpcError, failed_precondition, invalid
from local.servers.vertex.calls import Handler
from local.servers.vertex.errors import unimplemented
from local.servers.vertex.images import CannotRun
from local.servers.vertex.jobs import CustomJobs, Machine
from local.servers.vertex.listing import page
from local.servers.vertex.messages import JobState, PipelineState, new, stamp, status, to_python, to_value
from local.servers.vertex.models import Models
from local.servers.vertex.operations import empty
from local.servers.vertex.rules import display_name, labels, location_of, required
from local.servers.vertex.splits import export
from local.servers.vertex.storage import any_object_under
from local.servers.vertex.workers import check_job_spec

_KIND = "TrainingPipeline"
_CUSTOM_TASK = "gs://google-cloud-aiplatform/schema/trainingjob/definition/custom_task_1.0.0.yaml"
_ENDED = frozenset(
    {
        PipelineState.PIPELINE_STATE_SUCCEEDED,
        PipelineState.PIPELINE_STATE_FAILED,
        PipelineState.PIPELINE_STATE_CANCELLED,
    }
)
_BY_JOB = {
    JobState.JOB_STATE_SUCCEEDED: PipelineState.PIPELINE_STATE_SUCCEEDED,
    JobState.JOB_STATE_CANCELLED: PipelineState.PIPELINE_STATE_CANCELLED,
}


class TrainingPipelines:
    """The calls about training pipelines."""

    def __init__(self, machine: Machine, jobs: CustomJobs, models: Models) -> None:
        self._machine = machine
        self._jobs = jobs
        self._models = models
        self._job_of: dict[str, str] = {}
        self._threads: set[threading.Thread] = set()
        for name, pipeline in machine.store.under("projects/", "trainingPipelines"):
            if pipeline.state not in _ENDED:
                self._end(name, PipelineState.PIPELINE_STATE_FAILED, "the server stopped while it was under way")

    def handlers(self) -> Mapping[str, Handler]:
        """The calls about training pipelines."""
        return {
            "CreateTrainingPipeline": self._create,
            "GetTrainingPipeline": lambda request: self._machine.store.get(request.name, _KIND),
            "ListTrainingPipelines": lambda request: page(
                self._machine.store.children(f"{request.parent}/trainingPipelines"),
                request,
                new("ListTrainingPipelinesResponse"),
            ),
            "CancelTrainingPipeline": self._cancel,
            "DeleteTrainingPipeline": self._delete,
        }

    def _create(self, request: Any) -> Any:
        wanted = request.training_pipeline
        required(request, "parent")
        display_name(wanted.display_name, "training_pipeline.display_name")
        required(wanted, "training_task_definition", "training_task_inputs")
        labels(wanted.labels)
        if wanted.training_task_definition != _CUSTOM_TASK:
            raise unimplemented(f"a training pipeline of {wanted.training_task_definition}")
        spec = _job_spec(wanted.training_task_inputs)
        if wanted.HasField("model_to_upload"):
            display_name(wanted.model_to_upload.display_name, "training_pipeline.model_to_upload.display_name")
        pipeline = new(_KIND)
        pipeline.CopyFrom(wanted)
        store, moment = self._machine.store, stamp(self._machine.now())
        pipeline.name = f"{request.parent}/trainingPipelines/{store.next_id()}"
        pipeline.state = PipelineState.PIPELINE_STATE_PENDING
        pipeline.create_time.CopyFrom(moment)
        pipeline.update_time.CopyFrom(moment)
        store.put(pipeline.name, pipeline)
        thread = threading.Thread(target=self._start, args=(pipeline, spec), daemon=True, name="pipeline")
        self._threads.add(thread)
        thread.start()
        return pipeline

    def close(self) -> None:
        """Wait until no pipeline is about to start a job any more."""
        for thread in list(self._threads):
            thread.join(timeout=15)

    def _start(self, pipeline: Any, spec: Any) -> None:
        try:
            env = self._data(pipeline)
            wanted = new("CustomJob", display_name=f"{pipeline.display_name}-custom-job", job_spec=spec)
            wanted.labels.update(pipeline.labels)
            with self._machine.store.edit(pipeline.name, _KIND) as draft:
                if draft.state in (PipelineState.PIPELINE_STATE_CANCELLING, *_ENDED):
                    raise CannotRun("it was cancelled before it began")
                job = self._jobs.create(
                    location_of(pipeline.name), wanted, env, lambda job: self._job_ended(pipeline.name, spec, job)
                )
                self._job_of[pipeline.name] = job.name
                draft.state = PipelineState.PIPELINE_STATE_RUNNING
                draft.start_time.CopyFrom(stamp(self._machine.now()))
                draft.training_task_metadata.CopyFrom(to_value({"backingCustomJob": job.name}))
        except (CannotRun, RpcError) as error:
            cancelled = (
                self._machine.store.get(pipeline.name, _KIND).state == PipelineState.PIPELINE_STATE_CANCELLING
            )
            state = PipelineState.PIPELINE_STATE_CANCELLED if cancelled else PipelineState.PIPELINE_STATE_FAILED
            self._end(pipeline.name, state, str(error))
        finally:
            self._threads.discard(threading.current_thread())

    def _data(self, pipeline: Any) -> dict[str, str]:
        if not pipeline.HasField("input_data_config"):
            return {}
        config = pipeline.input_data_config
        name = f"{location_of(pipeline.name)}/datasets/{config.dataset_id}"
        dataset = self._machine.store.find(name)
        if dataset is None:
            raise CannotRun(f"the Dataset {name!r} was not found")
        return export(dataset, config, self._machine.now())

    def _job_ended(self, name: str, spec: Any, job: Any) -> None:
        self._job_of.pop(name, None)
        state = _BY_JOB.get(job.state, PipelineState.PIPELINE_STATE_FAILED)
        if state != PipelineState.PIPELINE_STATE_SUCCEEDED:
            self._end(name, state, job.error.message)
            return
        try:
            self._upload(name, f"{spec.base_output_directory.output_uri_prefix.rstrip('/')}/model")
        except (RpcError, CannotRun, GoogleAPICallError, RequestsConnectionError, ValueError) as error:
            self._end(name, PipelineState.PIPELINE_STATE_FAILED, f"the model cannot be uploaded: {error}")
        else:
            self._end(name, PipelineState.PIPELINE_STATE_SUCCEEDED, "")

    def _upload(self, name: str, folder: str) -> None:
        pipeline = self._machine.store.get(name, _KIND)
        if not pipeline.HasField("model_to_upload"):
            return
        if not any_object_under(f"{folder}/"):
            raise CannotRun(f"there are no files under {folder} (AIP_MODEL_DIR)")
        wanted = new("Model")
        wanted.CopyFrom(pipeline.model_to_upload)
        wanted.artifact_uri, wanted.training_pipeline = folder, name
        model = self._models.upload(location_of(name), wanted, pipeline.parent_model, pipeline.model_id)
        with self._machine.store.edit(name, _KIND) as draft:
            draft.model_to_upload.CopyFrom(model)

    def _end(self, name: str, state: int, reason: str) -> None:
        with self._machine.store.edit(name, _KIND) as draft:
            moment = stamp(self._machine.now())
            draft.state = state
            draft.end_time.CopyFrom(moment)
            draft.update_time.CopyFrom(moment)
            if state == PipelineState.PIPELINE_STATE_FAILED:
                draft.error.CopyFrom(status(grpc.StatusCode.INTERNAL.value[0], reason))

    def _cancel(self, request: Any) -> Any:
        with self._machine.store.edit(request.name, _KIND) as draft:
            if draft.state not in _ENDED:
                draft.state = PipelineState.PIPELINE_STATE_CANCELLING
        job = self._job_of.get(request.name)
        if job is not None:
            self._jobs.cancel(job)
        return empty()

    def _delete(self, request: Any) -> Any:
        pipeline = self._machine.store.get(request.name, _KIND)
        if pipeline.state not in _ENDED:
            state = PipelineState(pipeline.state).name
            raise failed_precondition(f"The {_KIND} {request.name!r} is {state}; cancel it before it is deleted.")
        self._machine.store.delete(request.name)
        return self._machine.operations.finished(request.name, "DeleteOperationMetadata", empty())


def _job_spec(inputs: Any) -> Any:
    """The CustomJobSpec in a pipeline's task inputs. Raises INVALID_ARGUMENT."""
    try:
        spec = json_format.ParseDict(to_python(inputs), new("CustomJobSpec"))
    except json_format.ParseError as error:
        raise invalid(f"training_task_inputs: {error}") from error
    check_job_spec(spec, "training_task_inputs")
    return spec
