"""Which bytes came out of which inputs: digests that the evaluator and the deployer check."""

import hashlib
from importlib.metadata import version
from pathlib import Path

from retraining.errors import BadRecord
from retraining.modelspec import ModelSpec
from retraining.reports import Manifest
from trainer.errors import Unusable


def file_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below ``folder``, by its path there."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def digest(files: dict[str, str]) -> str:
    """One digest of all files."""
    text = "\n".join(f"{path} {sha}" for path, sha in sorted(files.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def check(uri: str, files: dict[str, str], expected: str, written: bytes | None) -> str:
    """The digest of the model at ``uri``, whose ``files`` were fetched. Raises Unusable naming what differs.

    ``expected`` is the digest that was judged; ``written`` the manifest beside the model. Either may be absent, and
    whichever is there must agree with every file.
    """
    found = digest(files)
    if written is not None:
        try:
            listed = Manifest.from_json(written)
        except BadRecord as error:
            raise Unusable(f"{uri}: its manifest cannot be read: {error}") from error
        if digest(listed.files) != listed.digest:
            raise Unusable(f"{uri}: its manifest does not have the digest that it names")
        if listed.files != files:
            odd = sorted(
                path for path in files.keys() | listed.files.keys() if files.get(path) != listed.files.get(path)
            )
            raise Unusable(f"{uri}: files are not those of the manifest: {', '.join(odd)[:300]}")
    if expected and found != expected:
        raise Unusable(f"{uri}: expected files with digest {expected}, got {found}: they were changed")
    return found


def manifest(
    spec: ModelSpec, run_id: str, data_digest: str, model: Path, parameters: dict[str, str], seed: int
) -> Manifest:
    """The manifest of a model folder."""
    files = file_digests(model)
    here = Path(__file__).parent
    return Manifest(
        run_id=run_id,
        files=files,
        digest=digest(files),
        spec_digest=spec.digest,
        data_digest=data_digest,
        code_digest=digest({p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in here.glob("*.py")}),
        parameters=parameters,
        versions={name: version(name) for name in ("tensorflow-cpu", "keras", "numpy", "pyarrow")},
        seed=seed,
    )
