"""A job's first act when its run has a module set: fetch that code, check every byte, and start again with it.

The image brings Python and the libraries; the set brings what changes more often. The container's programs start
through ``run``; without the two arguments they are what lies in the image.
"""

import argparse
import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from retraining.errors import BadRecord, NewerRecord
from retraining.modules import ModuleFile, ModuleSet, check_file
from trainer import storage
from trainer.errors import Unusable

FOLDER = "TRAINER_MODULES"  # environment variable: where the set that runs now lies
PERMANENT = 2


def run(module: str, main: Callable[[], int]) -> int:
    """``main`` of the program ``module``, or that of the module set which the command line names.

    Returns the exit code; 2 when the set is not what its digest says. With a set that is sound it does not return.
    """
    uri, digest, words = split(sys.argv[1:])
    if not uri and not digest:
        if folder := os.environ.pop(FOLDER, ""):
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return main()
    folder = tempfile.mkdtemp(prefix="modules-")
    try:
        unpack(fetch(uri, digest), _beside(uri), Path(folder))
    except Unusable as error:
        shutil.rmtree(folder, ignore_errors=True)
        print(f"permanent: {error}", flush=True)
        return PERMANENT
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    print(f"running module set {digest}", flush=True)
    start(module, words, folder)
    return PERMANENT  # not reached: the process is another now


def split(words: Sequence[str]) -> tuple[str, str, list[str]]:
    """The set's list and digest, empty when there is none, and the words that the program itself gets."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--modules", default="")
    parser.add_argument("--modules-digest", default="")
    found, rest = parser.parse_known_args(list(words))
    return found.modules, found.modules_digest, rest


def fetch(uri: str, digest: str) -> ModuleSet:
    """The list of the set's files. Raises Unusable when it is missing or not the one that ``digest`` names."""
    if not uri or not digest:
        raise Unusable("--modules and --modules-digest: expected both or none")
    body = storage.read(uri)
    if body is None:
        raise Unusable(f"--modules: expected a module set at {uri}, found none")
    try:
        return ModuleSet.from_json(body).checked(digest)
    except (BadRecord, NewerRecord) as error:
        raise Unusable(f"--modules: {uri}: {error}") from error


def unpack(modules: ModuleSet, files: str, folder: Path) -> None:
    """Write the set's files, read from ``files``, into ``folder``. Raises Unusable at the first wrong byte."""
    for file in modules.files:
        path = folder / file.path  # the set's paths were checked: none leads out of the folder
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_read(file, f"{files}/{file.sha256}"))


def _read(file: ModuleFile, uri: str) -> bytes:
    try:
        return check_file(file, storage.read(uri))
    except (BadRecord, NewerRecord) as error:
        raise Unusable(f"--modules: {uri}: {error}") from error


def _beside(uri: str) -> str:
    """Where the files lie: ``modules/sets/<digest>.json`` → ``modules/files``."""
    return uri.rsplit("/", 2)[0] + "/files"


def start(module: str, words: Sequence[str], folder: str) -> None:
    """Become ``python -m module`` with the folder's code before the image's; signals reach it as before."""
    before = os.environ.get("PYTHONPATH", "")
    environ = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{before}" if before else folder, FOLDER: folder}
    # -P: else the working folder, where the image keeps its own code, would come first.
    command = [sys.executable, "-P", "-m", module, *words]
    sys.stdout.flush()
    os.execve(sys.executable, command, environ)  # noqa: S606 - there is no shell in it, as there should not be
