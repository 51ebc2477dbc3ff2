"""Training pipelines give a job its data, run it and register the model that it leaves."""

from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import aiplatform_v1 as v1
from google.cloud.aiplatform import training_jobs
from google.protobuf import json_format, struct_pb2
from vertexkit import MODEL_IMAGE, PARENT, PYTHON_IMAGE, Clients, finish, python_pool, until

State = v1.PipelineState
ENDED = {State.PIPELINE_STATE_SUCCEEDED, State.PIPELINE_STATE_FAILED, State.PIPELINE_STATE_CANCELLED}
CUSTOM = "gs://google-cloud-aiplatform/schema/trainingjob/definition/custom_task_1.0.0.yaml"
TABLES = "gs://google-cloud-aiplatform/schema/dataset/metadata/tabular_1.0.0.yaml"
# Writes what it was given as its model.
TRAIN = """
import os
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
client = storage.Client(project="acme", credentials=AnonymousCredentials())
def blob(uri):
    bucket, name = uri[5:].split("/", 1)
    return client.bucket(bucket).blob(name)
text = ""
for part in ("TRAINING", "VALIDATION", "TEST"):
    uri = os.environ.get(f"AIP_{part}_DATA_URI", "")
    rows = blob(uri.replace("*", "00000-of-00001")).download_as_text().split() if uri else []
    text += f"{part} {' '.join(rows)}\\n"
blob(os.environ["AIP_MODEL_DIR"] + "model.txt").upload_from_string(text)
"""


def value(item: Any) -> Any:
    """Plain Python as a protobuf Value."""
    return json_format.ParseDict(item, struct_pb2.Value())


def pipeline(code: str, output: str, **fields: Any) -> dict[str, Any]:
    """A training pipeline that runs ``code`` and leaves its files under ``output``."""
    pool = json_format.MessageToDict(v1.WorkerPoolSpec.pb()(**python_pool(code)))
    inputs = {"workerPoolSpecs": [pool], "baseOutputDirectory": {"outputUriPrefix": output}}
    return {
        "display_name": "pipeline",
        "training_task_definition": CUSTOM,
        "training_task_inputs": value(inputs),
    } | fields


def run(clients: Clients, wanted: dict[str, Any]) -> Any:
    """Create a pipeline and wait for its end."""
    name = clients.pipelines.create_training_pipeline(parent=PARENT, training_pipeline=wanted).name
    until(lambda: clients.pipelines.get_training_pipeline(name=name).state in ENDED)
    return clients.pipelines.get_training_pipeline(name=name)


def dataset(clients: Clients, bucket: Any, name: str, text: str) -> str:
    """A tabular dataset of one CSV file; its ID."""
    bucket.blob(f"{name}.csv").upload_from_string(text)
    wanted = {
        "display_name": name,
        "metadata_schema_uri": TABLES,
        "metadata": value({"inputConfig": {"gcsSource": {"uri": [f"gs://stage/{name}.csv"]}}}),
    }
    created = finish(clients.datasets.create_dataset(parent=PARENT, dataset=wanted))
    return str(created.name.rpartition("/")[2])


def config(dataset_id: str, **fields: Any) -> dict[str, Any]:
    """An input data config for ``dataset_id``."""
    return {"dataset_id": dataset_id, "gcs_destination": {"output_uri_prefix": "gs://stage/exported"}} | fields


class TestRuns:
    def test_the_job_s_model_is_registered(self, both: Clients) -> None:
        model = {"display_name": "left", "container_spec": {"image_uri": MODEL_IMAGE}}
        ended = run(both, pipeline(TRAIN, "gs://stage/left", model_to_upload=model))

        assert ended.state == State.PIPELINE_STATE_SUCCEEDED, ended.error
        found = both.models.get_model(name=ended.model_to_upload.name)
        assert found.artifact_uri == "gs://stage/left/model"
        assert found.training_pipeline == ended.name

    def test_a_custom_job_stands_behind_it(self, clients: Clients) -> None:
        ended = run(clients, pipeline("pass", "gs://stage/behind"))

        job = clients.jobs.get_custom_job(name=dict(ended.training_task_metadata)["backingCustomJob"])
        assert job.state == v1.JobState.JOB_STATE_SUCCEEDED

    def test_without_files_there_is_no_model(self, clients: Clients) -> None:
        model = {"display_name": "left", "container_spec": {"image_uri": MODEL_IMAGE}}
        ended = run(clients, pipeline("pass", "gs://stage/nothing", model_to_upload=model))

        assert ended.state == State.PIPELINE_STATE_FAILED
        assert "no files under gs://stage/nothing/model" in ended.error.message

    def test_a_failed_job_fails_it(self, clients: Clients) -> None:
        ended = run(clients, pipeline("raise SystemExit('no rows')", "gs://stage/failed"))

        assert ended.state == State.PIPELINE_STATE_FAILED
        assert "no rows" in ended.error.message

    def test_cancelling_it_cancels_its_job(self, clients: Clients) -> None:
        wanted = pipeline("import time; time.sleep(60)", "gs://stage/cancelled")
        name = clients.pipelines.create_training_pipeline(parent=PARENT, training_pipeline=wanted).name

        def get() -> Any:
            return clients.pipelines.get_training_pipeline(name=name)

        until(lambda: get().state == State.PIPELINE_STATE_RUNNING)
        clients.pipelines.cancel_training_pipeline(name=name)
        until(lambda: get().state in ENDED)
        assert get().state == State.PIPELINE_STATE_CANCELLED

    def test_another_kind_of_training_is_unimplemented_by_name(self, both: Clients) -> None:
        wanted = pipeline("pass", "gs://stage/x", training_task_definition="gs://schema/automl_tables_1.0.0.yaml")

        with pytest.raises(exceptions.MethodNotImplemented, match="automl_tables"):
            both.pipelines.create_training_pipeline(parent=PARENT, training_pipeline=wanted)

    def test_pipeline_jobs_are_unimplemented_by_name(self, both: Clients) -> None:
        with pytest.raises(exceptions.MethodNotImplemented, match="PipelineService/CreatePipelineJob"):
            both.pipelines.create_pipeline_job(parent=PARENT, pipeline_job={"display_name": "p"})

    def test_malformed_inputs_are_refused(self, clients: Clients) -> None:
        wanted = pipeline("pass", "gs://stage/x", training_task_inputs=value({"nonsense": 1}))

        with pytest.raises(exceptions.InvalidArgument, match="nonsense"):
            clients.pipelines.create_training_pipeline(parent=PARENT, training_pipeline=wanted)


class TestData:
    def _sets(self, bucket: Any, output: str) -> dict[str, list[str]]:
        lines = bucket.blob(f"{output}/model/model.txt").download_as_text().splitlines()
        return {line.split()[0]: line.split()[1:] for line in lines}

    def test_a_column_may_say_the_set(self, clients: Clients, bucket: Any) -> None:
        rows = "x,set\n1,training\n2,test\n3,validation\n4,training\n5,TRAIN\n"
        chosen = config(dataset(clients, bucket, "column", rows), predefined_split={"key": "set"})
        ended = run(clients, pipeline(TRAIN, "gs://stage/column", input_data_config=chosen))

        assert ended.state == State.PIPELINE_STATE_SUCCEEDED, ended.error
        assert self._sets(bucket, "column") == {
            "TRAINING": ["x,set", "1,training", "4,training"],
            "VALIDATION": ["x,set", "3,validation"],
            "TEST": ["x,set", "2,test"],
        }

    def test_without_a_word_it_is_80_10_10(self, clients: Clients, bucket: Any) -> None:
        rows = "x\n" + "".join(f"{n}\n" for n in range(1000))
        chosen = config(dataset(clients, bucket, "default", rows))
        run(clients, pipeline(TRAIN, "gs://stage/default", input_data_config=chosen))

        sizes = {name: len(found) - 1 for name, found in self._sets(bucket, "default").items()}
        assert sum(sizes.values()) == 1000
        assert sizes["TRAINING"] == pytest.approx(800, abs=50)
        assert sizes["TEST"] == pytest.approx(100, abs=40)

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"timestamp_split": {"key": "x"}}, "timestamp_split"),
            ({"gcs_destination": None}, "gcs_destination"),
            ({"dataset_id": "7"}, "datasets/7"),
            ({"fraction_split": {"training_fraction": 0.9, "test_fraction": 0.9}}, "at most 1"),
        ],
    )
    def test_what_cannot_be_done_fails_by_name(
        self, clients: Clients, bucket: Any, fields: dict[str, Any], said: str
    ) -> None:
        chosen = config(dataset(clients, bucket, "refused", "x\n1\n")) | fields
        ended = run(clients, pipeline("pass", "gs://stage/refused", input_data_config=chosen))

        assert ended.state == State.PIPELINE_STATE_FAILED
        assert said in ended.error.message


class TestHighLevel:
    @pytest.fixture(autouse=True)
    def _quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # The SDK looks every 5 s and has no public setting for it.
        monkeypatch.setattr(training_jobs, "_JOB_WAIT_TIME", 0.1)

    def test_a_script_becomes_a_model(self, sdk: Any, tmp_path: Path) -> None:
        script = tmp_path / "task.py"
        script.write_text(TRAIN)
        job = sdk.CustomTrainingJob(
            display_name="script",
            script_path=str(script),
            container_uri=PYTHON_IMAGE,
            model_serving_container_image_uri=MODEL_IMAGE,
        )
        model = job.run(model_display_name="scripted", base_output_dir="gs://stage/scripted", replica_count=1)

        assert (model.display_name, model.uri) == ("scripted", "gs://stage/scripted/model")

    def test_a_container_trains_on_a_tabular_dataset(self, sdk: Any, bucket: Any) -> None:
        bucket.blob("sdk.csv").upload_from_string("x,y\n1,2\n3,4\n")
        rows = sdk.TabularDataset.create(display_name="rows", gcs_source="gs://stage/sdk.csv")
        job = sdk.CustomContainerTrainingJob(
            display_name="container",
            container_uri=PYTHON_IMAGE,
            command=["python", "-c", TRAIN],
            model_serving_container_image_uri=MODEL_IMAGE,
        )
        model = job.run(
            dataset=rows,
            base_output_dir="gs://stage/contained",
            training_fraction_split=1.0,
            validation_fraction_split=0.0,
            test_fraction_split=0.0,
        )

        assert sorted(rows.column_names) == ["x", "y"]
        text = bucket.blob("contained/model/model.txt").download_as_text()
        assert (model.uri, text.splitlines()[0]) == ("gs://stage/contained/model", "TRAINING x,y 1,2 3,4")


class TestDatasets:
    def test_create_get_list_delete(self, sdk: Any, bucket: Any) -> None:
        bucket.blob("four.csv").upload_from_string("x\n1\n")
        created = sdk.TabularDataset.create(display_name="four", gcs_source="gs://stage/four.csv")

        assert sdk.TabularDataset(created.resource_name).gca_resource.display_name == "four"
        assert [found.name for found in sdk.TabularDataset.list(filter='display_name="four"')] == [created.name]
        created.delete()
        assert sdk.TabularDataset.list(filter='display_name="four"') == []
