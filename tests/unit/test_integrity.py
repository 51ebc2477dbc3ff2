"""Only what was evaluated may be deployed."""

import pytest

from local.memory.artifacts import MemoryArtifacts
from retraining.errors import BadRecord, Refused
from retraining.integrity import differences, verify
from retraining.reports import Evaluation, Manifest

RUN, FOLDER = "flights-1", "gs://artifacts/runs/flights-1"
MANIFEST = Manifest(
    run_id=RUN,
    files={},
    digest="d",
    spec_digest="s",
    data_digest="r",
    code_digest="c",
    parameters={},
    versions={},
    seed=1,
)
EVALUATION = Evaluation(run_id=RUN, nonce="", rows=1, candidate={}, candidate_digest="d")


def evaluated() -> MemoryArtifacts:
    """A candidate as its trainer and its evaluator left it."""
    artifacts = MemoryArtifacts()
    for path in ("saved_model.pb", "variables/variables.index"):
        artifacts.write(f"{FOLDER}/model/{path}", b"x")
    artifacts.write(f"{FOLDER}/report/manifest.json", MANIFEST.to_json().encode())
    report(artifacts, EVALUATION.but(candidate_objects=artifacts.list(f"{FOLDER}/model")))
    return artifacts


def report(artifacts: MemoryArtifacts, evaluation: Evaluation) -> None:
    artifacts.write("gs://artifacts/evaluations/flights-1.json", evaluation.to_json().encode())


def test_an_untouched_candidate_passes() -> None:
    artifacts = evaluated()
    found = artifacts.list(f"{FOLDER}/model")
    verify(artifacts, "artifacts", RUN, "d")

    assert differences(found, found) == ""


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("model/saved_model.pb", "written again: 'saved_model.pb'"),
        ("model/assets/words.txt", "unexpected: 'assets/words.txt'"),
        ("model/variables/variables.data-00001-of-00002", "unexpected: 'variables/"),
    ],
    ids=["changed", "planted", "planted weights"],
)
def test_a_touched_candidate_is_refused(path: str, said: str) -> None:
    """Even when the same bytes are written: nobody looks at bytes here."""
    artifacts = evaluated()
    artifacts.write(f"{FOLDER}/{path}", b"x")

    with pytest.raises(Refused, match=said):
        verify(artifacts, "artifacts", RUN, "d")


def test_a_file_that_is_gone_is_named() -> None:
    assert differences({"a": "1", "b": "2"}, {"a": "1"}) == "missing: 'b'"


def test_of_many_differences_some_are_named() -> None:
    found = differences({"a": "1"}, {"a": "1"} | {f"x{number}": "1" for number in range(9)})

    assert found == "unexpected: 'x0', 'x1', 'x2' and 6 more"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"candidate_digest": "other"},
            "expected an evaluation of a model with digest d, got one of flights-1 with",
        ),
        ({"run_id": "flights-2"}, "got one of flights-2"),
        ({"candidate_objects": {}}, "the evaluation names no files"),
    ],
    ids=["another model", "another run", "no files"],
)
def test_an_evaluation_of_something_else_is_refused(changes: dict[str, object], said: str) -> None:
    artifacts = evaluated()
    report(artifacts, EVALUATION.but(candidate_objects=artifacts.list(f"{FOLDER}/model")).but(**changes))

    with pytest.raises(Refused, match=said):
        verify(artifacts, "artifacts", RUN, "d")


def test_a_manifest_that_was_replaced_is_refused() -> None:
    artifacts = evaluated()
    artifacts.write(f"{FOLDER}/report/manifest.json", MANIFEST.but(digest="e").to_json().encode())

    with pytest.raises(Refused, match="manifest is not the one that was evaluated"):
        verify(artifacts, "artifacts", RUN, "d")


def test_a_run_without_evaluation_is_refused() -> None:
    artifacts = MemoryArtifacts()
    artifacts.write(f"{FOLDER}/report/manifest.json", MANIFEST.to_json().encode())

    with pytest.raises(Refused, match="no evaluation of the model was found"):
        verify(artifacts, "artifacts", RUN, "d")


def test_an_evaluation_that_cannot_be_read_is_a_bad_record() -> None:
    artifacts = evaluated()
    artifacts.write("gs://artifacts/evaluations/flights-1.json", b"{")

    with pytest.raises(BadRecord):
        verify(artifacts, "artifacts", RUN, "d")
