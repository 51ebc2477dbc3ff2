"""How stored records change from release to release, and what two releases do on one store meanwhile.

While an installation is upgraded, programs of two releases read and write the same records, and runs and rollouts
stay open. One rule keeps that safe:

- An **additive change** is a new field whose default means "as before". The version stays. An older program does
  not know the field; it carries it along and writes it back as it came (``retraining.record``).
- A **breaking change** is every other one: a field that goes, is renamed or means something else, a field without a
  default, a new value of an enumeration. The version rises by one, and a step here makes the new form from the old.
  An older program leaves such a record alone: ``NewerRecord`` says so, another attempt by the newer program cures
  it, and the older one goes on with the records that it understands.

So a program only ever acts on what it understands, and never drops what it does not. A record without a version is
of version 1. Steps are never changed or removed once they were released: a run may have waited for a person for
weeks, and the audit is read after years. ``tests/upgrade`` holds records of every version to prove it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from retraining.errors import BadRecord, NewerRecord

Step = Callable[[dict[str, Any]], dict[str, Any]]  # takes the dict of version n and returns that of n + 1


@dataclass(frozen=True)
class Format:
    """The form of one kind of record: its name, and the steps that led to today's version."""

    kind: str
    steps: tuple[Step, ...] = ()

    @property
    def version(self) -> int:
        """What this program writes, and the newest it reads."""
        return 1 + len(self.steps)

    def upgrade(self, raw: dict[str, Any]) -> dict[str, Any]:
        """``raw`` in today's form, without its version. Raises BadRecord, and NewerRecord for a later version."""
        version = raw.get("version", 1)
        if type(version) is not int or version < 1:
            raise BadRecord(f"{self.kind}: version: expected a whole number from 1, got {version!r:.80}")
        if version > self.version:
            raise NewerRecord(
                f"{self.kind}: version: expected at most {self.version}, got {version}: "
                "left to the newer release that wrote it"
            )
        now = {key: value for key, value in raw.items() if key != "version"}
        for number, step in enumerate(self.steps[version - 1 :], start=version):
            try:
                now = step(now)
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                raise BadRecord(
                    f"{self.kind}: expected a record of version {number}, got one that cannot be "
                    f"brought to version {number + 1}: {type(error).__name__}: {error}"
                ) from error
        return now


RUN = Format("run")
MODEL_STATE = Format("model state")
MONEY = Format("money")
ROLLOUT = Format("rollout")
OUTCOME = Format("outcome")
PARKED = Format("parked trigger")
CLAIM = Format("claim")
AUDIT_EVENT = Format("audit event")
INCIDENT = Format("incident")
WATCH = Format("watch")
CHUNK = Format("chunk of verdicts")
MANIFEST = Format("manifest")
TRAINING_REPORT = Format("training report")
EVALUATION = Format("evaluation")
BASELINE = Format("baseline")
MODULE_SET = Format("module set")
MODULES_POINTER = Format("pointer to modules")
MODEL_FILE = Format("model file")
