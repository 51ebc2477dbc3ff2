"""What changed between two commits, asked of git: trees are compared, so merges and reverts need no thought."""

import io
import subprocess
import tarfile
from pathlib import Path

from retraining.reach import SERVING, reachable
from tools.delivery.plan import Plan, decide, everything, reshapes


class NotAnswered(Exception):
    """git does not know the commit that is to be delivered, or there is no repository."""


class Overtaken(Exception):
    """What is to be delivered is older than what was: somebody said yes to an old delivery after a newer one."""


def plan(repository: Path, base: str, head: str) -> Plan:
    """What to deliver so that what was delivered at ``base`` becomes ``head``.

    A base that git does not have (the first push, a shallow clone, a rewritten history) asks for everything.
    Raises NotAnswered when ``head`` is not there, Overtaken when ``base`` is newer.
    """
    if not _known(repository, head):
        raise NotAnswered(f"{repository}: expected a git repository with commit {head!r}, found none")
    if not base.strip("0"):
        return everything("there is no earlier delivery")
    if not _known(repository, base):
        return everything(f"git does not have commit {base}, the last delivery")
    if _older(repository, head, base):
        raise Overtaken(f"commit {base} is delivered already and is newer than {head}; going back takes a revert")
    paths = _changed(repository, base, head)
    old, new = _sources(repository, base), _sources(repository, head)
    serving = reachable(old, SERVING) | reachable(new, SERVING)
    models = [path for path in paths if path.startswith("models/") and path.endswith(".yaml")]
    reshaped = frozenset(path for path in models if reshapes(old.get(path), new.get(path)))
    return decide(paths, serving, reshaped)


def _known(repository: Path, commit: str) -> bool:
    """Whether ``commit`` is one that git has. What looks like an option is none."""
    if commit.startswith("-"):
        return False
    return _git(repository, "cat-file", "-e", f"{commit}^{{commit}}").returncode == 0


def _older(repository: Path, commit: str, than: str) -> bool:
    """Whether ``commit`` lies before ``than`` in one history."""
    ids = [_git(repository, "rev-parse", f"{one}^{{commit}}").stdout for one in (commit, than)]
    is_ancestor = _git(repository, "merge-base", "--is-ancestor", commit, than).returncode == 0
    return is_ancestor and ids[0] != ids[1]


def _changed(repository: Path, base: str, head: str) -> list[str]:
    """Both names of a file that moved, and every name as it is, whatever bytes it has."""
    done = _git(repository, "diff", "--name-only", "--no-renames", "-z", base, head, "--")
    done.check_returncode()
    return [_text(name) for name in done.stdout.split(b"\0") if name]


def _sources(repository: Path, commit: str) -> dict[str, str]:
    """Text of the container's Python files and of the model files, by path."""
    folders = [name for name in ("trainer", "retraining", "models") if _has(repository, commit, name)]
    if not folders:
        return {}
    done = _git(repository, "archive", "--format=tar", commit, "--", *folders)
    done.check_returncode()
    found = {}
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        for entry in archive:
            if entry.isfile() and entry.name.endswith((".py", ".yaml")):
                file = archive.extractfile(entry)
                assert file is not None
                found[entry.name] = _text(file.read())
    return found


def _has(repository: Path, commit: str, folder: str) -> bool:
    return _git(repository, "cat-file", "-e", f"{commit}:{folder}").returncode == 0


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _git(repository: Path, *words: str) -> "subprocess.CompletedProcess[bytes]":
    command = ["git", "-C", str(repository), "-c", "core.quotePath=false", *words]
    return subprocess.run(command, capture_output=True, check=False)
