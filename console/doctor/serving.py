"""Endpoints, functions and the jobs' image: is what serves and runs there, and does somebody know of it?"""

import json
import re
from collections.abc import Iterable, Mapping

from console.doctor.finding import Finding
from console.doctor.wanted import Wanted
from gcp.installed import Endpoint, Function
from retraining.rollouts import Rollout

_IMAGE = re.compile(
    r"(?P<location>[a-z0-9-]+)-docker\.pkg\.dev/(?P<project>[^/]+)/(?P<repository>[^/]+)/"
    r"(?P<image>[^@]+)@(?P<digest>sha256:[0-9a-f]{64})"
)


def endpoints(wanted: Wanted, found: Iterable[Endpoint], rollouts: Mapping[str, Rollout]) -> list[Finding]:
    """One endpoint for each model, which logs into its table and holds only models that its record knows.

    ``rollouts`` are the records by endpoint.
    """
    by_name: dict[str, list[Endpoint]] = {}
    for one in found:
        by_name.setdefault(one.display_name, []).append(one)
    findings = []
    for spec in wanted.models.values():
        here = by_name.get(spec.endpoint, [])
        if not here:
            text = f"endpoint {spec.endpoint}: expected it to exist in {wanted.settings.region}"
            findings.append(Finding("endpoints", "error", text, wanted.again))
        if len(here) > 1:
            text = f"endpoint {spec.endpoint}: expected one of this name, got {len(here)}: which one serves is luck"
            mend = f"gcloud ai endpoints list {_at(wanted)} --filter=displayName={spec.endpoint}"
            findings.append(Finding("endpoints", "error", text, mend))
        for one in here:
            table = f"bq://{wanted.settings.project}.{spec.endpoint_log(wanted.settings.dataset)}"
            if one.log != table:
                text = (
                    f"endpoint {spec.endpoint}: expected requests logged to {table}, "
                    f"got {one.log or 'no log'}: drift and rollouts see nothing"
                )
                findings.append(
                    Finding("endpoints", "error", text, _log(wanted, one, table, spec.log.sampling_rate))
                )
            record = rollouts.get(spec.endpoint)
            known = ids(record) if record else frozenset()
            for deployed in sorted(set(one.deployed) - known):
                text = (
                    f"endpoint {spec.endpoint}: deployed model {deployed}: no record knows it, and it costs money"
                )
                findings.append(Finding("endpoints", "warning", text, _undeploy(wanted, one, deployed)))
    return findings


def ids(record: Rollout) -> frozenset[str]:
    """Ids of deployed models that a rollout record speaks of."""
    serving = (record.champion, record.challenger, record.previous)
    return frozenset(one.deployed_id for one in serving if one) | frozenset(record.retired)


def functions(wanted: Wanted, found: Mapping[str, Function]) -> list[Finding]:
    """Every function is deployed and ready, as its own account, with the settings that this command has."""
    findings = []
    for point in wanted.resources.functions:
        name = wanted.service(point)
        one = found.get(name)
        if one is None:
            text = f"function {name}: expected it to exist in {wanted.settings.region}"
            findings.append(Finding("functions", "error", text, wanted.again))
            continue
        if one.state != "ACTIVE":
            mend = f"gcloud functions describe {name} --v2 --project={wanted.settings.project}"
            text = f"function {name}: expected it ACTIVE, got {one.state or 'nothing'}"
            mend += f" --region={wanted.settings.region}"
            findings.append(Finding("functions", "error", text, mend))
        if one.account != wanted.email(point):
            text = f"function {name}: account: expected {wanted.email(point)}, got {one.account or 'none'}"
            findings.append(Finding("functions", "error", text, wanted.again))
        for key, value in wanted.settings.to_env().items():
            if value and one.environment.get(key, "") != value:
                text = f"function {name}: {key}: expected {value}, got {one.environment.get(key) or 'nothing'}"
                findings.append(Finding("functions", "error", text, f"{wanted.env} && retrain doctor"))
    return findings


def image_parts(image: str) -> tuple[str, str, str, str] | None:
    """Repository, image with digest, location and project of a name in Artifact Registry; None for any other."""
    match = _IMAGE.fullmatch(image)
    if match is None:
        return None
    return match["repository"], f"{match['image']}@{match['digest']}", match["location"], match["project"]


def image(wanted: Wanted, there: bool | None) -> list[Finding]:
    """The jobs' image is named by digest and can be fetched. ``there`` None: it is not named so."""
    name = wanted.settings.trainer_image
    if there is None:
        text = f"image {name or '(none)'}: expected REGION-docker.pkg.dev/PROJECT/REPOSITORY/NAME@sha256:…"
        return [Finding("image", "error", text, f"{wanted.env} && retrain doctor")]
    if not there:
        text = f"image {name}: expected it in Artifact Registry; no job and no deployment can start"
        return [Finding("image", "error", text, wanted.again)]
    return []


def _at(wanted: Wanted) -> str:
    return f"--project={wanted.settings.project} --region={wanted.settings.region}"


def _log(wanted: Wanted, endpoint: Endpoint, table: str, share: float) -> str:
    """Terraform sets it back; one machine creates what is missing and leaves what is there."""
    if wanted.cloud:
        return wanted.again
    log = {"enabled": True, "samplingRate": share, "bigqueryDestination": {"outputUri": table}}
    body = json.dumps({"predictRequestResponseLoggingConfig": log})
    return (
        f"curl --fail --silent --request PATCH --header 'Content-Type: application/json' --data '{body}' "
        f'"$RETRAIN_VERTEX_REST/v1/{endpoint.name}?updateMask=predictRequestResponseLoggingConfig"'
    )


def _undeploy(wanted: Wanted, endpoint: Endpoint, deployed: str) -> str:
    if wanted.cloud:
        number = endpoint.name.rpartition("/")[2]
        return f"gcloud ai endpoints undeploy-model {number} --deployed-model-id={deployed} {_at(wanted)}"
    return (
        'curl --fail --silent --request POST --header "Content-Type: application/json" '
        f'--data \'{{"deployedModelId": "{deployed}"}}\' "$RETRAIN_VERTEX_REST/v1/{endpoint.name}:undeployModel"'
    )
