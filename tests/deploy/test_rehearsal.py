"""From nothing to an installation and back: the real command, Terraform and state. Tests follow each other."""

import json
import shutil
from pathlib import Path

import pytest

from console.deploy import values
from console.deploy.programs import Failed, Programs
from console.deploy.remove import undeployments
from console.deploy.terraform import Terraform
from tests.deploy.conftest import ROOT, World

ENDPOINTS = [
    {
        "name": "projects/1/locations/europe-west1/endpoints/42",
        "displayName": "flights",
        "labels": {"app": "retrain", "model": "flights"},
        "deployedModels": [{"id": "champion"}, {"id": "challenger"}, {"id": "idle"}],
        "trafficSplit": {"champion": 75, "challenger": 25},
    },
    {
        "name": "projects/1/locations/europe-west1/endpoints/43",
        "displayName": "others",
        "deployedModels": [{"id": "x"}],
    },
]


def test_the_example_values_are_refused(world: World) -> None:
    """With file and field, before anything is touched."""
    done = world.retrain("deploy", "production", "--yes")

    assert done.returncode == 2
    assert (
        "production.tfvars: project: expected a value of your own, got the example 'example-models'" in done.stderr
    )
    assert world.calls == []


def test_an_unknown_environment_is_refused(world: World) -> None:
    """With the names of those that there are."""
    done = world.retrain("deploy", "nowhere")

    assert done.returncode == 2
    assert "there are: pre-production, production, trial" in done.stderr


def test_a_plan_needs_the_bucket_of_the_state_and_creates_none(world: World) -> None:
    """It says with which command to create it."""
    done = world.retrain("deploy", "trial", "--plan-only")

    assert done.returncode == 1
    assert "create it with: gcloud storage buckets create gs://acme-terraform --project=acme-models" in done.stderr
    assert [call for call in world.calls if "describe" not in call] == []


def test_no_leaves_everything_as_it_is(world: World) -> None:
    """The first question is whether to create the bucket."""
    done = world.retrain("deploy", "trial", typed="n\n")

    assert done.returncode == 1
    assert "Create gs://acme-terraform" in done.stdout
    assert not any("create" in call for call in world.calls)


def test_the_first_installation(world: World) -> None:
    """Bucket of the state, registry, image, then all the rest, in this order, and the doctor at the end."""
    done = world.retrain("deploy", "trial", "--yes")
    changing = [" ".join(call.split()[:4]) for call in world.calls if "describe" not in call]

    assert done.returncode == 0, done.stdout + done.stderr
    assert changing == [
        "gcloud storage buckets create",
        "gcloud storage buckets update",
        "gcloud services enable cloudresourcemanager.googleapis.com",
        "gcloud builds submit .",
    ]
    first, rest = done.stdout.split("$ gcloud builds submit")
    assert "Before the first image can be built:" in first
    assert f"trainer@sha256:{7:064d}" in rest
    assert "google_cloudfunctions2_function" not in first
    assert "7  google_cloudfunctions2_function" in rest
    assert done.stdout.index("  1. look for terraform") < done.stdout.index("$ gcloud")
    assert "not looked at: everything: finding credentials" in done.stdout


def test_the_state_lies_in_the_bucket(world: World) -> None:
    """Where the next person finds it."""
    from gcp.storage import connect

    names = [blob.name for blob in connect("acme-models", world.storage).list_blobs("acme-terraform")]

    assert names == ["retrain/default.tfstate"]


def test_the_settings_of_the_installation_are_printed(world: World) -> None:
    """For eval, and nothing else on the output."""
    done = world.retrain("deploy", "env", "trial")
    lines = done.stdout.splitlines()

    assert all(line.startswith("export RETRAIN_") for line in lines)
    assert "export RETRAIN_STATE_BUCKET=acme-models-retrain-state" in lines
    assert f"@sha256:{7:064d}" in done.stdout


def test_again_changes_nothing(world: World) -> None:
    """The image is found by what is in it."""
    before = len(world.calls)
    done = world.retrain("deploy", "trial", "--plan-only")

    assert done.returncode == 0, done.stderr
    assert "Nothing to change." in done.stdout
    assert not any("submit" in call or "create" in call for call in world.calls[before:])


def test_a_new_model_adds_its_endpoint_table_and_job(world: World) -> None:
    """And touches nothing of the others."""
    text = (ROOT / "tests" / "e2e" / "models" / "tiny.yaml").read_text()
    (world.root / "models" / "tiny.yaml").write_text(text)
    done = world.retrain("deploy", "trial", "--plan-only")
    (world.root / "models" / "tiny.yaml").unlink()

    assert "create      1  google_vertex_ai_endpoint" in done.stdout
    assert "create      1  google_bigquery_table" in done.stdout
    assert "delete:" not in done.stdout


def test_another_id_removes_nothing(world: World) -> None:
    """The project's id is asked for, letter by letter."""
    done = world.retrain("destroy", "trial", typed="acme\n")

    assert done.returncode == 1
    assert "That is another id. Nothing was removed." in done.stdout


def test_destroy_keeps_the_data(world: World) -> None:
    """Undeploys first, takes buckets, dataset and tables out of the state, and removes the rest."""
    (world.cloud / "endpoints").write_text(json.dumps(ENDPOINTS))
    before = len(world.calls)
    done = world.retrain("destroy", "trial", typed="acme-models\ny\ny\n")
    undeployed = [call.split("--project")[0].strip() for call in world.calls[before:] if "undeploy" in call]

    assert done.returncode == 0, done.stdout + done.stderr
    assert undeployed == [
        "gcloud ai endpoints undeploy-model 42 --deployed-model-id=idle",
        "gcloud ai endpoints undeploy-model 42 --deployed-model-id=challenger --traffic-split=champion=100",
        "gcloud ai endpoints undeploy-model 42 --deployed-model-id=champion",
    ]
    assert 'google_storage_bucket.this["state"]' in done.stdout.split("Type the project id")[0]
    assert "delete: google_storage_bucket.this" not in done.stdout
    assert "delete: google_cloudfunctions2_function" in done.stdout
    assert not any(" rm " in call for call in world.calls)


def test_data_goes_after_a_second_question(world: World) -> None:
    """And only when exactly that is typed."""
    (world.cloud / "endpoints").unlink(missing_ok=True)
    kept = world.retrain("destroy", "trial", "--data", typed="acme-models\nyes\n")
    calls = list(world.calls)
    gone = world.retrain("destroy", "trial", "--data", typed="acme-models\ndelete acme-models\n")

    assert "The data was kept." in kept.stdout
    assert not any(" rm " in call for call in calls)
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert world.calls[-4:] == [
        "gcloud storage rm --recursive gs://acme-models-retrain-state",
        "gcloud storage rm --recursive gs://acme-models-retrain-artifacts",
        "gcloud storage rm --recursive gs://acme-models-retrain-source",
        "bq --project_id=acme-models rm -r -f -d acme-models:retraining",
    ]


def test_a_program_that_fails_is_quoted(tmp_path: Path) -> None:
    """Its command, its code and its last words."""
    (tmp_path / "gcloud").write_text("#!/bin/sh\necho 'ERROR: not allowed' >&2\nexit 3\n")
    (tmp_path / "gcloud").chmod(0o755)
    programs = Programs(tmp_path, print, {"PATH": f"{tmp_path}:/usr/bin:/bin"})

    with pytest.raises(Failed, match=r"(?s)gcloud x: ended with 3.*ERROR: not allowed"):
        programs.change("gcloud", "x")


@pytest.mark.parametrize(("version", "says"), [("1.8.5", "expected 1.9 or newer, got 1.8.5"), ("", "on PATH")])
def test_an_old_or_missing_terraform_is_refused(tmp_path: Path, version: str, says: str) -> None:
    """Before anything else is done."""
    if version:
        (tmp_path / "terraform").write_text(f'#!/bin/sh\necho \'{{"terraform_version": "{version}"}}\'\n')
        (tmp_path / "terraform").chmod(0o755)
    tree = tmp_path / "tree" / "terraform"
    shutil.copytree(ROOT / "terraform" / "environments", tree / "environments")
    found = values.read(tree, "production")
    path = {"PATH": f"{tmp_path}:/bin" if version else str(tmp_path)}

    with pytest.raises(Failed, match=says):
        Terraform(Programs(tmp_path, print, path), found).check()


def test_a_model_without_traffic_goes_first() -> None:
    """And traffic goes to whoever has most of what is left."""
    assert [model for model, _ in undeployments(ENDPOINTS[0])] == ["idle", "challenger", "champion"]
    assert list(undeployments({"name": "empty"})) == []
