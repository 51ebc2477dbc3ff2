"""What only a real project has, asked over HTTP from a server that answers as Google documents."""

import re
import subprocess
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path

import pytest

from console.doctor import permissions
from console.doctor.checks import CHECKS, Visit
from console.doctor.finding import Finding, Skipped
from console.doctor.wanted import APIS, TERRAFORM
from gcp.google_rest import connect
from gcp.installation import Installation
from local.memory.store import MemoryStore
from tests.doctor.google import Answers, policy, serve
from tests.doctor.sound import IMAGE, NUMBER, PROJECT, PUSH, REGION, WANTED, quota, sound

SOUND = sound(WANTED)
Look = Callable[[str], list[Finding | Skipped]]


@pytest.fixture
def answers() -> Answers:
    """What the server says; tests change it."""
    return deepcopy(SOUND)


@pytest.fixture
def look(answers: Answers) -> Iterator[Look]:
    """Do one check against the server."""
    with serve(answers) as base:

        def one(name: str) -> list[Finding | Skipped]:
            google = connect(PROJECT, REGION, base)
            visit = Visit(WANTED, Installation(WANTED.settings), google, MemoryStore(), lambda: datetime.now(UTC))
            return list(CHECKS[name](visit))

        yield one


REMOTE = ["clock", "APIs", "caller", "functions", "image", "accounts", "roles", "permissions", "sinks", "metrics"]
REMOTE += ["alarms", "quotas"]


@pytest.mark.parametrize("check", REMOTE)
def test_a_sound_project_has_no_findings(look: Look, check: str) -> None:
    """Whatever is looked at."""
    assert look(check) == []


def only(found: list[Finding | Skipped]) -> Finding:
    """The one finding."""
    (one,) = found
    assert isinstance(one, Finding)
    return one


def test_an_api_that_is_off(look: Look, answers: Answers) -> None:
    """Is switched on by the command."""
    services = answers[f"serviceusage/v1/projects/{PROJECT}/services"]["services"]
    services[:] = [one for one in services if "pubsub" not in one["config"]["name"]]

    assert only(look("APIs")).mend == f"gcloud services enable pubsub.googleapis.com --project={PROJECT}"


def test_everybody_may_call_a_function(look: Look, answers: Answers) -> None:
    """The worst of all grants."""
    key = f"run/v2/projects/{PROJECT}/locations/{REGION}/services/on-tick:getIamPolicy"
    answers[key] = policy(("roles/run.invoker", PUSH, ""), ("roles/run.invoker", "allUsers", ""))
    one = only(look("permissions"))

    assert (one.check, one.what) == ("invokers", "service on-tick: allUsers: surplus roles/run.invoker")
    assert one.mend == (
        "gcloud run services remove-iam-policy-binding on-tick --member='allUsers' --role=roles/run.invoker "
        f"--project={PROJECT} --region={REGION}"
    )


def test_the_push_account_may_not_call(look: Look, answers: Answers) -> None:
    """Then no message arrives."""
    answers[f"run/v2/projects/{PROJECT}/locations/{REGION}/services/on-data:getIamPolicy"] = policy()
    one = only(look("permissions"))

    assert one.what == f"service on-data: retrain-push@{PROJECT}.iam.gserviceaccount.com: missing roles/run.invoker"
    assert one.mend == "retrain deploy production"


def test_an_account_that_may_too_much(look: Look, answers: Answers) -> None:
    """In the project; what others there have is their business."""
    key = f"cloudresourcemanager/v3/projects/{PROJECT}:getIamPolicy"
    member = f"serviceAccount:retrain-trainer@{PROJECT}.iam.gserviceaccount.com"
    answers[key]["bindings"] += policy(("roles/editor", member, ""), ("roles/owner", "user:boss@example.com", ""))[
        "bindings"
    ]
    one = only(look("permissions"))

    assert one.what == f"project {PROJECT}: {member.partition(':')[2]}: surplus roles/editor"
    assert (
        one.mend
        == f"gcloud projects remove-iam-policy-binding {PROJECT} --member='{member}' --role=roles/editor --all"
    )


def test_a_grant_that_lost_its_condition(look: Look, answers: Answers) -> None:
    """Holds for the whole bucket: missing as it should be, surplus as it is."""
    key = f"storage/storage/v1/b/{PROJECT}-retrain-state/iam"
    role = f"projects/{PROJECT}/roles/retrain_on_schedule_write_triggers"
    (bound,) = [one for one in answers[key]["bindings"] if one["role"] == role]
    expression = bound.pop("condition")["expression"]
    found = look("permissions")

    assert f'resource.name.startsWith("projects/_/buckets/{PROJECT}-retrain-state/objects/inbox/")' in expression
    assert [one.what.split(": ")[2].split(" where")[0] for one in found if isinstance(one, Finding)] == [
        "missing retrain_on_schedule_write_triggers",
        "surplus retrain_on_schedule_write_triggers",
    ]


def test_a_topic_without_its_publisher(look: Look, answers: Answers) -> None:
    """Cloud Scheduler's own account publishes the ticks."""
    key = f"pubsub/v1/projects/{PROJECT}/topics/monitor-ticks:getIamPolicy"
    answers[key] = policy()

    assert only(look("permissions")).what == (
        f"topic monitor-ticks: service-{NUMBER}@gcp-sa-cloudscheduler.iam.gserviceaccount.com: "
        "missing roles/pubsub.publisher"
    )


def test_a_role_that_permits_other_things(look: Look, answers: Answers) -> None:
    """One finding for what is missing, one for what is too much."""
    roles = answers[f"iam/v1/projects/{PROJECT}/roles"]["roles"]
    (role,) = [one for one in roles if one["name"].endswith("/retrain_trainer_take_fence")]
    role["includedPermissions"] = ["storage.objects.delete"]
    update = f"gcloud iam roles update retrain_trainer_take_fence --project={PROJECT}"

    assert [one.mend for one in look("roles") if isinstance(one, Finding)] == [
        f"{update} --add-permissions=storage.objects.create",
        f"{update} --remove-permissions=storage.objects.delete",
    ]


def test_a_role_without_a_grant(look: Look, answers: Answers) -> None:
    """Is left from before."""
    roles = answers[f"iam/v1/projects/{PROJECT}/roles"]["roles"]
    roles.append({"name": f"projects/{PROJECT}/roles/retrain_old_one", "includedPermissions": ["x.y.z"]})

    assert only(look("roles")).mend == f"gcloud iam roles delete retrain_old_one --project={PROJECT}"


def test_an_account_that_is_gone_and_one_that_is_off(look: Look, answers: Answers) -> None:
    """Both stop a function."""
    accounts = answers[f"iam/v1/projects/{PROJECT}/serviceAccounts"]["accounts"]
    accounts[0]["disabled"] = True
    gone = accounts.pop()["email"]
    off = accounts[0]["email"]

    assert {one.what for one in look("accounts") if isinstance(one, Finding)} == {
        f"account {gone}: expected it to exist",
        f"account {off}: expected it enabled",
    }


def test_an_image_that_is_not_there(look: Look, answers: Answers) -> None:
    """No job could start."""
    del answers[f"artifactregistry/v1/{IMAGE}"]

    assert "expected it in Artifact Registry" in only(look("image")).what


def test_a_function_with_other_settings(look: Look, answers: Answers) -> None:
    """It would write elsewhere."""
    functions = answers[f"cloudfunctions/v2/projects/{PROJECT}/locations/{REGION}/functions"]["functions"]
    functions[0]["serviceConfig"]["environmentVariables"]["RETRAIN_DATASET"] = "other"
    functions[1]["state"] = "FAILED"

    assert [one.what for one in look("functions") if isinstance(one, Finding)] == [
        "function on-data: RETRAIN_DATASET: expected retraining, got other",
        "function on-drift: expected it ACTIVE, got FAILED",
    ]


def test_a_metric_that_is_gone_and_an_alarm_that_looks_elsewhere(look: Look, answers: Answers) -> None:
    """Nobody would be called."""
    answers[f"logging/v2/projects/{PROJECT}/metrics"]["metrics"].pop(0)
    alarm = answers[f"monitoring/v3/projects/{PROJECT}/alertPolicies"]["alertPolicies"][0]
    alarm["conditions"][0]["conditionAbsent"]["filter"] = 'metric.type="other"'

    assert only(look("metrics")).what == "metric retrain/ticks: expected it to exist"
    assert only(look("alarms")).what.startswith("alarm 'retrain: no-ticks': expected it to look at logging.google")


def test_an_alarm_that_calls_nobody(look: Look, answers: Answers) -> None:
    """A warning: the rest works."""
    answers[f"monitoring/v3/projects/{PROJECT}/alertPolicies"]["alertPolicies"][0]["notificationChannels"] = []

    assert only(look("alarms")).severity == "warning"


def test_a_quota_that_is_too_small(look: Look, answers: Answers) -> None:
    """For one model's tuning an error, for all at once a warning."""
    metrics = answers[
        f"serviceusage/v1beta1/projects/{PROJECT}/services/aiplatform.googleapis.com/consumerQuotaMetrics"
    ]["metrics"]
    metrics[:] = [quota("training", 7), quota("serving", 4)]
    found = [one for one in look("quotas") if isinstance(one, Finding)]

    assert [(one.severity, one.what.partition(": ")[2]) for one in found] == [
        ("error", "expected 8 in europe-west1 for bikes, got 7"),
        ("warning", "expected 8 in europe-west1 for all models at once, got 4"),
    ]


def test_what_may_not_be_read_is_said(look: Look, answers: Answers) -> None:
    """And all other places are still compared."""
    answers[f"pubsub/v1/projects/{PROJECT}/topics/drift:getIamPolicy"] = 403
    (one,) = look("permissions")

    assert isinstance(one, Skipped)
    assert one.check == "permissions of topic drift"
    assert "403 PERMISSION_DENIED" in one.why


def test_a_caller_who_may_not_look(look: Look, answers: Answers) -> None:
    """Is told what that hides."""
    answers[f"cloudresourcemanager/v3/projects/{PROJECT}:testIamPermissions"] = {}

    assert "quotas" in only(look("caller")).what


def test_a_list_goes_on_over_pages(answers: Answers) -> None:
    """And one without an end is refused."""
    answers["logging/v2/projects/acme-models/metrics"]["nextPageToken"] = "again"
    with serve(answers) as base, pytest.raises(Exception, match="expected an end within"):
        connect(PROJECT, REGION, base).metrics()


def test_the_apis_are_those_that_terraform_switches_on() -> None:
    """One list in two languages."""
    text = (TERRAFORM / "main.tf").read_text()
    block = re.search(r"for_each = toset\(\[(.*?)\]\)", text, re.DOTALL)

    assert block is not None
    assert sorted(re.findall(r'"([a-z]+)"', block[1])) == sorted(APIS)


@pytest.mark.parametrize("key", ["on", "where"])
def test_a_grant_is_read_with_either_key(tmp_path: Path, key: str) -> None:
    """YAML 1.1 takes "on" for a boolean."""
    file = tmp_path / "permissions.yaml"
    file.write_text(f"trainer:\n  tell: {{ {key}: topic/ticks, may: [pubsub.topics.publish] }}\n")

    assert permissions.load(file) == (
        permissions.Grant("trainer", "tell", "topic", "ticks", (), frozenset({"pubsub.topics.publish"})),
    )


def test_mends_are_commands_that_a_shell_reads(look: Look, answers: Answers) -> None:
    """Every finding of a project in which nothing is right."""
    for key, body in answers.items():
        if isinstance(body, dict):
            kept = {"name": body["name"]} if "name" in body else {}
            answers[key] = kept
    mends = {one.mend for check in REMOTE for one in look(check) if isinstance(one, Finding)}
    bad = [one for one in mends if subprocess.run(["bash", "-n", "-c", one], capture_output=True).returncode]

    assert len(mends) > 10
    assert bad == []
