"""What stands for a container image on this machine: a local command, found by the image's name."""

import shlex
import shutil
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_INTERPRETERS = ("python", "python3")


class CannotRun(Exception):
    """A job or model cannot run on this machine; the message says why and names the image."""


@dataclass(frozen=True)
class Images:
    """Commands by image name; a name that ends in ``*`` stands for all that begin so. The longest name wins."""

    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def parse(cls, items: Sequence[str]) -> "Images":
        """Read ``NAME=COMMAND`` items. Raises ValueError."""
        commands = {}
        for item in items:
            name, equals, command = item.partition("=")
            if not (name and equals and shlex.split(command)):
                raise ValueError(f"--image: expected NAME=COMMAND, got {item!r}")
            commands[name] = tuple(shlex.split(command))
        return cls(commands)

    def command(self, image: str) -> tuple[str, ...]:
        """The local command for ``image``. Raises CannotRun."""
        found = [
            name for name in self.commands if name == image or (name[-1] == "*" and image.startswith(name[:-1]))
        ]
        if not found:
            known = ", ".join(sorted(self.commands)) or "none"
            raise CannotRun(
                f"the container image {image!r} has no local command: "
                f"start the server with --image '{image}=COMMAND' (known images: {known})"
            )
        return self.commands[max(found, key=len)]

    def argv(self, image: str, command: Sequence[str], args: Sequence[str]) -> list[str]:
        """The local words for a container's command and arguments. Raises CannotRun.

        Without a command the image's own runs. A command that begins with ``python`` gets the image's interpreter,
        the first word of its local command.
        """
        own = self.command(image)
        if not command:
            return [*own, *args]
        first = own[0] if command[0] in _INTERPRETERS else command[0]
        if shutil.which(first) is None and first not in ("sh", "bash", "/bin/sh", "/bin/bash"):
            raise CannotRun(f"the container image {image!r} is to run {first!r}, which this machine does not have")
        return [first, *command[1:], *args]

    def path_folder(self, image: str, root: Path) -> Path:
        """A folder for PATH in which ``python`` is the image's own, for shell commands. Raises CannotRun."""
        interpreter = self.command(image)[0]
        folder = root / interpreter.strip("/").replace("/", "_")
        folder.mkdir(parents=True, exist_ok=True)
        if Path(interpreter).name.startswith("python"):
            for name in _INTERPRETERS:
                script = folder / name
                if not script.exists():
                    script.write_text(f'#!/bin/sh\nexec {shlex.quote(interpreter)} "$@"\n')
                    script.chmod(script.stat().st_mode | stat.S_IXUSR)
        return folder
