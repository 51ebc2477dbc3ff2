"""A project that is as it must be, as Google would answer about it."""

from dataclasses import replace
from typing import Any

from console.doctor import access
from console.doctor.wanted import APIS, TERRAFORM, Wanted, wanted
from gcp.installed import Sink
from retraining.modelfile import load_models
from retraining.settings import Settings
from tests.doctor.google import Answers, policy

PROJECT, NUMBER, REGION = "acme-models", "123456789", "europe-west1"
DIGEST = f"sha256:{'a' * 64}"
SETTINGS = Settings(
    project=PROJECT,
    region=REGION,
    state_bucket=f"{PROJECT}-retrain-state",
    artifact_bucket=f"{PROJECT}-retrain-artifacts",
    dataset="retraining",
    modules="current",
    trainer_image=f"{REGION}-docker.pkg.dev/{PROJECT}/retrain/trainer@{DIGEST}",
    trainer_account=f"retrain-trainer@{PROJECT}.iam.gserviceaccount.com",
    evaluator_account=f"retrain-evaluator@{PROJECT}.iam.gserviceaccount.com",
    server_account=f"retrain-server@{PROJECT}.iam.gserviceaccount.com",
)
MODELS = load_models(TERRAFORM.parent / "models")
BARE = wanted(SETTINGS, MODELS, {})
WANTED = replace(
    BARE,
    environment="production",
    operators=("group:operators@example.com",),
    settings=replace(SETTINGS, own_principals=",".join(BARE.accounts.values())),
)
PUSH = f"serviceAccount:retrain-push@{PROJECT}.iam.gserviceaccount.com"
USER = "logging.googleapis.com/user/retrain/"
IMAGE = f"projects/{PROJECT}/locations/{REGION}/repositories/retrain/dockerImages/trainer@{DIGEST}"


def sound(must: Wanted) -> Answers:
    """What Google would answer about an installation that is as it must be."""
    place = f"projects/{PROJECT}/locations/{REGION}"
    resources = must.resources
    topic = f"pubsub.googleapis.com/projects/{PROJECT}/topics"
    sinks = [
        {
            "name": f"retrain-{name}",
            "destination": f"{topic}/{to}",
            "filter": "x",
            "writerIdentity": f"serviceAccount:{name}",
        }
        for name, to in (("data-changes", "data-changes"), ("anomalies", "drift"))
    ]
    answers: Answers = {
        f"cloudresourcemanager/v3/projects/{PROJECT}": {"name": f"projects/{NUMBER}", "projectId": PROJECT},
        f"cloudresourcemanager/v3/projects/{PROJECT}:testIamPermissions": {"permissions": sorted(access.NEEDED)},
        f"serviceusage/v1/projects/{PROJECT}/services": {
            "services": [{"config": {"name": f"{name}.googleapis.com"}, "state": "ENABLED"} for name in APIS]
        },
        f"serviceusage/v1beta1/projects/{PROJECT}/services/aiplatform.googleapis.com/consumerQuotaMetrics": {
            "metrics": [quota("training", 100), quota("serving", 100)]
        },
        f"iam/v1/projects/{PROJECT}/roles": {
            "roles": [
                {"name": f"projects/{PROJECT}/roles/{grant.role}", "includedPermissions": sorted(grant.may)}
                for grant in must.grants
            ]
        },
        f"iam/v1/projects/{PROJECT}/serviceAccounts": {
            "accounts": [{"email": one} for one in must.accounts.values()]
        },
        f"logging/v2/projects/{PROJECT}/sinks": {"sinks": sinks},
        f"logging/v2/projects/{PROJECT}/metrics": {
            "metrics": [
                {
                    "name": f"retrain/{name}",
                    "filter": f'severity>={one.severity} "{must.service(one.function or "")}"\n'
                    f'jsonPayload.message=~"{one.message}"',
                }
                for name, one in resources.metrics.items()
            ]
        },
        f"monitoring/v3/projects/{PROJECT}/alertPolicies": {
            "alertPolicies": [
                {
                    "displayName": f"retrain: {name}",
                    "enabled": True,
                    "notificationChannels": ["projects/x/notificationChannels/1"],
                    "conditions": [
                        {
                            "displayName": name,
                            "conditionAbsent" if one.absent_s else "conditionThreshold": {
                                "filter": f'metric.type="{one.google or USER + str(one.metric)}"'
                            },
                        }
                    ],
                }
                for name, one in resources.alarms.items()
            ]
        },
        f"cloudfunctions/v2/{place}/functions": {
            "functions": [
                {
                    "name": f"{place}/functions/{must.service(name)}",
                    "state": "ACTIVE",
                    "serviceConfig": {
                        "uri": f"https://{must.service(name)}.run.app",
                        "service": f"{place}/services/{must.service(name)}",
                        "serviceAccountEmail": must.email(name),
                        "environmentVariables": must.settings.to_env(),
                    },
                }
                for name in resources.functions
            ]
        },
        f"artifactregistry/v1/{IMAGE}": {"name": IMAGE, "tags": ["1"]},
    }
    # Policies follow from the grants; the tests below spell some of them out.
    writers = access.expected(must, NUMBER, _sinks(sinks))
    for where, bindings in writers.items():
        answers |= _policy(where, [(one.role, one.member, one.condition) for one in bindings])
    return answers


def _sinks(raw: list[dict[str, str]]) -> dict[str, Any]:
    return {one["name"]: Sink(one["name"], one["destination"], one["filter"], one["writerIdentity"]) for one in raw}


def quota(use: str, limit: int) -> dict[str, Any]:
    name = f"projects/{NUMBER}/services/aiplatform.googleapis.com/consumerQuotaMetrics/x/limits/%2Fproject%2Fregion"
    buckets = [{"effectiveLimit": "1"}, {"effectiveLimit": str(limit), "dimensions": {"region": REGION}}]
    return {
        "metric": f"aiplatform.googleapis.com/custom_model_{use}_cpus",
        "consumerQuotaLimits": [{"name": name, "unit": "1/{project}/{region}", "quotaBuckets": buckets}],
    }


def _policy(where: access.Place, bindings: list[tuple[str, str, str]]) -> Answers:
    place = f"projects/{PROJECT}/locations/{REGION}"
    if where.kind == "dataset":
        entries = [{"role": role, "userByEmail": who.partition(":")[2]} for role, who, _ in bindings]
        return {f"bigquery/bigquery/v2/projects/{PROJECT}/datasets/{where.name}": {"access": entries}}
    key = {
        "project": f"cloudresourcemanager/v3/projects/{PROJECT}:getIamPolicy",
        "bucket": f"storage/storage/v1/b/{where.name}/iam",
        "topic": f"pubsub/v1/projects/{PROJECT}/topics/{where.name}:getIamPolicy",
        "account": f"iam/v1/projects/{PROJECT}/serviceAccounts/{where.name}:getIamPolicy",
        "service": f"run/v2/{place}/services/{where.name}:getIamPolicy",
    }[where.kind]
    return {key: policy(*bindings)}
