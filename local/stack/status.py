"""What a stack tells the world: one small file that the supervisor writes and everybody else reads."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

from local.stack.layout import read_json, write_json


class Phase(StrEnum):
    """Where a stack or one of its servers stands."""

    WAITING = "waiting"  # not started: a server it needs is not ready
    STARTING = "starting"  # started, has not said that it serves
    READY = "ready"  # serves
    RESTARTING = "restarting"  # ended by itself; starts again after a pause
    FAILED = "failed"  # could not start
    DONE = "done"  # a task that has done its work
    STOPPED = "stopped"  # told to stop


@dataclass(frozen=True)
class ServerStatus:
    """One server."""

    phase: Phase
    pid: int = 0  # 0: no process
    addresses: tuple[str, ...] = ()
    restarts: int = 0
    seconds: float = 0.0  # from start to ready


@dataclass(frozen=True)
class Status:
    """A whole stack."""

    phase: Phase
    pid: int = 0  # of the supervisor
    error: str = ""  # why it failed
    seconds: float = 0.0  # from start to ready
    env: dict[str, str] = field(default_factory=dict)  # variables that lead Google's clients and ours here
    servers: dict[str, ServerStatus] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Replace the file at ``path``."""
        write_json(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> "Status":
        """What ``path`` says; a stack that never ran is stopped."""
        raw = read_json(path)
        if not isinstance(raw, dict):
            return cls(Phase.STOPPED)
        servers = {
            name: ServerStatus(
                Phase(one["phase"]), one["pid"], tuple(one["addresses"]), one["restarts"], one["seconds"]
            )
            for name, one in raw["servers"].items()
        }
        return cls(Phase(raw["phase"]), raw["pid"], raw["error"], raw["seconds"], raw["env"], servers)
