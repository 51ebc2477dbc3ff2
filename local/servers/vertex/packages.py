"""Brings a job's Python packages from Cloud Storage to this machine."""

import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from google.api_core.exceptions import GoogleAPICallError
from requests.exceptions import ConnectionError as RequestsConnectionError

from local.servers.vertex.images import CannotRun
from local.servers.vertex.storage import bucket_and_object, storage_client


def unpack(uris: Sequence[str], folder: Path) -> list[Path]:
    """Download and unpack source distributions, wheels or zips; returns the folders for PYTHONPATH.

    Nothing is installed: what the packages require must be present for the image's local command. Raises CannotRun.
    """
    folders = []
    for number, uri in enumerate(uris):
        target = folder / f"package-{number}"
        target.mkdir(parents=True, exist_ok=True)
        archive = folder / uri.rpartition("/")[2]
        try:
            bucket, name = bucket_and_object(uri)
            storage_client().bucket(bucket).blob(name).download_to_filename(str(archive))
            _extract(archive, target)
        except (GoogleAPICallError, RequestsConnectionError, OSError, ValueError, tarfile.TarError) as error:
            raise CannotRun(f"the Python package {uri} cannot be used: {error}") from error
        folders.append(_root(target))
    return folders


def _extract(archive: Path, target: Path) -> None:
    if tarfile.is_tarfile(archive):
        with tarfile.open(archive) as tar:
            tar.extractall(target, filter="data")
    elif zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as package:
            package.extractall(target)  # noqa: S202  # a zip cannot leave its folder
    else:
        raise ValueError("expected a .tar.gz, .whl or .zip archive")


def _root(target: Path) -> Path:
    """A source distribution holds one folder named after itself, with the packages inside or under ``src``."""
    inner = [path for path in target.iterdir() if path.is_dir() and (path / "PKG-INFO").exists()]
    root = inner[0] if len(inner) == 1 else target
    return root / "src" if (root / "src").is_dir() and not (root / "src" / "__init__.py").exists() else root
