"""Runs the container's programs, in this process or as processes of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.trainer import samples

ROOT = Path(__file__).parents[2]


def run(module: str, *words: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """``python -m module`` to its end."""
    return subprocess.run(command(module, *words), env=dict(os.environ) | dict(env or {}), **_CAPTURED)


_CAPTURED: dict[str, Any] = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": 120}


def command(module: str, *words: str) -> list[str]:
    """The words of ``python -m module``."""
    return [sys.executable, "-m", module, *words]


@dataclass(frozen=True)
class Trained:
    """What a training left."""

    folder: Path
    code: int

    @property
    def model(self) -> str:
        """The model's folder."""
        return str(self.folder / "model")

    def report(self, name: str) -> Any:
        """A file of the report."""
        return json.loads((self.folder / "report" / name).read_text())


def train(
    folder: Path,
    task: str,
    *words: str,
    data: Path | None = None,
    spec: dict[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
) -> Trained:
    """Train in this process, on rows of ``task`` unless ``data`` is a folder of others."""
    from trainer.__main__ import main

    folder.mkdir(parents=True, exist_ok=True)
    path = samples.write_spec(folder, spec or samples.spec(task))
    data = data or samples.write_rows(folder / "data", task)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"AIP_MODEL_DIR": f"{folder}/model/", **(env or {})}.items():
            patch.setenv(name, value)
        code = main([f"--model-spec={path}", f"--data-dir={data}", "--run-id=run-1", *words])
    return Trained(folder, code)
