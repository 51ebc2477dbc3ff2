"""What no grant may ever allow, whatever the code begins to use: the lines between the accounts."""

import pytest

from local.recording.grants import Grants
from local.recording.permissions import Use

TAKES_IN = ("on_drift", "on_schedule", "on_manual")
WRITES = ("storage.objects.create", "storage.objects.delete", "storage.objects.update")


def of(allowed: dict[Use, str], account: str) -> set[Use]:
    """What one account may."""
    return {use for use in allowed if use.account == account}


def writable(allowed: dict[Use, str], account: str) -> set[tuple[str, str]]:
    """Buckets and folders in which an account may write."""
    return {(use.on, use.folder) for use in of(allowed, account) if use.permission in WRITES}


def test_nobody_may_both_create_jobs_and_deploy_models(grants: Grants, allowed: dict[Use, str]) -> None:
    """Who trains cannot serve what it trained."""
    for account in grants:
        permissions = {use.permission for use in of(allowed, account)}
        trains = {one for one in permissions if "Jobs.create" in one and one.startswith("aiplatform.")}
        deploys = permissions & {"aiplatform.endpoints.deploy", "aiplatform.endpoints.update"}

        assert not (trains and deploys), f"{account}: {sorted(trains | deploys)}"


@pytest.mark.parametrize("account", TAKES_IN)
def test_who_only_takes_in_touches_nothing_but_buckets(allowed: dict[Use, str], account: str) -> None:
    """A message from outside reaches no service beyond the records."""
    assert {use.permission.partition(".")[0] for use in of(allowed, account)} == {"storage"}


def test_who_takes_in_rows_may_besides_only_read_the_source_tables(allowed: dict[Use, str]) -> None:
    """It asks them how far they reach."""
    beyond = {use for use in of(allowed, "on_data") if not use.permission.startswith("storage.")}

    assert {use.on for use in beyond} == {"project", "sources"}
    assert {use.permission for use in beyond if use.on == "project"} == {"bigquery.jobs.create"}


@pytest.mark.parametrize("account", ["on_data", *TAKES_IN])
def test_who_takes_in_writes_triggers_and_no_record_of_a_run(allowed: dict[Use, str], account: str) -> None:
    """And replaces nothing."""
    assert writable(allowed, account) == {("state", folder) for folder in ("events", "inbox", "quarantine")}
    assert not any(use.permission == "storage.objects.delete" for use in of(allowed, account))


@pytest.mark.parametrize("account", ["trainer", "evaluator", "server"])
def test_what_runs_a_model_cannot_touch_a_record(allowed: dict[Use, str], account: str) -> None:
    """Model files are programs: whoever runs them sees no state, no project and no table."""
    assert not [use for use in of(allowed, account) if use.on in ("state", "project", "dataset", "sources")]


def test_the_trainer_cannot_write_a_verdict(allowed: dict[Use, str]) -> None:
    """Of its own model least of all; nor the rows by which it will be judged, nor the code that judges."""
    assert writable(allowed, "trainer") == {("artifacts", "runs"), ("artifacts", "fence")}


def test_the_evaluator_cannot_write_what_it_judges(allowed: dict[Use, str]) -> None:
    """Only what it says of it."""
    assert writable(allowed, "evaluator") == {("artifacts", "evaluations")}


def test_a_model_server_only_reads(allowed: dict[Use, str]) -> None:
    """And publishes nothing."""
    assert {use.permission for use in of(allowed, "server")} <= {"storage.objects.get", "storage.objects.list"}


def test_who_deploys_writes_no_artefact(allowed: dict[Use, str]) -> None:
    """What is served is what was evaluated."""
    assert all(on == "state" for on, _ in writable(allowed, "on_candidate"))


def test_only_deliveries_write_the_code_that_jobs_run(grants: Grants, allowed: dict[Use, str]) -> None:
    """No account of the running system may change what the next job executes."""
    assert not [account for account in grants if ("artifacts", "modules") in writable(allowed, account)]


def test_each_account_is_acted_as_by_one_alone(allowed: dict[Use, str]) -> None:
    """The trainer's and the evaluator's by who creates jobs, the server's by who deploys."""
    acting = {(use.account, use.on) for use in allowed if use.permission == "iam.serviceAccounts.actAs"}

    assert acting == {
        ("on_tick", "account/trainer"),
        ("on_tick", "account/evaluator"),
        ("on_candidate", "account/server"),
    }


def test_nobody_replaces_what_was_audited(allowed: dict[Use, str]) -> None:
    """Entries of the audit, claims, outcomes and verdicts are written once."""
    folders = {use.folder for use in allowed if use.permission == "storage.objects.delete"}

    assert not folders & {"events", "claims", "outcomes", "quarantine", "evaluations", "fence"}


def test_nothing_is_granted_that_manages_access(allowed: dict[Use, str]) -> None:
    """No account may change who may what."""
    assert not [use for use in allowed if "IamPolicy" in use.permission or "setIam" in use.permission]
