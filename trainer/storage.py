"""Files that may lie in Cloud Storage (``gs://bucket/path``) or in a folder: read, write, create once.

``STORAGE_EMULATOR_HOST`` leads the client to a local server; Google's own library honours it.
"""

import fnmatch
import os
from dataclasses import dataclass
from functools import cache
from glob import glob
from pathlib import Path

from google.api_core.exceptions import Forbidden, NotFound, PreconditionFailed
from google.cloud import storage

from trainer.errors import Unusable


@cache
def _client() -> storage.Client:
    # The library would ask for the bucket itself now and then, only to label traces; nobody is granted that.
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    return storage.Client()


def _blob(uri: str) -> storage.Blob:
    return storage.Blob.from_uri(uri, client=_client())


def remote(uri: str) -> bool:
    """Whether the file lies in Cloud Storage."""
    return uri.startswith("gs://")


def read(uri: str) -> bytes | None:
    """The file's content, or None."""
    if not remote(uri):
        path = Path(uri)
        return path.read_bytes() if path.is_file() else None
    blob = _blob(uri)
    return bytes(blob.download_as_bytes()) if blob.exists() else None


def write(uri: str, body: bytes) -> None:
    """Write the file, whatever was there; readers see the old file or the whole new one."""
    if remote(uri):
        _blob(uri).upload_from_string(body, content_type="application/octet-stream")
        return
    path = Path(uri)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(body)
    new.replace(path)


def create(uri: str, body: bytes) -> bool:
    """Write the file unless there is one; False when there is."""
    if remote(uri):
        try:
            _blob(uri).upload_from_string(body, if_generation_match=0)
        except PreconditionFailed:
            return False
        except Forbidden:
            # Who may only create may be told so before the precondition is looked at.
            if read(uri) is None:
                raise
            return False
        return True
    path = Path(uri)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("xb") as file:
            file.write(body)
    except FileExistsError:
        return False
    return True


def fetch(pattern: str, folder: Path) -> list[Path]:
    """Local copies of the files that match ``pattern`` (``*`` in the last part), sorted by name."""
    if not remote(pattern):
        return [Path(path) for path in sorted(glob(pattern))]  # noqa: PTH207 - the pattern may be absolute
    bucket, _, path = pattern.removeprefix("gs://").partition("/")
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for blob in _client().list_blobs(bucket, prefix=path.split("*", 1)[0]):
        if fnmatch.fnmatch(blob.name, path):
            local = folder / blob.name.rsplit("/", 1)[-1]
            blob.download_to_filename(local)
            found.append(local)
    return sorted(found)


@dataclass(frozen=True)
class Tree:
    """A folder of this machine, and which objects it is a copy of."""

    folder: Path
    objects: dict[str, str]  # path → generation; empty when the files were never objects


def fetch_tree(uri: str, folder: Path) -> Tree:
    """A local copy of everything below ``uri``; a local folder is given as it is.

    Raises Unusable for an object whose name leads out of the folder, or that is written again meanwhile.
    """
    if not remote(uri):
        return Tree(Path(uri), {})
    bucket, _, prefix = uri.rstrip("/").removeprefix("gs://").partition("/")
    objects: dict[str, str] = {}
    for blob in _client().list_blobs(bucket, prefix=prefix + "/"):
        name = blob.name.removeprefix(prefix + "/")
        objects[name] = str(blob.generation)
        local = _inside(folder, name)
        local.parent.mkdir(parents=True, exist_ok=True)
        try:
            blob.download_to_filename(local, if_generation_match=blob.generation)
        except (PreconditionFailed, NotFound):
            raise Unusable(f"{uri}: {name!r:.120} was written again while it was read") from None
    return Tree(folder, objects)


def _inside(folder: Path, name: str) -> Path:
    """Where the object ``name`` belongs; an object's name may hold anything, even ``..``."""
    if not all(part not in ("", ".", "..") and "\\" not in part and part.isprintable() for part in name.split("/")):
        raise Unusable(f"{name!r:.120}: expected an object whose name is a path below its folder")
    return folder.joinpath(*name.split("/"))


def put_tree(folder: Path, uri: str) -> None:
    """Write everything below ``folder`` to below ``uri``."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            write(f"{uri.rstrip('/')}/{path.relative_to(folder).as_posix()}", path.read_bytes())
