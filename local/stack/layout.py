"""Where one stack keeps what it must remember: one folder, which survives and can be thrown away."""

import fcntl
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

MARKER = "RETRAIN_STACK"
"""Variable that every process of a stack carries; its value is the stack's folder."""


@dataclass(frozen=True)
class Layout:
    """The files of the stack in ``root`` (an absolute path)."""

    root: Path

    @classmethod
    def at(cls, folder: Path) -> "Layout":
        """The stack whose folder is ``folder``; the folder is made when it is missing."""
        root = folder.resolve()
        (root / "logs").mkdir(parents=True, exist_ok=True)
        return cls(root)

    @property
    def status(self) -> Path:
        """What runs now; see ``status.py``."""
        return self.root / "stack.json"

    @property
    def options(self) -> Path:
        """What the stack was last started with."""
        return self.root / "options.json"

    @property
    def ports(self) -> Path:
        """Ports by name, used again by the next start."""
        return self.root / "ports.json"

    @property
    def clock(self) -> Path:
        """The stack's own clock, when it does not use the system's."""
        return self.root / "clock"

    def log(self, server: str) -> Path:
        """Everything that ``server`` prints."""
        return self.root / "logs" / f"{server}.log"

    def data(self, server: str) -> Path:
        """Folder of what ``server`` stores."""
        return self.root / server

    def lock(self) -> IO[str] | None:
        """Take the stack for this process until the file is closed; None while another process has it.

        The system frees it when the process ends in whatever way, so it never goes stale.
        """
        file = (self.root / "lock").open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        return file

    def taken(self) -> bool:
        """Whether a supervisor runs this stack now."""
        file = self.lock()
        if file is None:
            return True
        file.close()
        return False

    def wipe(self) -> None:
        """Forget everything but the lock and the log in use. Only for who holds the lock."""
        for path in self.root.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name not in ("lock", "supervisor.log"):
                path.unlink()
        (self.root / "logs").mkdir()


def write_json(path: Path, content: Any) -> None:
    """Replace ``path`` as a whole: a reader sees the old content or the new."""
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(content, indent=2) + "\n")
    temporary.replace(path)


def read_json(path: Path) -> Any:
    """The content of ``path``, or None when it is missing or cut short."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
