"""Which bytes came out of which inputs: digests that the evaluator and the deployer check."""

import hashlib
from importlib.metadata import version
from pathlib import Path

from retraining.modelspec import ModelSpec
from retraining.reports import Manifest


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
