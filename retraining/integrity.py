"""What is deployed must be what was evaluated: the same objects in Cloud Storage, not one more and not one less.

The evaluator reads every file of a candidate, compares it with the manifest, and writes down which generation of
which object it read. Cloud Storage gives an object a new generation whenever it is written, and nobody can choose
it. So the folder's list, without a byte of the model, tells whether anything was changed, added or taken away.
"""

from collections.abc import Mapping

from retraining import names
from retraining.errors import Refused
from retraining.ports import Artifacts
from retraining.reports import Evaluation, Manifest

_SHOWN = 3


def verify(artifacts: Artifacts, bucket: str, run_id: str, digest: str) -> None:
    """Compare the candidate in ``bucket`` with what its evaluator saw. Raises Refused naming what differs.

    ``digest`` is the one in the run's record, by which the candidate was judged.
    """
    folder = names.artifact_uri(bucket, run_id)
    manifest = artifacts.read(f"{folder}/report/manifest.json")
    if manifest is None or Manifest.from_json(manifest).digest != digest:
        raise Refused(f"{run_id}: the model's manifest is not the one that was evaluated")
    report = artifacts.read(names.evaluation_uri(bucket, run_id))
    if report is None:
        raise Refused(f"{run_id}: no evaluation of the model was found")
    evaluation = Evaluation.from_json(report)
    if evaluation.run_id != run_id or evaluation.candidate_digest != digest:
        raise Refused(
            f"{run_id}: expected an evaluation of a model with digest {digest:.80}, "
            f"got one of {evaluation.run_id:.80} with {evaluation.candidate_digest:.80}"
        )
    if found := differences(evaluation.candidate_objects, artifacts.list(f"{folder}/model")):
        raise Refused(f"{run_id}: the model's files are not those that were evaluated: {found}")


def differences(evaluated: Mapping[str, str], there: Mapping[str, str]) -> str:
    """What is wrong with the objects that are ``there``; empty when nothing is. Both: path → generation."""
    if not evaluated:
        return "the evaluation names no files"
    ways = {
        "missing": sorted(evaluated.keys() - there.keys()),
        "unexpected": sorted(there.keys() - evaluated.keys()),
        "written again": sorted(path for path in evaluated.keys() & there.keys() if evaluated[path] != there[path]),
    }
    return "; ".join(f"{way}: {_some(paths)}" for way, paths in ways.items() if paths)


def _some(paths: list[str]) -> str:
    shown = ", ".join(f"{path!r:.80}" for path in paths[:_SHOWN])
    return shown if len(paths) <= _SHOWN else f"{shown} and {len(paths) - _SHOWN} more"
