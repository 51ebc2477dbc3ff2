"""Google's services that only a real project has, over plain REST: access, functions, images, quotas and more.

Their Python clients would be eight more packages for one command. ``connect`` takes another base address, under
which each service has a folder by its host: that is how tests speak to a server of their own.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from gcp.errors import translated
from gcp.installed import Alarm, Binding, Function, Quota, Sink
from retraining.errors import Refused, Temporary

CALL_SECONDS = 30.0
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_PAGES = 100  # of one list; more would be a list that never ends

Policy = tuple[Binding, ...]


def connect(project: str, region: str, base: str = "") -> "GoogleRest":
    """Speak to Google as whoever runs this, or without credentials to ``base`` (http://host:port/).

    Raises Refused when there are no credentials.
    """
    if base:
        return GoogleRest(requests.Session(), project, region, base.rstrip("/"))
    import google.auth
    from google.auth.transport.requests import AuthorizedSession

    with translated("finding credentials (gcloud auth application-default login)"):
        credentials, _ = google.auth.default(scopes=[_SCOPE], quota_project_id=project)
        session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
        return GoogleRest(session, project, region)


class GoogleRest:
    """Readers over one project and region. Every one raises Refused or Temporary."""

    def __init__(self, session: requests.Session, project: str, region: str, base: str = "") -> None:
        self._session, self._base = session, base
        self._project, self._region = project, region

    def project_number(self) -> str:
        """The project's number, of which the names of Google's own accounts are made."""
        return str(self._get("cloudresourcemanager", f"v3/projects/{self._project}")["name"]).rpartition("/")[2]

    def server_time(self) -> datetime:
        """What Google's clock says, to the second; no rights are needed."""
        with translated("asking Google for the time"):
            answer = self._session.get(self._url("cloudresourcemanager", ""), timeout=CALL_SECONDS)
        if "Date" not in answer.headers:
            raise Refused("asking Google for the time: expected a Date header, got none")
        return parsedate_to_datetime(answer.headers["Date"])

    def enabled_apis(self) -> frozenset[str]:
        """Enabled services, as ``aiplatform.googleapis.com``."""
        path = f"v1/projects/{self._project}/services"
        found = self._list("serviceusage", path, "services", {"filter": "state:ENABLED", "pageSize": "200"})
        return frozenset(str(item["config"]["name"]) for item in found)

    # Access -----------------------------------------------------------------------------

    def project_policy(self) -> Policy:
        """Who has which role in the project."""
        return self._policy("cloudresourcemanager", f"v3/projects/{self._project}:getIamPolicy")

    def topic_policy(self, topic: str) -> Policy:
        """Who has which role on a topic."""
        return _bindings(self._get("pubsub", f"v1/projects/{self._project}/topics/{topic}:getIamPolicy"))

    def account_policy(self, email: str) -> Policy:
        """Who has which role on a service account."""
        return self._policy("iam", f"v1/projects/{self._project}/serviceAccounts/{email}:getIamPolicy")

    def bucket_policy(self, bucket: str) -> Policy:
        """Who has which role on a bucket, with conditions."""
        return _bindings(self._get("storage", f"storage/v1/b/{bucket}/iam", {"optionsRequestedPolicyVersion": "3"}))

    def dataset_policy(self, dataset: str) -> Policy:
        """Who has which role on a dataset, by its access list."""
        found = self._get("bigquery", f"bigquery/v2/projects/{self._project}/datasets/{dataset}")
        return tuple(
            Binding(str(entry["role"]), member, entry.get("condition", {}).get("expression", ""))
            for entry in found.get("access", [])
            if "role" in entry and (member := _member(entry))
        )

    def service_policy(self, service: str) -> Policy:
        """Who has which role on a Cloud Run service of the region."""
        path = f"v2/projects/{self._project}/locations/{self._region}/services/{service}:getIamPolicy"
        return _bindings(self._get("run", path))

    def custom_roles(self) -> dict[str, frozenset[str]]:
        """The project's own roles by full name, with what they permit; deleted ones are left out."""
        found = self._list("iam", f"v1/projects/{self._project}/roles", "roles", {"view": "FULL"})
        return {
            str(role["name"]): frozenset(role.get("includedPermissions", ()))
            for role in found
            if not role.get("deleted")
        }

    def accounts(self) -> dict[str, bool]:
        """Service accounts of the project by address; False for one that is switched off."""
        found = self._list("iam", f"v1/projects/{self._project}/serviceAccounts", "accounts")
        return {str(item["email"]): not item.get("disabled", False) for item in found}

    def may(self, permissions: list[str]) -> frozenset[str]:
        """Which of these the caller has in the project."""
        path = f"v3/projects/{self._project}:testIamPermissions"
        answer = self._call("POST", "cloudresourcemanager", path, body={"permissions": permissions})
        return frozenset(answer.get("permissions", ()))

    # What runs, and what watches it -----------------------------------------------------------

    def functions(self) -> dict[str, Function]:
        """Functions of the region by name."""
        path = f"v2/projects/{self._project}/locations/{self._region}/functions"
        return {
            (name := str(item["name"]).rpartition("/")[2]): Function(
                name=name,
                state=str(item.get("state", "")),
                uri=str((config := item.get("serviceConfig", {})).get("uri", "")),
                service=str(config.get("service", "")).rpartition("/")[2],
                account=str(config.get("serviceAccountEmail", "")),
                environment=dict(config.get("environmentVariables", {})),
            )
            for item in self._list("cloudfunctions", path, "functions")
        }

    def has_image(self, repository: str, image: str, location: str, project: str) -> bool:
        """Whether Artifact Registry holds ``image`` (name@sha256:…) in ``repository``."""
        path = f"v1/projects/{project}/locations/{location}/repositories/{repository}/dockerImages/{image}"
        return self._find("artifactregistry", path) is not None

    def metrics(self) -> dict[str, str]:
        """Log-based metrics by name, with their filters."""
        found = self._list("logging", f"v2/projects/{self._project}/metrics", "metrics")
        return {str(item["name"]): str(item.get("filter", "")) for item in found}

    def sinks(self) -> dict[str, Sink]:
        """Log sinks of the project by name."""
        found = self._list("logging", f"v2/projects/{self._project}/sinks", "sinks")
        return {
            str(item["name"]): Sink(
                str(item["name"]),
                item.get("destination", ""),
                item.get("filter", ""),
                item.get("writerIdentity", ""),
            )
            for item in found
        }

    def alarms(self) -> dict[str, Alarm]:
        """Alert policies by their display names."""
        found = self._list("monitoring", f"v3/projects/{self._project}/alertPolicies", "alertPolicies")
        return {str(item["displayName"]): _alarm(item) for item in found}

    def quotas(self, service: str) -> dict[str, Quota]:
        """Limits of ``service`` (a host) that hold in the region, by metric."""
        path = f"v1beta1/projects/{self._project}/services/{service}/consumerQuotaMetrics"
        found = self._list("serviceusage", path, "metrics", {"view": "FULL"})
        limits = {str(item["metric"]): _limit(item, self._region) for item in found}
        return {metric: quota for metric, quota in limits.items() if quota is not None}

    # HTTP -------------------------------------------------------------------------------------

    def _policy(self, service: str, path: str) -> Policy:
        return _bindings(self._call("POST", service, path, body={"options": {"requestedPolicyVersion": 3}}))

    def _list(
        self, service: str, path: str, key: str, params: Mapping[str, str] | None = None
    ) -> Iterator[dict[str, Any]]:
        token = ""
        for _ in range(_PAGES):
            page = self._get(service, path, {**(params or {}), **({"pageToken": token} if token else {})})
            yield from page.get(key, [])
            token = page.get("nextPageToken", "")
            if not token:
                return
        raise Refused(f"{service}: {path}: expected an end within {_PAGES} pages")

    def _get(self, service: str, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        return self._call("GET", service, path, params)

    def _call(
        self,
        method: str,
        service: str,
        path: str,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        found = self._find(service, path, params, method, body)
        if found is None:
            raise Refused(f"{service}: {path}: expected it to be there, got 404")
        return found

    def _find(
        self,
        service: str,
        path: str,
        params: Mapping[str, str] | None = None,
        method: str = "GET",
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any] | None:
        """The answer, or None for 404. Raises Refused, Temporary."""
        with translated(f"{service}: {path}"):
            answer = self._session.request(
                method, self._url(service, path), params=params, json=body, timeout=CALL_SECONDS
            )
        if answer.status_code == 404:
            return None
        if not answer.ok:
            kind = Temporary if answer.status_code == 429 or answer.status_code >= 500 else Refused
            raise kind(f"{service}: {path}: {answer.status_code} {_reason(answer)}")
        try:
            content: dict[str, Any] = answer.json()
        except requests.JSONDecodeError as error:
            raise Refused(f"{service}: {path}: expected JSON, got {answer.text[:80]!r}") from error
        return content

    def _url(self, service: str, path: str) -> str:
        host = f"{service}.googleapis.com"
        return f"{self._base}/{host}/{path}" if self._base else f"https://{host}/{path}"


def _reason(answer: requests.Response) -> str:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]


def _bindings(policy: Mapping[str, Any]) -> Policy:
    return tuple(
        Binding(str(entry["role"]), str(member), str(entry.get("condition", {}).get("expression", "")))
        for entry in policy.get("bindings", [])
        for member in entry.get("members", [])
    )


def _member(entry: Mapping[str, Any]) -> str:
    """Who an entry of a dataset's access list is; a service account stands there as a user's e-mail."""
    if "userByEmail" in entry:
        email = str(entry["userByEmail"])
        return f"serviceAccount:{email}" if email.endswith(".gserviceaccount.com") else f"user:{email}"
    if "groupByEmail" in entry:
        return f"group:{entry['groupByEmail']}"
    return str(entry.get("iamMember", ""))


def _alarm(item: Mapping[str, Any]) -> Alarm:
    parts = [
        part
        for condition in item.get("conditions", [])
        for key, part in condition.items()
        if key.startswith("condition") and isinstance(part, dict)
    ]
    return Alarm(
        str(item["displayName"]),
        tuple(str(part.get("filter", "")) for part in parts),
        bool(item.get("enabled", True)),
        len(item.get("notificationChannels", [])),
    )


def _limit(item: Mapping[str, Any], region: str) -> Quota | None:
    """The metric's limit for the region, or for all regions where none is named; None when it has neither."""
    best: tuple[int, int, str] | None = None  # how exactly it fits, limit, id
    for limit in item.get("consumerQuotaLimits", []):
        for bucket in limit.get("quotaBuckets", []):
            where = bucket.get("dimensions", {})
            if set(where) - {"region"} or where.get("region", region) != region:
                continue
            found = (
                len(where),
                int(bucket.get("effectiveLimit", 0)),
                str(limit.get("name", "")).rpartition("/")[2],
            )
            best = found if best is None or found[0] > best[0] else best
    return None if best is None else Quota(str(item["metric"]), best[1], best[2])
