"""``python -m tools.terraform.check``: everything about the Terraform code that can be known without a cloud.

What cannot be done here is said as ``skipped``; ``TERRAFORM_STRICT=1`` makes that a failure.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tools.terraform import provider, scan

MODULE = Path("modules/shape")


class Skipped(Exception):
    """A check that cannot be done on this machine; the text says why."""


def format_of_files() -> str:
    """All files are formatted as terraform fmt would."""
    done = subprocess.run(
        ["terraform", "fmt", "-check", "-recursive", "-diff", str(provider.ROOT / "terraform")],
        env=provider.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise AssertionError(f"not formatted; run terraform fmt -recursive terraform\n{done.stdout}{done.stderr}")
    return "formatted"


def shape() -> str:
    """The tests of the module that needs no provider."""
    with tempfile.TemporaryDirectory() as folder:
        copied = provider.copy(Path(folder) / "terraform") / MODULE
        return _last_line(provider.Provider(None).run(copied, ["init"], ["test"]))


def plans() -> str:
    """The whole configuration is valid, and its plans hold what the tests say."""
    found = provider.find(os.environ)
    if found is None:
        raise Skipped("neither the registry of providers nor a stand-in is in reach")
    with tempfile.TemporaryDirectory() as folder:
        copied = provider.copy(Path(folder) / "terraform")
        done = found.run(copied, ["init", "-backend=false"], ["validate"], ["test"])
        return f"{_last_line(done)} With {found.about}."


def security() -> str:
    """checkov finds nothing but what was decided."""
    try:
        found = scan.findings(provider.ROOT / "terraform")
    except RuntimeError as error:
        raise Skipped(str(error)) from error
    if problems := scan.problems(found, scan.DECIDED):
        raise AssertionError("\n".join(problems))
    return f"nothing but {len(scan.DECIDED)} findings that were decided on"


def _last_line(done: "subprocess.CompletedProcess[str]") -> str:
    if done.returncode:
        raise AssertionError(done.stdout + done.stderr)
    return [line for line in done.stdout.splitlines() if line.strip()][-1]


CHECKS: dict[str, Callable[[], str]] = {"fmt": format_of_files, "shape": shape, "plans": plans, "checkov": security}


def main() -> int:
    """Run all; 1 when one fails."""
    if shutil.which("terraform") is None:
        print("terraform-check: skipped: terraform is not installed (1.9 or newer)")
        return 1 if os.environ.get("TERRAFORM_STRICT") else 0
    worst = 0
    for name, check in CHECKS.items():
        try:
            print(f"{name:8} ok: {check()}", flush=True)
        except Skipped as why:
            print(f"{name:8} SKIPPED: {why}", flush=True)
            worst = max(worst, 1 if os.environ.get("TERRAFORM_STRICT") else 0)
        except AssertionError as error:
            print(f"{name:8} FAILED\n{error}", flush=True)
            worst = 1
    return worst


if __name__ == "__main__":
    sys.exit(main())
