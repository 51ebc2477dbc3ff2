"""``retrain models``: check model files without any installation."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from console.session import BAD_INPUT, fail
from retraining.budget import most
from retraining.errors import BadConfig
from retraining.modelfile import load_models
from retraining.modelspec import ModelSpec

app = typer.Typer(help="Model files.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Model files."""


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(help="Folder with the model files.")] = Path("models"),
) -> None:
    """Read every model file and name every mistake: file, field, what was expected and what came.

    Example: retrain models check
    """
    try:
        specs = load_models(folder)
    except BadConfig as error:
        fail(str(error), BAD_INPUT)
    if mistakes := [text for spec in specs.values() for text in _unaffordable(spec)]:
        fail("\n".join(mistakes), BAD_INPUT)
    table = Table("model", "features", "task", "triggers", "costliest run", "per run", "per month", box=None)
    for spec in specs.values():
        asked = [name for name in ("schedule", "data", "drift") if getattr(spec.triggers, name)]
        budget = spec.policy.budget
        cost = max(most(spec, action) for action in _actions(spec))
        kinds = ", ".join([*asked, "manual"])
        table.add_row(
            spec.name,
            str(len(spec.features)),
            spec.training.task,
            kinds,
            f"{cost:.2f}",
            f"{budget.per_run:.2f}",
            f"{budget.per_month:.2f}",
        )
    Console(markup=False).print(table, highlight=False)


def _actions(spec: ModelSpec) -> list[str]:
    return ["train", "tune"] if spec.tuning else ["train"]


def _unaffordable(spec: ModelSpec) -> list[str]:
    """Runs that the budget could never allow."""
    limit = spec.policy.budget.per_run
    return [
        f"{spec.name}.yaml: policy.budget.per_run: expected at least {most(spec, action):.2f}, what a {action} run "
        f"may cost by its time limits; got {limit}"
        for action in _actions(spec)
        if most(spec, action) > limit
    ]
