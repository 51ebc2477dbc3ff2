"""A model is a program: what is no export of ours is refused before anything loads it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf

from retraining.reports import Manifest
from tests.trainer import jobs
from trainer.errors import Unusable
from trainer.evaluate import Model
from trainer.manifest import check, digest, file_digests
from trainer.screening import screen
from trainer.storage import _inside


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> jobs.Trained:
    """An honest candidate."""
    return jobs.train(tmp_path_factory.mktemp("honest"), "binary")


@pytest.fixture
def candidate(trained: jobs.Trained, tmp_path: Path) -> Path:
    """A copy of the honest candidate with its reports, to be tampered with."""
    for part in ("model", "report"):
        shutil.copytree(trained.folder / part, tmp_path / part)
    return tmp_path / "model"


def test_an_export_of_the_trainer_may_be_loaded(candidate: Path) -> None:
    screen(candidate)

    assert Model.load(str(candidate), "", candidate.parent).digest == digest(file_digests(candidate))


class TestFiles:
    @pytest.mark.parametrize(
        "name",
        [
            "model.keras", "model.h5", "weights.hdf5", "scaler.pkl", "scaler.joblib", "saved_model.pbtxt",
            "saved_model.cpb", "keras_metadata.pb", "assets/words.txt", "assets.extra/x", "variables/checkpoint",
            "variables/variables.data-00000-of-00001.py", "variables/evil.so", "a.py", ".hidden",
        ],
    )  # fmt: skip
    def test_a_planted_file_is_refused(self, candidate: Path, name: str) -> None:
        (candidate / name).parent.mkdir(parents=True, exist_ok=True)
        (candidate / name).write_bytes(b"x")

        with pytest.raises(Unusable, match="no part of an exported model"):
            screen(candidate)

    def test_a_link_is_refused(self, candidate: Path) -> None:
        weights = candidate / "variables/variables.index"
        weights.unlink()
        weights.symlink_to("/etc/hostname")

        with pytest.raises(Unusable, match="no part of an exported model"):
            screen(candidate)

    def test_a_keras_file_with_a_lambda_is_refused(self, tmp_path: Path) -> None:
        """Loading one runs the code that it carries."""
        model = tf.keras.Sequential([tf.keras.Input((1,)), tf.keras.layers.Lambda(lambda x: x * 2)])
        (tmp_path / "model").mkdir()
        model.save(tmp_path / "model/model.keras")

        with pytest.raises(Unusable, match=r"'model\.keras'"):
            screen(tmp_path / "model")

    def test_an_h5_file_is_refused(self, tmp_path: Path) -> None:
        """Its reader ignores safe mode."""
        h5py = pytest.importorskip("h5py")
        (tmp_path / "model").mkdir()
        with h5py.File(tmp_path / "model/model.h5", "w") as file:
            file.attrs["model_config"] = "{}"

        with pytest.raises(Unusable, match=r"'model\.h5'"):
            screen(tmp_path / "model")

    @pytest.mark.parametrize("body", [b"", b"\x0a\xff\xff", b"not a graph"], ids=["empty", "cut", "text"])
    def test_what_is_no_graph_is_refused(self, candidate: Path, body: bytes) -> None:
        (candidate / "saved_model.pb").write_bytes(body)

        with pytest.raises(Unusable, match=r"saved_model\.pb: expected"):
            screen(candidate)


class Serving(tf.Module):
    """A model that does what it is given beside answering."""

    def __init__(self, act: Callable[[Any], Any]) -> None:
        super().__init__()
        self._act = act

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def serve(self, x: Any) -> dict[str, Any]:
        """Answer, and act."""
        with tf.control_dependencies([self._act(x)]):
            return {"score": tf.sigmoid(x)}


def saved(folder: Path, act: Callable[[Any], Any]) -> Path:
    """A saved model that acts."""
    module = Serving(act)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})
    shutil.rmtree(folder / "assets", ignore_errors=True)
    return folder


ACTS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "write a file": (lambda x: tf.io.write_file("/tmp/never-written", "x"), "WriteFile"),
    "read a file": (lambda x: tf.io.read_file("/etc/hostname"), "ReadFile"),
    "list files": (lambda x: tf.io.matching_files("/etc/*"), "MatchingFiles"),
    "run Python": (lambda x: tf.py_function(lambda y: y, [x], tf.float32), "EagerPyFunc"),
    "run numpy": (lambda x: tf.numpy_function(lambda y: y, [x], tf.float32), "PyFunc"),
    "write a checkpoint": (lambda x: tf.raw_ops.SaveV2(
        prefix="/tmp/never-written", tensor_names=["a"], shape_and_slices=[""], tensors=[x]), "opens files"),
    "read a checkpoint": (lambda x: tf.raw_ops.RestoreV2(
        prefix="/tmp/none", tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.float32])[0], "opens files"),
    "print": (lambda x: tf.print(x), "PrintV2|StringFormat"),
    "hide in a branch": (lambda x: tf.cond(tf.reduce_sum(x) > 0, lambda: tf.io.read_file("/etc/hostname"),
                                           lambda: tf.constant("")), "ReadFile|If"),
}  # fmt: skip


@pytest.mark.parametrize("name", ACTS)
def test_a_graph_that_does_more_than_compute_is_refused(name: str, tmp_path: Path) -> None:
    act, said = ACTS[name]

    with pytest.raises(Unusable, match=said):
        screen(saved(tmp_path / "model", act))


def test_an_initializer_that_writes_is_refused(tmp_path: Path) -> None:
    """It runs while the model is loaded, before anybody asks it anything."""

    class Table(tf.saved_model.experimental.TrackableResource):  # type: ignore[misc]
        def _create_resource(self) -> Any:
            return tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64)

        def _initialize(self) -> None:
            tf.io.write_file(str(tmp_path / "written"), "x")

    module = Serving(lambda x: tf.no_op())
    module.table = Table()
    _ = module.table.resource_handle
    (tmp_path / "written").unlink(missing_ok=True)
    tf.saved_model.save(module, str(tmp_path / "model"), signatures={"serving_default": module.serve})

    with pytest.raises(Unusable, match="WriteFile"):
        screen(tmp_path / "model")
    assert not (tmp_path / "written").exists()


def test_a_table_that_reads_a_file_is_refused(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("a\nb\n")
    init = tf.lookup.TextFileInitializer(
        str(words), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
    )
    module = Serving(lambda x: tf.no_op())
    module.table = tf.lookup.StaticHashTable(init, -1)
    tf.saved_model.save(module, str(tmp_path / "model"), signatures={"serving_default": module.serve})
    shutil.rmtree(tmp_path / "model/assets")

    with pytest.raises(Unusable, match=r"InitializeTableFromTextFileV2|files that tables are read from"):
        screen(tmp_path / "model")


def test_a_signature_that_is_the_saver_is_refused(candidate: Path) -> None:
    """The saver's own nodes may stay, but nobody may call them."""
    from tensorflow.core.protobuf import saved_model_pb2

    path = candidate / "saved_model.pb"
    graph = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    meta = graph.meta_graphs[0]
    meta.signature_def["serving_default"].outputs["score"].name = meta.saver_def.save_tensor_name
    path.write_bytes(graph.SerializeToString())

    with pytest.raises(Unusable, match="signature 'serving_default' opens files"):
        screen(candidate)


def test_a_function_that_calls_the_saver_is_refused(candidate: Path) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    path = candidate / "saved_model.pb"
    graph = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    meta = graph.meta_graphs[0]
    functions = meta.graph_def.library.function
    saver = next(f.signature.name for f in functions if any(node.op == "SaveV2" for node in f.node_def))
    served = next(f for f in functions if not any(node.op == "SaveV2" for node in f.node_def))
    call = served.node_def.add(name="call", op="PartitionedCall")
    call.attr["f"].func.name = saver
    path.write_bytes(graph.SerializeToString())

    with pytest.raises(Unusable, match="opens files"):
        screen(candidate)


class TestIntegrity:
    def test_the_evaluator_refuses_changed_weights_before_loading(self, candidate: Path) -> None:
        weights = candidate / "variables/variables.data-00000-of-00001"
        weights.write_bytes(weights.read_bytes()[:-1] + b"x")

        with pytest.raises(Unusable, match=r"not those of the manifest: variables/variables\.data"):
            Model.load(str(candidate), "", candidate.parent)

    def test_the_evaluator_refuses_a_model_whose_manifest_follows_the_change(self, candidate: Path) -> None:
        """The digest that was judged lies in the run's record, out of the trainer's reach."""
        before = digest(file_digests(candidate))
        (candidate / "variables/variables.index").write_bytes(b"x")
        report = candidate.parent / "report/manifest.json"
        files = file_digests(candidate)
        report.write_text(Manifest.from_json(report.read_bytes()).but(files=files, digest=digest(files)).to_json())

        with pytest.raises(Unusable, match="they were changed"):
            Model.load(str(candidate), before, candidate.parent)

    def test_a_manifest_that_contradicts_itself_is_refused(self, candidate: Path) -> None:
        written = Manifest.from_json((candidate.parent / "report/manifest.json").read_bytes())
        forged = written.but(files={**written.files, "saved_model.pb": "0" * 64}).to_json().encode()

        with pytest.raises(Unusable, match="does not have the digest that it names"):
            check("m", file_digests(candidate), "", forged)

    @pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "a//b", "", "a\\b", "a\nb", "."])
    def test_an_object_whose_name_leads_elsewhere_is_not_fetched(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(Unusable, match="a path below its folder"):
            _inside(tmp_path, name)


class TestServer:
    def serve(self, model: Path, *words: str) -> str:
        """What the server says of a model that it does not serve."""
        ended = jobs.run("trainer.serve", *words, env={"AIP_STORAGE_URI": str(model), "AIP_HTTP_PORT": "0"})

        assert ended.returncode == 2
        return ended.stdout

    def test_a_model_with_another_digest_is_not_served(self, candidate: Path) -> None:
        """What the endpoint copied must be what was evaluated."""
        assert "they were changed" in self.serve(candidate, "--host=127.0.0.1", f"--digest={'0' * 64}")

    def test_a_model_with_a_pickled_file_is_not_served(self, candidate: Path) -> None:
        (candidate / "scaler.pkl").write_bytes(b"cos\nsystem\n.")

        assert "'scaler.pkl': no part of an exported model" in self.serve(candidate, "--host=127.0.0.1")
