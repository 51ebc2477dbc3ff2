"""Model versions in a dictionary, with Vertex AI's rules for parents and aliases."""

import threading

from local.memory.operations import MemoryOperations
from retraining.views import VersionPlan, VersionView

_PARENT = "projects/local/locations/us-central1"


class MemoryRegistry:
    """Registry in this process. Safe between threads."""

    def __init__(self, operations: MemoryOperations) -> None:
        self._operations = operations
        self._versions: dict[str, list[VersionView]] = {}  # model → versions, oldest first
        self._aliases: dict[tuple[str, str], VersionView] = {}
        self._lock = threading.Lock()

    def find(self, model: str, alias: str) -> VersionView | None:
        """See Registry."""
        with self._lock:
            return self._aliases.get((model, alias))

    def upload(self, plan: VersionPlan) -> str:
        """See Registry."""

        def register(error: str) -> None:
            if not error:
                self._register(plan)

        return self._operations.start(f"{_PARENT}/models/{plan.model}", register)

    def _register(self, plan: VersionPlan) -> None:
        with self._lock:
            versions = self._versions.setdefault(plan.model, [])
            name = f"{_PARENT}/models/{plan.model}@{len(versions) + 1}"
            version = VersionView(name, dict(plan.labels), plan.artifact_uri)
            versions.append(version)
            self._aliases[plan.model, plan.alias] = version  # an alias moves to the newest that claims it
