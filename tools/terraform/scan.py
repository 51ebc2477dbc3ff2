"""checkov over the Terraform code, against a list of what was decided.

A finding that is not on the list fails, and so does an entry that nothing needs any more.
"""

import json
import subprocess
from pathlib import Path

from tools.terraform.provider import ROOT, uv

CHECKOV = "checkov==3.3.30"  # run apart from our environment: it brings a hundred packages that nothing else needs

DECIDED = {
    "CKV_GCP_62": "the audit log of Cloud Storage tells who read and wrote, and says more than bucket logs",
    "CKV_GCP_80": "tables are encrypted by Google; keys of one's own would have to reach jobs and models, too",
    "CKV_GCP_81": "as CKV_GCP_80, for datasets",
    "CKV_GCP_83": "as CKV_GCP_80, for topics: messages hold names and reasons, never rows",
    "CKV_GCP_84": "as CKV_GCP_80, for images",
    "CKV_GCP_121": "views and tables over the records' files hold nothing; every table that does is protected",
    "CKV2_GCP_24": "as CKV_GCP_80, for endpoints",
    "CKV2_GCP_33": "clients call the endpoint as themselves; a private one needs a network that only you know",
}


def findings(folder: Path) -> set[str]:
    """Ids of the checks that fail in ``folder``. Raises RuntimeError when checkov cannot be had or fails."""
    command = [uv(), "tool", "run", "--from", CHECKOV, "checkov", "--directory", str(folder)]
    command += ["--framework", "terraform", "--skip-download", "--output", "json", "--quiet", "--soft-fail"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    try:
        report = json.loads(done.stdout[done.stdout.index("{") :])
        return {found["check_id"] for found in report["results"]["failed_checks"]}
    except (ValueError, KeyError) as error:
        raise RuntimeError(f"checkov: {done.stderr.strip().splitlines()[-1:] or 'no report'}") from error


def problems(found: set[str], decided: dict[str, str]) -> list[str]:
    """One line for each finding that nobody decided on, and each decision that is no longer needed."""
    new = [f"{check}: a finding that nobody has decided on" for check in sorted(found - set(decided))]
    old = [
        f"{check}: decided on, and not found any more: take it off the list"
        for check in sorted(set(decided) - found)
    ]
    return new + old
