"""The fence: of several jobs that were started for one run, only the first works.

Vertex AI may have created a second job after an answer was lost. The first job to create the fence file holds it; a
job that Vertex AI restarts finds its own id there and goes on.
"""

import json
import os
from collections.abc import Mapping

from trainer import storage


def take(uri: str, nonce: str) -> bool:
    """Take the fence at ``uri`` for this job; False when another job holds it. An empty ``uri`` is no fence."""
    if not uri:
        return True
    job = os.environ.get("CLOUD_ML_JOB_ID", f"process-{os.getpid()}")
    if storage.create(uri, json.dumps({"job_id": job, "nonce": nonce}).encode()):
        return True
    held = json.loads(storage.read(uri) or b"{}")
    return bool(held.get("job_id") == job)


def chief(environ: Mapping[str, str]) -> bool:
    """Whether this machine is the first of its job. The others have nothing to do: one machine is enough."""
    task = json.loads(environ.get("CLUSTER_SPEC") or "{}").get("task", {})
    return task.get("type", "workerpool0") == "workerpool0" and int(task.get("index", 0)) == 0
