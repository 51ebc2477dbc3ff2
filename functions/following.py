"""Model files that follow the module set of the last delivery, without a deployment of the functions.

The bucket is a hint, as everything outside is: whatever is wrong with it, the models that were read last stay, and
at first those of the archive.
"""

from collections.abc import Iterator, Mapping

from functions.logs import log
from gcp.modules import Modules
from retraining.errors import Permanent
from retraining.modelspec import ModelSpec
from retraining.modules import specs


class Following(Mapping[str, ModelSpec]):
    """The models of the set that the pointer names, as of the last ``refresh``."""

    def __init__(self, packaged: Mapping[str, ModelSpec], modules: Modules) -> None:
        self._modules = modules
        self._now: tuple[str, Mapping[str, ModelSpec]] = ("", packaged)  # one value, so that both change at once
        self._refused = ""  # digest of a set that no repetition makes readable

    @property
    def digest(self) -> str:
        """Digest of the set that the models come from; empty: of the archive."""
        return self._now[0]

    def refresh(self) -> None:
        """Look where the pointer leads and read that set if it is another. Never raises."""
        try:
            self._follow()
        except Exception as error:  # noqa: BLE001 - no fault of a delivery may stop what runs
            kept = f"module set {self.digest[:12]}" if self.digest else "the archive"
            log("ERROR", f"the models of {kept} stay: {error}", error=type(error).__name__)

    def _follow(self) -> None:
        current = self._modules.current()
        if current is None or current.digest == self.digest:
            return
        if current.digest == self._refused:
            log("ERROR", f"module set {current.digest[:12]} is still the current one and cannot be used")
            return
        try:
            found = self._modules.read_set(current.digest)
            models = specs(self._modules.model_files(found))
        except Permanent:
            self._refused = current.digest
            raise
        self._now = (current.digest, models)
        log("NOTICE", f"following module set {current.digest[:12]} of commit {current.commit or 'unknown'}")

    def __getitem__(self, name: str) -> ModelSpec:
        return self._now[1][name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now[1])

    def __len__(self) -> int:
        return len(self._now[1])
