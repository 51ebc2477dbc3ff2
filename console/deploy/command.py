"""``retrain deploy`` and ``retrain destroy``."""

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from console.deploy import values
from console.deploy.install import Deploy
from console.deploy.programs import Failed, Programs
from console.deploy.remove import Destroy
from console.session import BAD_INPUT, NOTHING, fail
from retraining.errors import BadConfig

ROOT = Path(__file__).parents[2]

Root = Annotated[Path, typer.Option("--root", help="The checkout.", show_default="this one", hidden=True)]


def deploy(
    environment: Annotated[str, typer.Argument(help="A file terraform/environments/NAME.tfvars; or env.")],
    name: Annotated[str, typer.Argument(help="After env: the environment whose settings to print.")] = "",
    plan_only: Annotated[bool, typer.Option("--plan-only", help="Stop after the plan; change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Answer every question with yes.")] = False,
    image: Annotated[str, typer.Option(help="Image of the trainer by digest, instead of building one.")] = "",
    root: Root = ROOT,
) -> None:
    """Create an installation, or bring it up to this checkout. Steps are told before they run.

    Example: retrain deploy production --plan-only; eval "$(retrain deploy env production)"
    """
    try:
        if environment == "env":
            _print_settings(root, name)
            return
        found = values.read(root / "terraform", environment)
        job = Deploy(_programs(root), found, typer.echo, _always if yes else _ask, image)
        job.tell()
        job.prepare(plan_only)
        changes = job.plan(plan_only)
        if plan_only:
            return
        if not job.apply(changes):
            raise typer.Exit(NOTHING)
        _doctor(root, {**os.environ, **job.settings()})
    except BadConfig as error:
        fail(str(error), BAD_INPUT)
    except Failed as error:
        fail(str(error), NOTHING)


def destroy(
    environment: Annotated[str, typer.Argument(help="A file terraform/environments/NAME.tfvars.")],
    data: Annotated[
        bool, typer.Option("--data", help="Also delete buckets and dataset, after a question.")
    ] = False,
    root: Root = ROOT,
) -> None:
    """Take an installation away. Buckets and the dataset stay, unless --data is given.

    Example: retrain destroy pre-production
    """
    try:
        found = values.read(root / "terraform", environment)
        if not Destroy(_programs(root), found, typer.echo, _ask, typer.prompt).run(data):
            raise typer.Exit(NOTHING)
    except BadConfig as error:
        fail(str(error), BAD_INPUT)
    except Failed as error:
        fail(str(error), NOTHING)


def _print_settings(root: Path, name: str) -> None:
    if not name:
        raise BadConfig("retrain deploy env: expected the name of an environment after it")
    found = values.read(root / "terraform", name)
    job = Deploy(_programs(root, quiet=True), found, lambda _: None, _ask)
    job.terraform.init()
    for key, value in sorted(job.settings().items()):
        typer.echo(f"export {key}={shlex.quote(value)}")


def _doctor(root: Path, environ: dict[str, str]) -> None:
    from console.doctor.command import examine, render

    report = examine(environ, folder=root / "terraform")
    render(report)
    if any(one.severity == "error" for one in report.findings):
        raise typer.Exit(NOTHING)


def _programs(root: Path, quiet: bool = False) -> Programs:
    return Programs(root, (lambda _: None) if quiet else typer.echo)


def _ask(question: str) -> bool:
    return typer.confirm(question, default=False)


def _always(question: str) -> bool:
    typer.echo(f"{question} yes")
    return True
