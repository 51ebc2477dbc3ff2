"""The ``retrain`` command: one group of commands for each thing people do."""

from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from console import acting, drift, local, models, modules, reading, smoke
from console.deploy.command import deploy, destroy
from console.doctor.command import doctor
from console.quarantine import quarantine

app = typer.Typer(
    name="retrain",
    help="Keep the models of a team fresh: look, ask, decide, and run all of it on one machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    reading.status,
    acting.trigger,
    reading.runs,
    reading.explain,
    reading.events,
    acting.pause,
    acting.resume,
    acting.rollback,
    acting.approve,
    acting.cancel,
    quarantine,
    smoke.smoke,
    doctor,
    deploy,
    destroy,
):
    app.command()(command)
app.add_typer(models.app, name="models")
app.add_typer(modules.app, name="modules")
app.add_typer(drift.app, name="drift")
app.add_typer(local.app, name="local")


def _say_version(wanted: bool) -> None:
    if wanted:
        print(f"retrain {metadata.version('retraining')}")
        raise typer.Exit


@app.callback()
def every(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version, and stop.")
    ] = False,
) -> None:
    """What holds for every command."""
    del version


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the summary and the page.")] = Path("out/demo"),
) -> None:
    """Replay a year of real flights against the whole system on this machine, in about ten minutes.

    Example: retrain demo --out /tmp/demo
    """
    from console.demo.command import demo as play

    raise typer.Exit(play(out.absolute()))


if __name__ == "__main__":
    app()
