"""Buckets: are they there, in the region, guarded, and do they keep the one promise that all records rest on?"""

from collections.abc import Mapping

from console.doctor.finding import Finding
from console.doctor.wanted import Wanted
from gcp.installed import Bucket


def buckets(wanted: Wanted, found: Mapping[str, Bucket | None]) -> list[Finding]:
    """Every bucket is there and in the region; in the cloud also versioned and closed to the public."""
    findings = []
    for name, bucket in found.items():
        if bucket is None:
            text = f"bucket {name}: expected it to exist"
            findings.append(Finding("buckets", "error", text, wanted.again))
            continue
        if bucket.location != wanted.settings.region:
            text = f"bucket {name}: expected it in {wanted.settings.region}, got {bucket.location}"
            findings.append(Finding("buckets", "error", text, wanted.env))
        if wanted.cloud:
            findings += _guards(bucket)
    return findings


def _guards(bucket: Bucket) -> list[Finding]:
    guards = (
        (bucket.versioning, "old versions kept", "--versioning"),
        (bucket.uniform_access, "uniform access", "--uniform-bucket-level-access"),
        (bucket.public_access_prevention == "enforced", "public access prevented", "--public-access-prevention"),
    )
    return [
        Finding(
            "buckets",
            "error",
            f"bucket {bucket.name}: expected {text}, it is not so",
            f"gcloud storage buckets update gs://{bucket.name} {flag}",
        )
        for holds, text, flag in guards
        if not holds
    ]


def probes(wanted: Wanted, problems: Mapping[str, list[str]]) -> list[Finding]:
    """What the probe of each bucket has shown."""
    return [
        Finding("probe", "error", f"bucket {name}: {problem}", _look(wanted, name))
        for name, found in problems.items()
        for problem in found
    ]


def _look(wanted: Wanted, name: str) -> str:
    return f"gcloud storage buckets describe gs://{name}" if wanted.cloud else "retrain local logs storage"
