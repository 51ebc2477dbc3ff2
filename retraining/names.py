"""Every path, id and label this system builds, and the only place that builds or parses them.

``*_id`` is one component; a path is relative to its bucket.
"""

import hashlib
import re
from datetime import datetime

_SAFE = re.compile(r"[^a-z0-9-]+")


def short_hash(text: str, length: int = 8) -> str:
    """The first ``length`` hex digits of the text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def slug(text: str) -> str:
    """``text`` as letters, digits and dashes, short enough for a path; different texts stay different."""
    plain = _SAFE.sub("-", text.lower()).strip("-")
    if plain and plain == text and len(plain) <= 60:
        return plain
    return f"{plain[:43].strip('-')}-{short_hash(text, 16)}"


def run_id(model: str, at: datetime, key: str) -> str:
    """The id of the run that a first trigger ``key`` opens at ``at``: sortable, and safe as label and alias."""
    return f"{model}-{at:%Y%m%d-%H%M%S}-{short_hash(key, 4)}"


# Records, in the state bucket -----------------------------------------------------


def inbox_path(model: str, key: str) -> str:
    """A trigger that no run has taken up yet."""
    return f"inbox/{model}/{slug(key)}.json"


def claim_path(model: str, key: str) -> str:
    """Which run answers a trigger. Create-only: the first claim decides."""
    return f"claims/{model}/{slug(key)}.json"


def run_path(run: str) -> str:
    """The record of one run."""
    return f"runs/{run}.json"


def active_path(run: str) -> str:
    """A marker that the run has not ended; what a tick lists instead of all runs."""
    return f"active/{run}.json"


def model_path(model: str) -> str:
    """What is known about a model between runs."""
    return f"models/{model}.json"


def rollout_path(endpoint: str) -> str:
    """The record of an endpoint: who serves, and the rollout under way. One per endpoint is the mutex."""
    return f"rollouts/{endpoint}.json"


def outcome_path(run: str) -> str:
    """How the rollout of a run ended. Create-only."""
    return f"outcomes/{run}.json"


def candidate_path(endpoint: str, run: str) -> str:
    """A winner that waits for its rollout; what the deployer's tick lists."""
    return f"candidates/{endpoint}/{run}.json"


def rolling_path(endpoint: str, sequence: int) -> str:
    """A marker that an endpoint's rollout number ``sequence`` has not ended."""
    return f"rolling/{endpoint}/{sequence}.json"


def budget_path(model: str, at: datetime) -> str:
    """Money reserved and spent in the month of ``at``."""
    return f"budget/{model}/{at:%Y%m}.json"


def fence_path(run: str, kind: str, attempt: int) -> str:
    """Which job may do the work of an attempt; in the artefact bucket. Create-only, by the job itself."""
    return f"fence/{run}-{kind}-{attempt}.json"


def event_path(at: datetime, unique: str) -> str:
    """One entry of the audit. Create-only; sorts by time."""
    return f"events/{at:%Y-%m-%d}/{at:%H%M%S.%f}-{unique}.json"


def quarantine_path(body: bytes) -> str:
    """A message that could not be understood, by the hash of its body."""
    return f"quarantine/{hashlib.sha256(body).hexdigest()}.json"


def incident_path(model: str) -> str:
    """The open or last closed incident of drift of a model."""
    return f"incidents/{model}.json"


# Artefacts ------------------------------------------------------------------------


def log_table(endpoint: str) -> str:
    """The table in this system's dataset that an endpoint's requests are logged to."""
    return f"{endpoint.replace('-', '_')}_requests"


def snapshot_uri(bucket: str, run: str) -> str:
    """Folder of the frozen rows of a run, with train-*, eval-* and test-* Parquet files."""
    return f"gs://{bucket}/snapshots/{run}"


def artifact_uri(bucket: str, run: str) -> str:
    """Folder of what a run's jobs write: model/, report/, checkpoints/."""
    return f"gs://{bucket}/runs/{run}"


def evaluation_uri(bucket: str, run: str) -> str:
    """What the evaluator says of a run's candidate; a folder of its own, in which only evaluators may create."""
    return f"gs://{bucket}/evaluations/{run}.json"


def split_uri(uri: str) -> tuple[str, str]:
    """``gs://bucket/path`` → (bucket, path)."""
    bucket, _, path = uri.removeprefix("gs://").partition("/")
    return bucket, path


# Vertex AI ------------------------------------------------------------------------


def deployed_id(run: str, sequence: int) -> str:
    """The client-chosen id under which a rollout deploys a run's model: ten digits; a repeat has the same id."""
    return str(10**9 + int(short_hash(f"{run}#{sequence}", 15), 16) % (9 * 10**9))


def version_alias(run: str) -> str:
    """The alias that finds a run's model version again."""
    return f"run-{run}"


def label(text: str) -> str:
    """``text`` as a label value: at most 63 lower-case letters, digits, dashes and underscores."""
    return re.sub(r"[^a-z0-9_-]", "-", text.lower())[:63]


# Module sets, in the artefact bucket ----------------------------------------------

MODULES_POINTER = "modules/current.json"  # which set new runs take


def module_file_path(sha256: str) -> str:
    """One file of module sets, by its content. Create-only."""
    return f"modules/files/{sha256}"


def module_set_path(digest: str) -> str:
    """The list of a set's files. Create-only."""
    return f"modules/sets/{digest}.json"


def module_set_uri(bucket: str, digest: str) -> str:
    """Where a job finds the list of its set's files."""
    return f"gs://{bucket}/{module_set_path(digest)}"
