"""Module sets: the jobs' code and the model files of one commit, as files that jobs take instead of the image's.

A set is named by the digest of what is in it, and every file by its own, so a set never changes, an unchanged file
is stored once, and whoever knows the digest can tell whether a single byte is another.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Self

from retraining import migrations
from retraining.errors import BadConfig, BadRecord
from retraining.modelfile import MAX_BYTES as MAX_MODEL_BYTES
from retraining.modelfile import parse_model
from retraining.modelspec import ModelSpec
from retraining.reach import JOBS, reachable
from retraining.record import Record

MAX_FILES = 1000
MAX_BYTES = 1_000_000  # of one file
_CODE = r"(?:trainer|retraining)/(?:[A-Za-z0-9_]+/)*[A-Za-z0-9_]+\.py"
_MODEL = r"models/[A-Za-z0-9][A-Za-z0-9_-]*\.yaml"
_PATH = re.compile(f"{_CODE}|{_MODEL}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def sha256(body: bytes) -> str:
    """The SHA-256 of ``body``, 64 hex digits."""
    return hashlib.sha256(body).hexdigest()


class ModuleFile(Record):
    """One file of a set."""

    path: str  # for example trainer/data.py or models/flights.yaml
    sha256: str


class ModuleSet(Record):
    """All files of a set, sorted by path."""

    format = migrations.MODULE_SET

    digest: str
    files: tuple[ModuleFile, ...]
    commit: str = ""  # the commit that first had this content
    at: datetime | None = None  # when it was first published

    @classmethod
    def of(cls, bodies: Mapping[str, bytes], commit: str = "", at: datetime | None = None) -> Self:
        """The set of these files (path → content). Raises BadRecord for a path or a size that no set may have."""
        files = tuple(ModuleFile(path=path, sha256=sha256(bodies[path])) for path in sorted(bodies))
        for path, body in bodies.items():
            check_size(path, body)
        return cls(digest=_digest(files), files=files, commit=commit, at=at).checked()

    def checked(self, digest: str = "") -> Self:
        """This set, once it is sure that it is sound and, when given, has this ``digest``. Raises BadRecord."""
        for file in self.files:
            if not _PATH.fullmatch(file.path):
                raise BadRecord(
                    "module set: expected paths such as trainer/data.py or models/flights.yaml, "
                    f"got {file.path!r:.100}"
                )
            if not _SHA256.fullmatch(file.sha256):
                raise BadRecord(f"module set: {file.path}: expected 64 hex digits, got {file.sha256!r:.80}")
        paths = [file.path for file in self.files]
        if not 0 < len(paths) <= MAX_FILES or paths != sorted(set(paths)):
            raise BadRecord(f"module set: expected 1 to {MAX_FILES} different sorted paths, got {len(paths)}")
        found, expected = _digest(self.files), digest or self.digest
        if not found == self.digest == expected:
            raise BadRecord(f"module set: expected digest {expected:.70}, its files have {found}")
        return self

    @property
    def models(self) -> tuple[ModuleFile, ...]:
        """The model files."""
        return tuple(file for file in self.files if file.path.startswith("models/"))


class Current(Record):
    """Which set new runs take: the pointer that a delivery moves."""

    format = migrations.MODULES_POINTER

    digest: str
    sequence: int  # counts moves, so that going back to an earlier set is a new fact
    previous: str = ""  # the set before the last move; what changed is read from the two
    image: str = ""  # the image that the delivery brought along; empty when it does not say
    image_changed: bool = False  # the last move changed the image
    commit: str = ""
    at: datetime | None = None
    nonce: str = ""


def _digest(files: tuple[ModuleFile, ...]) -> str:
    return sha256("".join(f"{file.path}\0{file.sha256}\n" for file in files).encode())


def check_size(path: str, body: bytes) -> None:
    """Raises BadRecord when the file is larger than a module may be."""
    limit = MAX_MODEL_BYTES if path.startswith("models/") else MAX_BYTES
    if len(body) > limit:
        raise BadRecord(f"module set: {path}: expected at most {limit} bytes, got {len(body)}")


def check_file(file: ModuleFile, body: bytes | None) -> bytes:
    """``body`` if it is the file's content. Raises BadRecord."""
    if body is None:
        raise BadRecord(f"module set: {file.path}: expected a file with digest {file.sha256}, found none")
    if (found := sha256(body)) != file.sha256:
        raise BadRecord(f"module set: {file.path}: expected a file with digest {file.sha256}, found {found}")
    return body


def move(now: Current | None, to: ModuleSet, image: str, at: datetime) -> Current | None:
    """The pointer after a delivery of ``to`` and ``image`` (empty: whatever is there), or None if it stays."""
    image = image or (now.image if now else "")
    if now is not None and (now.digest, now.image) == (to.digest, image):
        return None
    return Current(
        digest=to.digest,
        sequence=now.sequence + 1 if now else 1,
        previous=now.digest if now else "",
        image=image,
        image_changed=bool(image) and (now is None or now.image != image),
        commit=to.commit,
        at=at,
    )


def affected(current: Current, before: ModuleSet | None, after: ModuleSet, sources: Mapping[str, str]) -> list[str]:
    """The models for which the last move matters, sorted: whose file changed, or all when what jobs run changed.

    ``sources``: the text of the new set's Python files by path, from which follows what jobs import.
    """
    models = [file.path.removeprefix("models/").removesuffix(".yaml") for file in after.models]
    if before is None or current.image_changed:
        return models
    old = {file.path: file.sha256 for file in before.files}
    new = {file.path: file.sha256 for file in after.files}
    changed = {path for path in old.keys() | new.keys() if old.get(path) != new.get(path)}
    if changed & reachable(sources, JOBS):
        return models
    return [name for name in models if f"models/{name}.yaml" in changed]


def request_id(current: Current) -> str:
    """The id of a delivery's requests for runs: the same move again is the same fact."""
    return f"modules-{current.sequence}-{current.digest[:16]}"


def specs(bodies: Mapping[str, bytes]) -> dict[str, ModelSpec]:
    """The models of model files (path → content), keyed by name. Raises BadConfig naming the first wrong file."""
    found: dict[str, ModelSpec] = {}
    for path, body in sorted(bodies.items()):
        stem = path.removeprefix("models/").removesuffix(".yaml")
        try:
            spec = parse_model(body.decode(), path)
        except UnicodeDecodeError as error:
            raise BadConfig(f"{path}: expected UTF-8 text: {error.reason}") from error
        if spec.name != stem:
            raise BadConfig(f"{path}: name: expected {stem!r}, like the file; got {spec.name!r}")
        found[spec.name] = spec
    if not found:
        raise BadConfig("module set: expected at least one model file, found none")
    return found
