"""The image of jobs and servers: built by Cloud Build when what is in it has changed, and named by its digest."""

import hashlib
import re
from pathlib import Path

from console.deploy.programs import Failed, Programs
from console.deploy.values import Values

CONFIG = "cloudbuild/image.yaml"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# What Cloud Build needs before it can build the first image.
FIRST = (
    "google_artifact_registry_repository.images",
    "google_artifact_registry_repository_iam_member.build",
    "google_project_iam_member.build",
    'google_service_account.this["build"]',
    'google_storage_bucket.this["source"]',
    "google_storage_bucket_iam_member.build",
)


def tag(root: Path) -> str:
    """A tag that changes when a file in the image does: whatever the Dockerfile copies, and itself."""
    dockerfile = root / "trainer" / "Dockerfile"
    sources = re.findall(r"^COPY (\S+) ", dockerfile.read_text(), re.MULTILINE)
    paths = {path for source in sources for path in [root / source, *(root / source).rglob("*")]}
    digest = hashlib.sha256()
    for path in sorted(path for path in {dockerfile, *paths} if path.is_file() and path.suffix != ".pyc"):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    return digest.hexdigest()[:16]


def find(programs: Programs, values: Values) -> str | None:
    """The image of this checkout by digest, or None when it was not built yet."""
    tagged = f"{values.images}/trainer:{tag(programs.root)}"
    digest = programs.find(
        "gcloud", "artifacts", "docker", "images", "describe", tagged,
        f"--project={values.project}", "--format=value(image_summary.digest)",
    )  # fmt: skip
    if not digest:
        return None
    if not _DIGEST.fullmatch(digest):
        raise Failed(f"digest of {tagged}: expected sha256: and 64 digits, got {digest!r}")
    return f"{values.images}/trainer@{digest}"


def build(programs: Programs, values: Values) -> str:
    """Build and push it; the image by digest. Raises Failed."""
    tagged = f"{values.images}/trainer:{tag(programs.root)}"
    account = f"projects/{values.project}/serviceAccounts/retrain-build@{values.project}.iam.gserviceaccount.com"
    programs.change(
        "gcloud", "builds", "submit", ".", f"--config={CONFIG}", f"--project={values.project}",
        f"--region={values.region}", f"--service-account={account}",
        f"--gcs-source-staging-dir=gs://{values.project}-retrain-source/builds",
        f"--substitutions=_IMAGE={tagged}",
    )  # fmt: skip
    found = find(programs, values)
    if found is None:
        raise Failed(f"image {tagged}: expected it in the registry after its build")
    return found
