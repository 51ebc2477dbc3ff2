"""``python -m tools.supply audit`` and ``sbom``: may we use what the lock files name, and what exactly is that?

``audit`` exits 1 at a problem. Where no vulnerability service is in reach it says so and goes on, unless
``AUDIT_REQUIRED=1``, as in continuous integration.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from tools.supply import licences, vulnerabilities
from tools.supply.locks import LOCKS, ROOT, pins

BUILD = ROOT / "build"


def audit(environ: Mapping[str, str]) -> int:
    """Check vulnerabilities and licences; the exit code."""
    found = licences.problems(pin.name for lock in LOCKS for pin in pins(lock))
    print(f"licences: {len(found)} problems", flush=True)
    if find_spec("pip_audit") is None:
        found.append("pip-audit is not installed")
    elif vulnerabilities.in_reach():
        found += _vulnerable(environ)
    elif environ.get("AUDIT_REQUIRED") == "1":
        found.append("no vulnerability service in reach, and AUDIT_REQUIRED=1")
    else:
        print("vulnerabilities: skipped: no vulnerability service in reach")
    for problem in found:
        print(f"audit: {problem}", file=sys.stderr)
    return 1 if found else 0


def _vulnerable(environ: Mapping[str, str]) -> list[str]:
    findings: dict[tuple[str, str], vulnerabilities.Finding] = {}
    unknown: set[str] = set()
    for lock in LOCKS:
        listed, missing = vulnerabilities.look(lock)
        findings.update({(one.package, one.ids[0]): one for one in listed})
        unknown.update(missing)
    if unknown:
        print(f"vulnerabilities: the service does not know {', '.join(sorted(unknown))}")
    known = vulnerabilities.exceptions()
    found = vulnerabilities.judge(list(findings.values()), known, datetime.now(UTC).date())
    print(f"vulnerabilities: {len(findings)} found, {len(known)} exceptions")
    if unknown and environ.get("AUDIT_REQUIRED") == "1":
        found.append(f"{len(unknown)} packages could not be looked up, and AUDIT_REQUIRED=1")
    return found


def sbom(folder: Path) -> int:
    """Write a CycloneDX list of the parts of the functions and of the image; needs no network."""
    folder.mkdir(parents=True, exist_ok=True)
    for lock, name in ((LOCKS[0], "functions"), (LOCKS[1], "trainer")):
        out = folder / f"{name}.cdx.json"
        command = [sys.executable, "-m", "cyclonedx_py", "requirements", str(lock), "--of", "JSON"]
        subprocess.run([*command, "--output-reproducible", "-o", str(out)], check=True, capture_output=True)
        print(f"{out}: {len(pins(lock))} parts")
    return 0


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tools.supply", description=__doc__)
    parser.add_argument("command", choices=("audit", "sbom"))
    parser.add_argument("--out", type=Path, default=BUILD, help="folder for the lists of parts")
    args = parser.parse_args()
    return audit(os.environ) if args.command == "audit" else sbom(args.out)


if __name__ == "__main__":
    sys.exit(main())
