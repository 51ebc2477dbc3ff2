"""The one place from which other programs are run: told before, with the end of what they said when they fail."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from retraining.errors import Permanent

_SHOWN_LINES = 25  # of a program that failed


class Failed(Permanent):
    """A program that had to succeed did not; the text holds its command and the end of what it said."""


@dataclass(frozen=True)
class Programs:
    """Runs programs in ``root`` (the checkout). ``say`` hears each command that changes something."""

    root: Path
    say: Callable[[str], None]
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def has(self, program: str) -> bool:
        """Whether there is such a program."""
        return shutil.which(program, path=self.environ.get("PATH")) is not None

    def read(self, *words: str) -> str:
        """What a program that only looks prints. Raises Failed."""
        done = self._run(words)
        if done.returncode:
            raise Failed(_told(words, done))
        return done.stdout

    def find(self, *words: str) -> str | None:
        """What a program that only looks prints, stripped; None when it fails, as for what is not there."""
        done = self._run(words)
        return None if done.returncode else done.stdout.strip()

    def change(self, *words: str) -> str:
        """Run a program that changes something, told first; returns what it prints. Raises Failed."""
        self.say(f"$ {shlex.join(words)}")
        return self.read(*words)

    def _run(self, words: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        environ = {**self.environ, "TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}
        try:
            return subprocess.run(
                words,
                cwd=self.root,
                env=environ,
                capture_output=True,
                text=True,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except FileNotFoundError as error:
            raise Failed(
                f"{words[0]}: expected it on PATH; see docs/deploy.md for what has to be installed"
            ) from error


def _told(words: Sequence[str], done: "subprocess.CompletedProcess[str]") -> str:
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return "\n".join([f"{shlex.join(words)}: ended with {done.returncode}", *lines[-_SHOWN_LINES:]])
