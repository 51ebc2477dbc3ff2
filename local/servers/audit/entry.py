"""The log entry of a table's change, in the JSON form in which Cloud Logging publishes it.

As in the real form, 64-bit numbers are strings, and fields that are zero or false are absent.
"""

import hashlib
from datetime import datetime
from typing import Any

from local.servers.audit.changes import Change, Job

_SERVICE = "bigquery.googleapis.com"
_METHOD = "google.cloud.bigquery.v2.JobService.InsertJob"


def log_entry(job: Job, change: Change, at: datetime) -> dict[str, Any]:
    """The LogEntry of ``change`` by ``job``, written at ``at``. Its insertId is the same for the same change."""
    table = change.table
    reference = job["jobReference"]
    job_name = f"projects/{reference['projectId']}/jobs/{reference['jobId']}"
    resource = f"projects/{table.project}/datasets/{table.dataset}/tables/{table.table}"
    time = at.isoformat().replace("+00:00", "Z")
    return {
        "insertId": hashlib.sha256(f"{job_name} {resource}".encode()).hexdigest()[:16],
        "logName": f"projects/{table.project}/logs/cloudaudit.googleapis.com%2Fdata_access",
        "resource": {
            "type": "bigquery_dataset",
            "labels": {"project_id": table.project, "dataset_id": table.dataset},
        },
        "timestamp": time,
        "receiveTimestamp": time,
        "severity": "INFO",
        "protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "serviceName": _SERVICE,
            "methodName": _METHOD,
            "resourceName": resource,
            "authenticationInfo": {"principalEmail": job.get("user_email", "")},
            "metadata": {
                "@type": "type.googleapis.com/google.cloud.audit.BigQueryAuditMetadata",
                "tableDataChange": _data_change(change, job_name),
            },
        },
    }


def _data_change(change: Change, job_name: str) -> dict[str, Any]:
    content: dict[str, Any] = {"reason": change.reason, "jobName": job_name}
    if change.inserted:
        content["insertedRowsCount"] = str(change.inserted)
    if change.deleted:
        content["deletedRowsCount"] = str(change.deleted)
    if change.truncated:
        content["truncated"] = True
    return content
