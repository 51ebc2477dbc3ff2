"""What the document says things cost is what the program computes, and the program computes what it says."""

import pytest
import yaml

from retraining.modelfile import load_models
from tools.terraform import costs

MODELS = load_models(costs.ROOT / "models")
TARIFF, RESOURCES = costs.load_tariff(), costs.load_resources()


def test_the_document_holds_what_is_computed() -> None:
    """After a change: python -m tools.terraform.costs --write."""
    written = costs.DOCUMENT.read_text().split(costs.BEGIN)[1].split(costs.END)[0]

    assert written == costs.table(MODELS, RESOURCES, TARIFF)


def test_a_serving_model_costs_its_machine_all_month() -> None:
    """730 hours at the price of the model file."""
    line = costs.deployed(MODELS["flights"], RESOURCES, TARIFF)[0]

    assert line.usd == pytest.approx(730 * 0.11)


def test_a_rollout_costs_the_second_model() -> None:
    """Four steps of twelve hours and a day of soaking."""
    line = costs.run(MODELS["flights"], TARIFF)[-1]

    assert line == costs.Line("a second model for 72 h of rollout", pytest.approx(72 * 0.11))


def test_tuning_costs_its_trials() -> None:
    """Eight of 0.15 hours."""
    lines = {line.what: line.usd for line in costs.run(MODELS["flights"], TARIFF, tune=True)}

    assert lines["tuning, 8 trials"] == pytest.approx(8 * 0.15 * 0.22)


@pytest.mark.parametrize(("cron", "times"), [("*/5 * * * *", 8760), ("10 * * * *", 730), ("0 3 1 * *", 1)])
def test_a_cron_fires_so_often_a_month(cron: str, times: float) -> None:
    """By its own times."""
    assert costs.per_month(cron) == pytest.approx(times, rel=0.01)


def test_the_model_files_say_nearly_the_list_price() -> None:
    """Or budgets would be wrong."""
    known = {"n1-standard-4": TARIFF.usd["n1-standard-4_hour"]}
    machines = [
        machine
        for spec in MODELS.values()
        for machine in (
            spec.machines.training,
            spec.machines.tuning,
            spec.machines.evaluation,
            spec.machines.serving,
        )
        if machine.type in known
    ]

    assert machines
    assert all(machine.price == pytest.approx(known[machine.type], rel=0.2) for machine in machines)


def test_every_price_names_its_source() -> None:
    """And when it was compared, or that it was not."""
    prices = yaml.safe_load((costs.ROOT / "terraform" / "prices.yaml").read_text())["prices"]

    assert all(price.keys() == {"usd", "per", "for", "source", "checked"} for price in prices.values())
    assert all(price["source"].startswith("https://cloud.google.com/") for price in prices.values())
