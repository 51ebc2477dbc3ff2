"""``python -m tools.terraform.costs``: what an installation costs, from prices, resources and model files.

``--write`` puts the table into docs/costs.md between its two marks; the tests hold the document to this program.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from croniter import croniter

from local.stack.resources import Resources
from retraining.modelfile import load_models
from retraining.modelspec import Machine, ModelSpec

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "costs.md"
BEGIN, END = "<!-- costs -->\n", "<!-- /costs -->"
HOURS = 730.0  # of a month
MINUTES = int(HOURS * 60)
_MIB, _GIB, _TIB = 2**20, 2**30, 2**40
_FLOOR = 10 * _MIB  # a statement bills at least this for each table


@dataclass(frozen=True)
class Line:
    """One line of a bill, in USD."""

    what: str
    usd: float


@dataclass(frozen=True)
class Tariff:
    """terraform/prices.yaml: USD by the price's name, and what is assumed."""

    usd: Mapping[str, float]
    assumed: Mapping[str, float]
    unchecked: tuple[str, ...]  # prices that nobody has compared with their source


def load_tariff(path: Path = ROOT / "terraform" / "prices.yaml") -> Tariff:
    """Read the prices."""
    raw: dict[str, Any] = yaml.safe_load(path.read_text())
    prices = raw["prices"]
    return Tariff(
        {name: float(price["usd"]) for name, price in prices.items()},
        {name: float(value) for name, value in raw["assumed"].items()},
        tuple(sorted(name for name, price in prices.items() if price["checked"] is None)),
    )


def load_resources(path: Path = ROOT / "terraform" / "resources.yaml") -> Resources:
    """resources.yaml as the cloud has it."""
    raw = yaml.safe_load(path.read_text())
    return Resources.model_validate({key: value for key, value in raw.items() if key != "local"})


def per_month(cron: str) -> float:
    """How often a cron fires in a month, by a year of its times or the first two thousand of them."""
    times = croniter(cron, 0.0)
    first: float = times.get_next(float)
    last, count = first, 0
    while count < 2000 and last - first < 365 * 86400:
        last, count = times.get_next(float), count + 1
    return count / (last - first) * MINUTES * 60


def idle(resources: Resources, tariff: Tariff) -> list[Line]:
    """A month of an installation whose models are not deployed, and to which nothing happens."""
    price, assumed = tariff.usd, tariff.assumed
    ticks, monitors = (per_month(resources.jobs[name].cron) for name in ("tick", "monitor"))
    calls = {"on_tick": ticks, "on_candidate": ticks, "on_monitor": monitors}
    seconds = {"on_tick": "tick_seconds", "on_candidate": "tick_seconds", "on_monitor": "monitor_seconds"}
    work = sum(
        count * _call(tariff, resources.functions[name].memory_mib, assumed[seconds[name]])
        for name, count in calls.items()
    )
    total = sum(calls.values())
    lists, reads = (2 * ticks * assumed[name] / 10_000 for name in ("tick_lists", "tick_reads"))
    points = total * len(resources.metrics) / 3 * assumed["metric_point_bytes"]  # a metric is of one function
    return [
        Line("ticks of functions", work),
        Line("Scheduler jobs of all models", len(resources.jobs) * price["scheduler_job"]),
        Line("lists and reads of records", lists * price["storage_writes"] + reads * price["storage_reads"]),
        Line("messages", total * 2 * 1000 / _TIB * price["pubsub_tib"]),
        Line("logs", total * assumed["tick_log_kib"] * 1024 / _GIB * price["log_gib"]),
        Line("points of metrics", points / _MIB * price["metric_mib"]),
        Line("alarms", len(resources.alarms) * price["alarm"]),
        Line("kept images", assumed["image_gib"] * price["image_gib"]),
    ]


def deployed(spec: ModelSpec, resources: Resources, tariff: Tariff, log_days: float = 90) -> list[Line]:
    """A month of one model that serves, besides ``idle``."""
    price, assumed = tariff.usd, tariff.assumed
    jobs = {name: job for name, job in resources.all_jobs({spec.name: spec}).items() if name not in resources.jobs}
    watermark = sum(per_month(job.cron) for name, job in jobs.items() if name.startswith("watermark-"))
    intake = sum(
        per_month(job.cron) * _call(tariff, resources.functions["on_data"].memory_mib, assumed["intake_seconds"])
        for job in jobs.values()
    )
    rows = assumed["requests_per_day"] * assumed["request_kib"] * 1024
    monitors = per_month(resources.jobs["monitor"].cron)
    counted = monitors * max(_FLOOR, rows / 12)  # the last two hours
    return [
        Line(f"serving, {_machine(spec.machines.serving)}", HOURS * _hour(spec.machines.serving)),
        Line("Scheduler jobs of the model", len(jobs) * price["scheduler_job"] + intake),
        Line("looking for new rows", watermark * _FLOOR / _TIB * price["query_tib"]),
        Line("counting logged requests", counted / _TIB * price["query_tib"]),
        Line("logged requests, kept", rows * log_days / _GIB * price["table_gib"]),
    ]


def run(spec: ModelSpec, tariff: Tariff, tune: bool = False) -> list[Line]:
    """One run that ends in a promotion."""
    assumed, machines = tariff.assumed, spec.machines
    rollout = spec.rollout.step_time * len(spec.rollout.steps) + spec.rollout.soak
    lines = [
        Line("rows", assumed["source_gib_scanned_per_run"] * _GIB / _TIB * tariff.usd["query_tib"]),
        Line(f"training, {_machine(machines.training)}", assumed["training_hours"] * _hour(machines.training)),
        Line(
            f"evaluation, {_machine(machines.evaluation)}", assumed["evaluation_hours"] * _hour(machines.evaluation)
        ),
        Line(
            f"a second model for {rollout.total_seconds() / 3600:.0f} h of rollout",
            rollout.total_seconds() / 3600 * _hour(machines.serving),
        ),
    ]
    if tune and spec.tuning:
        hours = spec.tuning.trials * assumed["trial_hours"]
        lines.insert(1, Line(f"tuning, {spec.tuning.trials} trials", hours * _hour(machines.tuning)))
    return lines


def table(models: Mapping[str, ModelSpec], resources: Resources, tariff: Tariff) -> str:
    """Everything as Markdown."""
    parts = [_part("Idle, a month", idle(resources, tariff))]
    for spec in models.values():
        parts.append(_part(f"`{spec.name}` serving, a month more", deployed(spec, resources, tariff)))
        parts.append(_part(f"`{spec.name}`, a run that is promoted", run(spec, tariff)))
        if spec.tuning:
            parts.append(_part(f"`{spec.name}`, a run with tuning", run(spec, tariff, tune=True)))
    unchecked = ", ".join(f"`{name}`" for name in tariff.unchecked)
    return "\n".join([*parts, f"Prices that were not compared with their source: {unchecked}.", ""])


def _part(title: str, lines: list[Line]) -> str:
    rows = [f"| {line.what} | {line.usd:.2f} |" for line in lines]
    total = f"| **total** | **{sum(line.usd for line in lines):.2f}** |"
    return "\n".join([f"**{title}**", "", "| | USD |", "|---|---:|", *rows, total, ""])


def _call(tariff: Tariff, memory_mib: int, seconds: float) -> float:
    price = tariff.usd
    work = seconds * (price["vcpu_second"] + memory_mib / 1024 * price["gib_second"])
    return work + price["function_calls"] / 1_000_000


def _hour(machine: Machine) -> float:
    return machine.price * machine.replicas


def _machine(machine: Machine) -> str:
    return f"{machine.replicas} × {machine.type} at {machine.price:g} an hour"


def main() -> None:
    """Print the table, or write it into the document."""
    parser = argparse.ArgumentParser(description="What an installation costs.")
    parser.add_argument("--write", action="store_true", help="put the table into docs/costs.md")
    parser.add_argument("--models", type=Path, default=ROOT / "models", help="folder of the model files")
    arguments = parser.parse_args()
    text = table(load_models(arguments.models), load_resources(), load_tariff())
    if arguments.write:
        before, _, rest = DOCUMENT.read_text().partition(BEGIN)
        DOCUMENT.write_text(before + BEGIN + text + END + rest.partition(END)[2])
    else:
        print(text)


if __name__ == "__main__":
    main()
