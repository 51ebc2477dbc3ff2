"""What every Artifacts promises, in memory and on Cloud Storage's protocol."""

import pytest

from gcp.artifacts import LIMIT, GcsArtifacts
from gcp.storage import connect
from local.memory.artifacts import MemoryArtifacts
from retraining.errors import Refused
from retraining.ports import Artifacts
from tests.contract.vertex import fresh


class ArtifactsContract:
    """Facts about any Artifacts; ``folder`` is an empty place to write to."""

    def test_a_written_file_is_read_back(self, artifacts: Artifacts, folder: str) -> None:
        artifacts.write(f"{folder}/report/training.json", b'{"rows": 5}\x00\xff')

        assert artifacts.read(f"{folder}/report/training.json") == b'{"rows": 5}\x00\xff'

    def test_a_missing_file_is_none(self, artifacts: Artifacts, folder: str) -> None:
        assert artifacts.read(f"{folder}/report/training.json") is None

    def test_writing_again_replaces(self, artifacts: Artifacts, folder: str) -> None:
        artifacts.write(f"{folder}/a", b"one")
        artifacts.write(f"{folder}/a", b"two")

        assert artifacts.read(f"{folder}/a") == b"two"

    def test_an_empty_file_is_not_a_missing_one(self, artifacts: Artifacts, folder: str) -> None:
        artifacts.write(f"{folder}/empty", b"")

        assert artifacts.read(f"{folder}/empty") == b""

    def test_a_file_over_the_limit_is_refused(self, artifacts: Artifacts, folder: str) -> None:
        artifacts.write(f"{folder}/model.bin", bytes(LIMIT + 1))

        with pytest.raises(Refused, match=f"at most {LIMIT} bytes, found {LIMIT + 1}"):
            artifacts.read(f"{folder}/model.bin")

    def test_a_list_names_every_file_below_and_none_beside(self, artifacts: Artifacts, folder: str) -> None:
        for path in ("model/saved_model.pb", "model/variables/data", "model-2/other", "report/manifest.json"):
            artifacts.write(f"{folder}/{path}", b"x")

        assert list(artifacts.list(f"{folder}/model")) == ["saved_model.pb", "variables/data"]

    def test_a_generation_stays_until_the_file_is_written_again(self, artifacts: Artifacts, folder: str) -> None:
        for path in ("a", "b"):
            artifacts.write(f"{folder}/model/{path}", b"same")
        first = artifacts.list(f"{folder}/model")
        again = artifacts.list(f"{folder}/model/")
        artifacts.write(f"{folder}/model/b", b"same")
        after = artifacts.list(f"{folder}/model")

        assert first == again
        assert (after["a"] == first["a"], after["b"] == first["b"]) == (True, False)

    def test_a_folder_without_files_has_an_empty_list(self, artifacts: Artifacts, folder: str) -> None:
        assert artifacts.list(f"{folder}/model") == {}

    @pytest.mark.parametrize("uri", ["/tmp/model", "gs://", "gs://bucket", "s3://bucket/path"])
    def test_a_list_of_what_is_no_address_is_refused(self, artifacts: Artifacts, uri: str) -> None:
        with pytest.raises(Refused, match="gs://bucket/path"):
            artifacts.list(uri)

    @pytest.mark.parametrize("uri", ["/tmp/report.json", "gs://", "gs://bucket", "s3://bucket/path"])
    def test_what_is_no_address_is_refused(self, artifacts: Artifacts, uri: str) -> None:
        with pytest.raises(Refused, match="gs://bucket/path"):
            artifacts.read(uri)


class TestMemoryArtifacts(ArtifactsContract):
    """The promises in memory."""

    @pytest.fixture
    def folder(self) -> str:
        return "gs://artifacts/runs/a"

    @pytest.fixture
    def artifacts(self) -> MemoryArtifacts:
        return MemoryArtifacts()


class TestGcsArtifacts(ArtifactsContract):
    """The promises on Cloud Storage's protocol."""

    @pytest.fixture
    def folder(self, gcs: str) -> str:
        bucket = fresh("artifacts")
        connect("local", gcs).create_bucket(bucket)
        return f"gs://{bucket}/runs/a"

    @pytest.fixture
    def artifacts(self, gcs: str) -> GcsArtifacts:
        return GcsArtifacts(connect("local", gcs))
