"""Module sets in a bucket: files by content, lists by digest, and one pointer that a delivery moves."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from retraining import names
from retraining.errors import BadRecord, Exists
from retraining.modules import Current, ModuleFile, ModuleSet, check_file, move
from retraining.ports import Store


@dataclass(frozen=True)
class Published:
    """What a delivery did."""

    current: Current  # the pointer as it is now
    before: ModuleSet | None  # the set before the pointer's last move; None: there was none, or it cannot be read
    copied: tuple[str, ...]  # paths of the files that the bucket did not have
    moved: bool  # False: everything was there already


class Modules:
    """Module sets over the records of the artefact bucket."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def publish(self, wanted: ModuleSet, bodies: Mapping[str, bytes], image: str, at: datetime) -> Published:
        """Copy missing files, then write the list, then move the pointer: whoever follows it finds all there.

        Repeat-safe. Raises Conflict when somebody else moves the pointer meanwhile.
        """
        copied = self._copy(wanted, bodies)
        try:
            self._store.create(names.module_set_path(wanted.digest), wanted.to_json())
        except Exists:
            self.read_set(wanted.digest)  # the same content was published from another commit
        now, version = self._pointer()
        after = move(now, wanted, image, at)
        if after is not None:
            body = after.but(nonce=secrets.token_hex(8)).to_json()
            if version:
                self._store.replace(names.MODULES_POINTER, body, version)
            else:
                self._store.create(names.MODULES_POINTER, body)
        current = after or now
        assert current is not None
        return Published(current, self._before(current), copied, after is not None)

    def current(self) -> Current | None:
        """The pointer, or None before the first delivery. Raises BadRecord when it cannot be read."""
        return self._pointer()[0]

    def read_set(self, digest: str) -> ModuleSet:
        """The list of a set's files. Raises BadRecord when it is missing or not what its name says."""
        path = names.module_set_path(digest)
        stored = self._store.read(path)
        if stored is None:
            raise BadRecord(f"{path}: expected a module set, found none")
        return ModuleSet.from_json(stored.body).checked(digest)

    def model_files(self, found: ModuleSet) -> dict[str, bytes]:
        """The set's model files by path, each checked. Raises BadRecord."""
        return {file.path: self._read(file) for file in found.models}

    def _read(self, file: ModuleFile) -> bytes:
        stored = self._store.read(names.module_file_path(file.sha256))
        return check_file(file, None if stored is None else stored.body.encode())

    def _copy(self, wanted: ModuleSet, bodies: Mapping[str, bytes]) -> tuple[str, ...]:
        there = set(self._store.list(names.module_file_path("")))
        copied = []
        for file in wanted.files:
            path = names.module_file_path(file.sha256)
            if path not in there:
                self._store.create(path, bodies[file.path].decode())
                there.add(path)
                copied.append(file.path)
        return tuple(copied)

    def _before(self, current: Current) -> ModuleSet | None:
        if not current.previous:
            return None
        try:
            return self.read_set(current.previous)
        except BadRecord:
            return None  # what changed is unknown, so everything did

    def _pointer(self) -> tuple[Current | None, str]:
        stored = self._store.read(names.MODULES_POINTER)
        return (None, "") if stored is None else (Current.from_json(stored.body), stored.version)
