"""What an installation of one model and of fifty would create."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from retraining.modelfile import load_models
from retraining.settings import Settings
from tests.terraform.conftest import Plan, resources

ONE = Path(__file__).parents[1] / "e2e" / "models"
FLIGHTS = (Path(__file__).parents[2] / "models" / "flights.yaml").read_text()


@pytest.fixture(scope="module")
def one(plan: Callable[[Path], Plan]) -> Plan:
    """One model."""
    return plan(ONE)


@pytest.fixture(scope="module")
def fifty(plan: Callable[[Path], Plan], tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Fifty models in five datasets."""
    folder = tmp_path_factory.mktemp("fifty")
    for number in range(50):
        name = f"flights-{number:02d}"
        text = FLIGHTS.replace("name: flights\n", f"name: {name}\n").replace(
            "endpoint: flights\n", f"endpoint: {name}\n"
        )
        (folder / f"{name}.yaml").write_text(text.replace("flights.history", f"flights_{number % 5}.history"))
    assert len(load_models(folder)) == 50
    return plan(folder)


def kinds(plan: Plan) -> Counter[str]:
    """How many of each type of resource."""
    return Counter(address.split(".")[0] for address in resources(plan))


def test_a_model_adds_an_endpoint_a_log_and_its_schedules_only(one: Plan, fifty: Plan) -> None:
    """And access to its dataset where that is new: functions, topics, accounts and alarms stay as they are."""
    added = kinds(fifty) - kinds(one)

    assert added.keys() == {
        "google_vertex_ai_endpoint",
        "google_bigquery_table",
        "google_cloud_scheduler_job",
        "google_bigquery_dataset_iam_member",
    }
    assert added["google_vertex_ai_endpoint"] == added["google_bigquery_table"] == 49


def test_no_two_models_share_a_name_of_anything(fifty: Plan) -> None:
    """Fifty endpoints with fifty ids and fifty tables."""
    found = resources(fifty)
    endpoints = [
        values["name"] for address, values in found.items() if address.startswith("google_vertex_ai_endpoint.")
    ]
    tables = [
        values["table_id"] for address, values in found.items() if address.startswith("google_bigquery_table.own")
    ]

    assert len(set(endpoints)) == 50
    assert len(set(tables)) == 53


def test_functions_start_with_the_settings_of_the_plan(one: Plan) -> None:
    """The code that reads settings accepts what Terraform sets."""
    found = resources(one)['google_cloudfunctions2_function.this["on_tick"]']

    settings = Settings.from_env(found["service_config"][0]["environment_variables"])

    assert settings.state_bucket == "acme-models-retrain-state"
    assert "retrain-trainer@acme-models.iam.gserviceaccount.com" in settings.principals


def test_the_same_archive_plans_the_same_functions(plan: Callable[[Path, bytes], Plan], one: Plan) -> None:
    """And another archive another object, from which functions are built anew."""
    address = "google_storage_bucket_object.archive"

    assert resources(plan(ONE, b"functions"))[address]["name"] == resources(one)[address]["name"]
    assert resources(plan(ONE, b"changed"))[address]["name"] != resources(one)[address]["name"]


def test_every_entry_point_of_the_code_is_deployed(one: Plan) -> None:
    """And nothing that the code does not have."""
    from functions.entries import ENTRIES

    deployed = {
        values["build_config"][0]["entry_point"]
        for address, values in resources(one).items()
        if address.startswith("google_cloudfunctions2_function.")
    }

    assert deployed == {entry.name for entry in ENTRIES}
